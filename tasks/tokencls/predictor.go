package tokencls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// Config holds the settings by which sentences become logits. The zero value of each field but Labels and Scheme is
// usable.
type Config struct {
	tasks.CoreConfig
	Labels *data.Labels // of the problem data.TokenTags
	// Outputs is the number of outputs of the adapter's head, if the model's has another; 0: of the model's.
	Outputs int
	// Scheme is how the labels spell entities. With tagged.Plain, words are scored one by one.
	Scheme tagged.Scheme
	// Strict counts only entities that are spelled by the rules of the scheme, as seqeval does in its strict mode. Of
	// BILOU, whose letters seqeval's default mode does not know, all scores are strict.
	Strict bool
	// Stride is the number of tokens, at most half a window, that neighbouring windows of a longer sentence share. Each
	// word is learned and predicted in the window with the most context around it. If Stride is negative, longer
	// sentences are truncated.
	Stride int
}

// Predictor computes the tags of words, entities and scores. It is safe for concurrent use and keeps the memory of a
// call for the next; Close releases it.
type Predictor struct {
	tasks.Core[models.TokenClassifier]
	cfg       Config
	crf       *nn.CRF // nil: the tags of words are independent
	forbidden []bool  // transitions of crf, see op.CRF
}

// NewPredictor returns a predictor. Words are tokenised as after [tokenize.Tokenizer.WithPrefixSpace]. A
// [models.Tagger] tags sentences with its conditional random field; transitions whose scores say that they are
// forbidden (see [op.ForbiddenIn]) stay so. Settings that contradict each other, the model or the tokenizer are
// reported in one error.
func NewPredictor(m models.TokenClassifier, tok *tokenize.Tokenizer, c Config) (*Predictor, error) {
	errs := append(tasks.CheckText(m, c.MaxLength), tasks.CheckRoom(tok, c.MaxLength, false))
	if k, n := len(c.Labels.Names), cmp.Or(c.Outputs, m.Labels()); n != k {
		errs = append(errs, fmt.Errorf("the model's head has %d outputs for %d labels", n, k))
	}
	if c.Strict && c.Scheme == tagged.Plain {
		errs = append(errs, errors.New("`seqeval_mode strict` scores entities, but the labels spell none"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("tokencls: %w", err)
	}
	p := &Predictor{Core: tasks.NewCore(m, tok.WithPrefixSpace(), c.CoreConfig), cfg: c}
	if t, ok := m.(*models.Tagger); ok {
		p.crf, p.forbidden = t.CRF, op.ForbiddenIn(t.CRF.Scores(c.Adapter))
	}
	return p, nil
}

// Labels returns the classes.
func (p *Predictor) Labels() *data.Labels { return p.cfg.Labels }

// outputs returns the number of logits of a token.
func (p *Predictor) outputs() int { return len(p.cfg.Labels.Names) }

// all is the function of [PredictEach] for a predictor that serves all sentences.
func (p *Predictor) all(int) *Predictor { return p }

// Scheme returns how the classes spell entities.
func (p *Predictor) Scheme() tagged.Scheme { return p.cfg.Scheme }

// MetricNames lists the metrics of an evaluation, the deciding one first.
func (p *Predictor) MetricNames() []string {
	if p.cfg.Scheme == tagged.Plain {
		return []string{"accuracy", "macro_f1", "loss"}
	}
	return []string{"f1", "precision", "recall", "accuracy", "loss"}
}

// labelled returns the logits of the rows from the first one with a label to the last one of each sequence, and the
// numbers of these rows; nil: all. In the last block the others only serve as keys and values: the result is the same.
// Without labels all rows are computed.
func (p *Predictor) labelled(pass *nn.Pass, b *batch.Batch) (logits mat.Tensor, rows []int) {
	q := *pass
	if b.Labels != nil {
		if k := nn.RowsFrom(b.Seqs, b.Labels); k != nil && len(k.Rows) > 0 {
			q.Keep, rows = k, k.Rows
		}
	}
	return p.Net.Logits(&q, b), rows
}

// forward runs the model over a set without recording and calls f with the numbers of the sequences of each batch, its
// logits, and the rows of the batch that logits has; nil: all.
func (p *Predictor) forward(
	ctx context.Context, s batch.Set, f func(seqs []int, tape *op.Tape, logits mat.Tensor, rows []int, b *batch.Batch),
) error {
	var rows []int
	n := p.Inference(func(pass *nn.Pass, b *batch.Batch) (logits mat.Tensor) {
		logits, rows = p.labelled(pass, b)
		return logits
	})
	return n.Run(ctx, s, func(seqs []int, tape *op.Tape, b *batch.Batch, logits mat.Tensor) error {
		f(seqs, tape, logits, rows, b)
		return nil
	})
}

// Prediction is the prediction for the words of one sentence.
type Prediction struct {
	// Tokens are those of the words, in order.
	Tokens []Token
	// Cut is the number of words that were cut off, for which there is no prediction.
	Cut int

	emissions []float32 // with a CRF, the logits of the words, K for each
}

// Token is a token with the probabilities of its labels.
type Token struct {
	ID       int32
	Index    int // among the tokens of the sentence, special ones counted, as if it were in one window
	Word     int // the word that it belongs to
	From, To int // the code points of the sentence's text that it was made from
	Begin    int // the code point where its word begins, which may follow a blank that belongs to the token
	// Scores are the probabilities of the labels. With a CRF, the first token of a word has the marginal probabilities of
	// the word's labels, and the others have none (nil).
	Scores []float32
	// Label is the number of the predicted label: that of the largest score or, with a CRF, that of the token's word on
	// the best path through the sentence.
	Label int
}

// Predict computes the probabilities of the labels of all tokens of a file's sentences, and counts. It does not read
// tags. A sentence that is longer than the limit is read in windows, or cut, as the configuration says. It returns an
// error if a probability is NaN.
func (p *Predictor) Predict(ctx context.Context, f *tagged.File) ([]Prediction, Counts, error) {
	return PredictEach(ctx, f, p.all)
}

// PredictEach is like [Predictor.Predict] for a file whose sentences several predictors serve: of returns that of each.
// The predictors have one model in common, see [tasks.Opening], and their sentences share batches, which changes no bit
// of the results.
func PredictEach(ctx context.Context, f *tagged.File, of func(row int) *Predictor) ([]Prediction, Counts, error) {
	var counts Counts
	if f.Len() == 0 {
		return nil, counts, ctx.Err()
	}
	p := of(0)
	set, out := p.NewSet(), make([]Prediction, f.Len())
	var sentences []int            // for each sequence the number of its sentence
	var places tasks.Buffer[int32] // for each token of the set its place among the tokens of its sentence, -1: none
	err := p.read(ctx, f, of, func(i int, e tagged.Sentence, x *sentence) {
		counts.count(x)
		out[i].Cut = x.cut()
		x.each(e, func(window int, tokens []Token, of []int32) {
			for _, n := range of {
				if n >= 0 {
					n += int32(len(out[i].Tokens))
				}
				places.Append(n)
			}
			out[i].Tokens = append(out[i].Tokens, tokens...)
			set.Append(x.windows[window].IDs, x.windows[window].Types)
			sentences = append(sentences, i)
		})
	})
	if err != nil {
		return nil, Counts{}, err
	}
	counts.Sequences = set.Len()
	run := p.Inference(p.Net.Logits)
	run.AdapterOf = func(seq int) nn.AdapterSet { return of(sentences[seq]).Adapter }
	err = run.Run(ctx, set, func(seqs []int, _ *op.Tape, b *batch.Batch, logits mat.Tensor) error {
		for i, q := range seqs {
			lo, hi := b.Seqs.Starts[i], b.Seqs.Starts[i+1]
			scores, k := of(sentences[q]).scoresOf(logits, lo, hi)
			for j := range hi - lo {
				if n := places.At(set.Start(q) + j); n >= 0 {
					of := &out[sentences[q]].Tokens[n]
					of.Scores = scores[j*k : (j+1)*k : (j+1)*k]
					of.Label = tasks.Largest(of.Scores)
				}
			}
		}
		return nil
	})
	if err == nil {
		decode(out, of)
		err = checkScores(f, out)
	}
	if err != nil {
		return nil, Counts{}, err
	}
	return out, counts, nil
}

// scoresOf returns what rows lo to hi of a batch's logits say, k values for each: the probabilities of its labels, with
// a CRF the logits.
func (p *Predictor) scoresOf(logits mat.Tensor, lo, hi int) (scores []float32, k int) {
	_, cols := op.Size(logits) // of the widest head
	k = p.outputs()
	own := make([]float32, 0, (hi-lo)*k)
	for row := lo; row < hi; row++ {
		own = append(own, op.Values(logits)[row*cols:][:k]...)
	}
	if p.crf != nil {
		return own, k
	}
	return tasks.Probabilities(data.SingleLabel, own, k), k
}

// decode tags the words of predictions whose tokens have logits, those of predictors that have a CRF.
func decode(list []Prediction, of func(row int) *Predictor) {
	chains := map[*Predictor]*op.Chain{}
	for i := range list {
		p := of(i)
		if p.crf == nil {
			continue
		}
		if chains[p] == nil {
			chains[p] = p.chain()
		}
		list[i].decode(chains[p], p.outputs())
	}
}

// best returns the label that is predicted for the first token of a word.
func (p *Predictor) best(k *Token) int {
	if p.crf != nil {
		return k.Label
	}
	return tasks.Largest(k.Scores)
}

// checkScores returns an error if a probability is NaN, which names the row.
func checkScores(f *tagged.File, predictions []Prediction) error {
	for i, p := range predictions {
		for _, k := range p.Tokens {
			for _, v := range k.Scores {
				if v != v {
					return fmt.Errorf("%s:%d: a score is not a number; the weights of the model or the adapter are damaged, "+
						"get them again", f.Name, f.At(i).Line)
				}
			}
		}
	}
	return nil
}

// each calls f for every window in which there is a token of a word to predict: with these tokens, and for all tokens
// of the window their place among these, -1 for none. Tokens come in the order of the text, since the window of a token
// is never before that of the token before.
func (x *sentence) each(e tagged.Sentence, f func(window int, tokens []Token, of []int32)) {
	for k, w := range x.windows {
		var tokens []Token
		of := make([]int32, len(w.IDs))
		index := x.leading + x.starts[k]
		for i, id := range w.IDs {
			of[i] = -1
			if w.Sequences[i] < 0 {
				continue
			}
			if word := int(x.words[k][i]); word >= 0 {
				of[i] = int32(len(tokens))
				first := 0
				if e.Split {
					first = e.Words[word].From
				}
				tokens = append(tokens, Token{
					ID: id, Index: index, Word: word, From: first + w.Offsets[i][0], To: first + w.Offsets[i][1],
					Begin: e.Words[word].From,
				})
			}
			index++
		}
		if len(tokens) > 0 {
			f(k, tokens, of)
		}
	}
}

// Tags returns the tag that is predicted for each word of a sentence, that of its first token, and its probability; ""
// for a word without a token. With a CRF, tags are those of the best path, and probabilities are marginal ones.
func (p *Predictor) Tags(e tagged.Sentence, of Prediction) (tags []string, scores []float32) {
	tags, scores = make([]string, len(e.Words)), make([]float32, len(e.Words))
	for i := range of.Tokens {
		if k := &of.Tokens[i]; tags[k.Word] == "" {
			best := p.best(k)
			tags[k.Word], scores[k.Word] = p.cfg.Labels.Names[best], k.Scores[best]
		}
	}
	return tags, scores
}

// Score returns the scores of predictions that were computed before, those of [Predictor.Predict] for the same file.
// Sentences without tags do not count; if none has tags, the result is nil. The loss is over the first tokens of words,
// without class weights and smoothing; with a CRF it is that of whole sentences.
func (p *Predictor) Score(f *tagged.File, predictions []Prediction) (*Scores, error) {
	if len(predictions) != f.Len() {
		return nil, fmt.Errorf("tokencls: %d predictions for %d sentences", len(predictions), f.Len())
	}
	classes, err := f.Classes(p.cfg.Labels)
	if err != nil {
		return nil, err
	}
	var want, got []int32
	var ends []int
	loss := lossOf(p)
	for i, list := range classes {
		if list != nil {
			from, seen := len(want), make([]bool, len(list))
			for j := range predictions[i].Tokens {
				k := &predictions[i].Tokens[j]
				if seen[k.Word] {
					continue
				}
				seen[k.Word] = true
				want, got = append(want, list[k.Word]), append(got, int32(p.best(k)))
				loss.word(k, list[k.Word])
			}
			if err := loss.sentence(predictions[i], want[from:]); err != nil {
				return nil, fmt.Errorf("tokencls: sentence %d: %w", i, err)
			}
		}
		ends = append(ends, len(want))
	}
	if len(want) == 0 {
		return nil, nil
	}
	s, err := p.scores(want, got, ends)
	if err == nil {
		s.Loss = loss.sum / loss.targets
	}
	return s, err
}

// scoredLoss adds up the loss of predictions.
type scoredLoss struct {
	chain        *op.Chain // nil: over words
	k            int
	sum, targets float64
}

func lossOf(p *Predictor) *scoredLoss {
	l := &scoredLoss{k: p.outputs()}
	if p.crf != nil {
		l.chain = p.chain()
	}
	return l
}

// word adds the loss of the first token of a word, if words are independent.
func (l *scoredLoss) word(k *Token, label int32) {
	if l.chain == nil {
		l.sum -= math.Log(math.Max(float64(k.Scores[label]), math.SmallestNonzeroFloat32))
		l.targets++
	}
}

// sentence adds the loss of a sentence with the labels of its words, if they are a chain.
func (l *scoredLoss) sentence(of Prediction, labels []int32) error {
	if l.chain == nil {
		return nil
	}
	if len(of.emissions) != len(labels)*l.k {
		return errors.New("the prediction is not one of Predict with this model")
	}
	sum, n := l.chain.Loss(of.emissions, labels)
	l.sum, l.targets = l.sum+sum, l.targets+float64(n)
	return nil
}
