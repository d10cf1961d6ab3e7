package generate

import (
	"maps"
	"math"
	"slices"
)

// history is what the processors know about a sequence.
type history struct {
	ids    []int32 // tokens that the sequence began with, and the new ones
	prompt int     // number of tokens that the sequence began with
	limit  int     // number of tokens with which the sequence ends
	source []int32 // tokens of the encoder, or of the prompt if there is none
	asked  []int32 // tokens of the source, each once; nil without encoder_repetition_penalty
	seen   []int32 // all tokens, each once; nil without repetition_penalty
	known  map[int32]bool
	logp   float64 // sum of the log-probabilities of the new tokens, with log_probs
}

// newHistory returns the history of a sequence for a prompt with its Start. positions is the number of positions of the
// model.
func newHistory(p Prompt, positions int, cfg Config) history {
	n := len(p.Start)
	h := history{ids: slices.Clone(p.Start), prompt: n, limit: cfg.limit(n, positions), source: p.IDs}
	if cfg.penalises(cfg.EncoderRepetitionPenalty) {
		h.asked = slices.Clone(p.IDs)
		slices.Sort(h.asked)
		h.asked = slices.Compact(h.asked)
	}
	if cfg.penalises(cfg.RepetitionPenalty) {
		h.known = map[int32]bool{}
		for _, id := range p.Start {
			h.see(id)
		}
	}
	return h
}

// fork returns a copy that shares nothing which changes.
func (h *history) fork() history {
	c := *h
	c.ids, c.seen, c.known = append(make([]int32, 0, cap(h.ids)), h.ids...), slices.Clone(h.seen), maps.Clone(h.known)
	return c
}

// add appends a token.
func (h *history) add(id int32) {
	h.ids = append(h.ids, id)
	h.see(id)
}

// see records a token for the repetition penalty, if there is one.
func (h *history) see(id int32) {
	if h.known != nil && !h.known[id] {
		h.known[id] = true
		h.seen = append(h.seen, id)
	}
}

// count returns the number of new tokens.
func (h *history) count() int { return len(h.ids) - h.prompt }

// none is the logit of a token that must not follow.
var none = float32(math.Inf(-1))

// process applies the processors that also affect greedy choices to logits (V values), in transformers' order.
func (c *chooser) process(logits []float32, h *history) {
	cfg := &c.cfg
	c.addBias(logits, h)
	if cfg.penalises(cfg.EncoderRepetitionPenalty) {
		penalise(logits, h.asked, float32(1/cfg.EncoderRepetitionPenalty))
	}
	if cfg.penalises(cfg.RepetitionPenalty) {
		penalise(logits, h.seen, float32(cfg.RepetitionPenalty))
	}
	forbidRepeated(logits, h.ids, h.ids, cfg.NoRepeatNgramSize)
	forbidRepeated(logits, h.source, h.ids, cfg.EncoderNoRepeatNgramSize)
	c.forbidWords(logits, h)
	if len(h.ids) < cfg.MinLength || h.count() < cfg.MinNewTokens {
		forbid(logits, cfg.EosTokenIDs)
	}
	if id := cfg.ForcedBosTokenID; id != nil && len(h.ids) == 1 {
		force(logits, []int32{*id})
	}
	if len(cfg.ForcedEosTokenIDs) > 0 && len(h.ids) == h.limit-1 {
		force(logits, cfg.ForcedEosTokenIDs)
	}
	if cfg.RemoveInvalidValues {
		removeInvalid(logits)
	}
	c.favourEnd(logits, h)
	forbid(logits, cfg.SuppressTokens)
	begin := 0
	if h.prompt == 1 && cfg.ForcedBosTokenID != nil { // the first token is the forced one
		begin = 1
	}
	if h.count() == begin {
		forbid(logits, cfg.BeginSuppressTokens)
	}
	if cfg.Timestamps != nil {
		cfg.Timestamps.apply(logits, h.ids[h.prompt:])
	}
}

// penalises reports whether a penalty changes logits.
func (c *Config) penalises(penalty float64) bool { return penalty != 0 && penalty != 1 }

// penalise divides the positive logits of tokens and multiplies the negative ones.
func penalise(logits []float32, ids []int32, by float32) {
	for _, id := range ids {
		if x := logits[id]; x < 0 {
			logits[id] = x * by
		} else {
			logits[id] = x / by
		}
	}
}

// forbid excludes tokens, and ignores those that the model does not have.
func forbid(logits []float32, ids []int32) {
	for _, id := range ids {
		if id >= 0 && int(id) < len(logits) {
			logits[id] = none
		}
	}
}

// force excludes all tokens but some.
func force(logits []float32, ids []int32) {
	exclude(logits)
	for _, id := range ids {
		logits[id] = 0
	}
}

// addBias adds the biases of all sequences of tokens that the next token would complete. torch adds them up in float32
// before it adds the sum to a logit.
func (c *chooser) addBias(logits []float32, h *history) {
	if len(c.cfg.SequenceBias) == 0 {
		return
	}
	sum := map[int32]float32{}
	for _, b := range c.cfg.SequenceBias {
		if completes(h.ids, b.IDs) {
			sum[b.IDs[len(b.IDs)-1]] += float32(b.Bias)
		}
	}
	for id, bias := range sum {
		logits[id] += bias
	}
}

// forbidWords excludes the last tokens of bad words whose other tokens end the sequence. An end token alone is not a
// bad word.
func (c *chooser) forbidWords(logits []float32, h *history) {
	for _, word := range c.cfg.BadWordsIDs {
		if len(word) == 1 && slices.Contains(c.cfg.EosTokenIDs, word[0]) {
			continue
		}
		if completes(h.ids, word) {
			logits[word[len(word)-1]] = none
		}
	}
}

// completes reports whether ids end with all tokens of a word but the last.
func completes(ids, word []int32) bool {
	n := len(word) - 1
	return n >= 0 && n <= len(ids) && slices.Equal(ids[len(ids)-n:], word[:n])
}

// forbidRepeated excludes the tokens that would complete a group of size tokens that text has already; ids are the
// tokens of the sequence. A size of 0 has no effect.
func forbidRepeated(logits []float32, text, ids []int32, size int) {
	if size == 0 || len(ids) < size-1 {
		return
	}
	last := ids[len(ids)-(size-1):]
	for i := size - 1; i < len(text); i++ {
		if slices.Equal(text[i-(size-1):i], last) {
			logits[text[i]] = none
		}
	}
}

// removeInvalid replaces logits that are not numbers or infinite.
func removeInvalid(logits []float32) {
	for i, x := range logits {
		switch {
		case x != x:
			logits[i] = 0
		case x > math.MaxFloat32:
			logits[i] = math.MaxFloat32
		case x < -math.MaxFloat32:
			logits[i] = -math.MaxFloat32
		}
	}
}

// favourEnd raises the logits of the end tokens, more with each token after the start of the penalty.
func (c *chooser) favourEnd(logits []float32, h *history) {
	p := c.cfg.ExponentialDecayLengthPenalty
	if p == nil || h.count() <= p.Start {
		return
	}
	by := float32(math.Pow(p.Factor, float64(h.count()-p.Start)) - 1)
	for i, id := range c.cfg.EosTokenIDs {
		x := logits[id]
		if size := float32(math.Abs(float64(x))); size <= math.MaxFloat32 && !slices.Contains(c.cfg.EosTokenIDs[:i], id) {
			logits[id] = x + size*by
		}
	}
}
