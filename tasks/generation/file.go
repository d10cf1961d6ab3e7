package generation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
)

// file is the file of a checkpoint with settings of generated text: its generation_config.json, else its
// config.json, where versions of transformers before 4.26 kept them.
type file struct {
	name     string
	values   map[string]json.RawMessage // of the keys of settings.GenerationConfig
	warnings []string                   // about settings that are not honoured
	seq2seq  bool                       // the model is an encoder–decoder
}

// read reads the file of a checkpoint.
func read(b *base.Base) (*file, error) {
	table := settings.GenerationConfig
	f := &file{name: table.Name, seq2seq: encodes(b)}
	text, err := b.File(f.name)
	inConfig := errors.Is(err, fs.ErrNotExist)
	if inConfig {
		f.name, text, err = "config.json", b.Source.Config(), nil
	}
	if err == nil {
		err = checkpoint.DecodeJSON(f.name, text, &f.values)
	}
	if err != nil {
		return nil, err
	}
	if inConfig && string(f.values[forceBos]) == "true" {
		f.values["forced_bos_token_id"] = f.values["bos_token_id"]
	}
	if inConfig { // its other keys are the model's
		for name := range f.values {
			if _, ok := table.Key(name); !ok {
				delete(f.values, name)
			}
		}
		table.Name = f.name
		if text, err = json.Marshal(f.values); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	f.warnings, err = table.Check(text)
	return f, err
}

// forceBos is the key by which the config.json of early BART checkpoints says that targets begin with bos_token_id.
const forceBos = "force_bos_token_to_be_generated"

// encodes reports whether the model of a checkpoint has an encoder beside its decoder.
func encodes(b *base.Base) bool {
	a, _ := models.ArchOf(b.Info.ModelType)
	return slices.ContainsFunc(a.Heads, func(h arch.Head) bool { return h.Kind == arch.Seq2Seq })
}

// fileKey is a key of the file that acts, with the setting that it gives: a pointer to a field of Settings, or a
// pointer to one under a type that reads another form.
type fileKey struct {
	name string
	to   any
}

// fileKeys lists the keys of the file that act on every model, but for the tokens of models.Info.
func (g *Settings) fileKeys() []fileKey {
	return []fileKey{
		{"max_new_tokens", (*atLeastOne)(&g.MaxNewTokens)}, {"max_length", (*atLeastOne)(&g.MaxLength)},
		{"min_new_tokens", &g.MinNewTokens}, {"min_length", &g.MinLength},
		{"stop_strings", (*oneOrMore[string])(&g.Stop)}, {"max_time", (*seconds)(&g.MaxTime)},
		{"sequence_bias", (*biases)(&g.SequenceBias)},
		{"encoder_repetition_penalty", &g.EncoderRepetitionPenalty}, {"repetition_penalty", &g.RepetitionPenalty},
		{"no_repeat_ngram_size", &g.NoRepeatNgramSize}, {"encoder_no_repeat_ngram_size", &g.EncoderNoRepeatNgramSize},
		{"bad_words_ids", &g.BadWordsIDs}, {"forced_bos_token_id", &g.ForcedBosTokenID},
		{"forced_eos_token_id", (*oneOrMore[int32])(&g.ForcedEosTokenIDs)},
		{"remove_invalid_values", &g.RemoveInvalidValues},
		{"exponential_decay_length_penalty", &g.ExponentialDecayLengthPenalty},
		{"suppress_tokens", &g.SuppressTokens}, {"begin_suppress_tokens", &g.BeginSuppressTokens},
		{"do_sample", &g.DoSample}, {"temperature", &g.Temperature}, {"top_h", &g.TopH}, {"top_k", &g.TopK},
		{"top_p", &g.TopP}, {"min_p", &g.MinP}, {"typical_p", &g.TypicalP}, {"epsilon_cutoff", &g.EpsilonCutoff},
		{"eta_cutoff", &g.EtaCutoff}, {"num_beams", (*atLeastOne)(&g.NumBeams)}, {"length_penalty", &g.LengthPenalty},
		{"early_stopping", &g.EarlyStopping}, {"num_return_sequences", (*atLeastOne)(&g.NumReturnSequences)},
	}
}

// startKey returns the key that gives the first token of a target: as in transformers bos_token_id, if the file has no
// decoder_start_token_id.
func (f *file) startKey(g *Settings) fileKey {
	key := fileKey{"decoder_start_token_id", &g.DecoderStartTokenID}
	if !f.has(key.name) {
		key.name = "bos_token_id"
	}
	return key
}

// has reports whether the file gives a key.
func (f *file) has(key string) bool { return f.values[key] != nil && string(f.values[key]) != "null" }

// over returns settings in which those that are not given have the values of the file. Where a setting and the file do
// not fit, the file gives way, with a warning. ends says that there are end tokens.
func (f *file) over(g *Settings, ends bool) (m Settings, warnings []string, err error) {
	m = *g
	instead := map[string]bool{ // settings that replace a key of another name
		"max_new_tokens": g.MaxLength != 0, "max_length": g.MaxNewTokens != 0,
		"min_new_tokens": g.MinLength != nil, "min_length": g.MinNewTokens != nil,
	}
	keys := m.fileKeys()
	if f.seq2seq {
		keys = append(keys, f.startKey(&m))
	}
	for _, k := range keys {
		value := f.values[k.name]
		given := !reflect.ValueOf(k.to).Elem().IsZero()
		if !f.has(k.name) || given || instead[k.name] {
			continue
		}
		if err := json.Unmarshal(value, k.to); err != nil {
			return m, nil, fmt.Errorf("%s is %s; want %s", k.name, settings.Shortened(value), wanted(k.to))
		}
	}
	for _, n := range []struct{ to, given **int }{{&m.MinNewTokens, &g.MinNewTokens}, {&m.MinLength, &g.MinLength},
		{&m.NoRepeatNgramSize, &g.NoRepeatNgramSize}, {&m.EncoderNoRepeatNgramSize, &g.EncoderNoRepeatNgramSize}} {
		if *n.given == nil && *n.to != nil && **n.to < 0 { // transformers takes what is not above 0 in a file for none
			*n.to = nil
		}
	}
	warn := func(format string, args ...any) {
		warnings = append(warnings, f.name+": "+fmt.Sprintf(format, args...))
	}
	draws := g.draws(m.DoSample)
	if m.DoSample != nil && *m.DoSample && g.DoSample == nil && g.NumBeams > 1 && !draws {
		warn("do_sample is true, but `num_beams` is %d; no tokens are drawn", g.NumBeams)
	}
	m.DoSample = &draws
	if n := m.NumBeams; n > 1 && g.NumBeams == 0 && draws {
		warn("num_beams is %d, but tokens are drawn; there is no beam search with `do_sample`", n)
		m.NumBeams = 1
	}
	if n := m.NumReturnSequences; n > 1 && g.NumReturnSequences == 0 && !draws {
		most := max(m.NumBeams, 1)
		switch {
		case most == 1:
			warn("num_return_sequences is %d, but without `do_sample` or `num_beams` all would be equal; one is generated", n)
		case n > most:
			warn("num_return_sequences is %d, but `num_beams` is %d; the search returns %d", n, most, most)
		}
		m.NumReturnSequences = min(n, most)
	}
	if n, most := m.MinNewTokens, m.build(nil).MaxNewTokens; n != nil && most > 0 && *n > most && g.MinNewTokens == nil {
		warn("min_new_tokens is %d, but a text has at most %d new tokens; it ends there", *n, most)
		m.MinNewTokens = &most
	}
	if m.ExponentialDecayLengthPenalty != nil && g.ExponentialDecayLengthPenalty == nil && !ends {
		warn("exponential_decay_length_penalty has no effect, because there is no eos_token_id")
		m.ExponentialDecayLengthPenalty = nil
	}
	return m, warnings, nil
}

// wanted says what a key holds.
func wanted(to any) string {
	switch to.(type) {
	case *atLeastOne:
		return "a whole number of at least 1"
	case **int, **int32:
		return "a whole number"
	case **float64, *seconds:
		return "a number"
	case **bool:
		return "true or false"
	case *[]int32:
		return "a list of ids of tokens"
	case *oneOrMore[int32]:
		return "the id of a token, or a list of them"
	case *oneOrMore[string]:
		return "a string, or a list of them"
	case *[][]int32:
		return "a list of lists of ids of tokens"
	case *biases:
		return "a list of pairs, each a list of ids of tokens and a number"
	case **generate.EarlyStopping:
		return `true, false or "never"`
	case **generate.LengthPenalty:
		return "a number of tokens and a factor, such as [15, 1.2]"
	}
	panic(fmt.Sprintf("no description of %T", to))
}

// atLeastOne is a number of 1 or more.
type atLeastOne int

// UnmarshalJSON reads the number.
func (n *atLeastOne) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, (*int)(n)); err != nil {
		return err
	}
	if *n < 1 {
		return errors.New("less than 1")
	}
	return nil
}

// seconds is a duration that is written as a number of seconds.
type seconds time.Duration

// UnmarshalJSON reads the number. No seconds at all end a text after its first token, as in transformers.
func (d *seconds) UnmarshalJSON(text []byte) error {
	var s float64
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	const most = float64(math.MaxInt64 / time.Second)
	*d = max(seconds(min(s, most)*float64(time.Second)), 1)
	return nil
}

// oneOrMore is a list that is also written as its only element.
type oneOrMore[T any] []T

// UnmarshalJSON reads a list or an element.
func (l *oneOrMore[T]) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, (*[]T)(l)) == nil {
		return nil
	}
	*l = make([]T, 1)
	return json.Unmarshal(text, &(*l)[0])
}

// biases is a list of pairs of ids and a bias. Of several for the same tokens the last one counts.
type biases []generate.Bias

// UnmarshalJSON reads the list.
func (l *biases) UnmarshalJSON(text []byte) error {
	var all []generate.Bias
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for i, b := range all {
		same := func(o generate.Bias) bool { return slices.Equal(o.IDs, b.IDs) }
		if !slices.ContainsFunc(all[i+1:], same) {
			*l = append(*l, b)
		}
	}
	return nil
}
