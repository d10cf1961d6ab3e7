package embed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Config holds the settings by which texts become vectors, and the scale of the scores of pairs. The zero value is
// usable.
type Config struct {
	tasks.CoreConfig
	Pooling       Pooling
	Prompt        string // text before each text
	ExcludePrompt bool   // the tokens of the prompt do not count in pooling
	Dense         []*Dense
	Normalize     bool // vectors are divided by their length
	Dimensions    int  // values of a vector that are kept, from the first, after Normalize; 0: all
	Unit          bool // vectors are divided by their length after Dimensions
	Similarity    Similarity
	MaxScore      float64 // score of texts that mean the same: scores are divided by it; 0: 1
}

// Predictor computes the vectors of texts. It is safe for concurrent use and keeps the memory of a call for the next;
// Close releases it.
type Predictor struct {
	tasks.Core[models.Encoder]
	cfg  Config
	ways []op.Pooling
	skip int // first tokens of a text with the prompt that do not count in pooling
}

// NewPredictor returns a predictor. Settings that contradict the model or the tokenizer are reported in one error.
func NewPredictor(m models.Encoder, tok *tokenize.Tokenizer, c Config) (*Predictor, error) {
	errs := tasks.CheckText(m, c.MaxLength)
	if !(c.MaxScore >= 0) || math.IsInf(c.MaxScore, 0) {
		errs = append(errs, fmt.Errorf("`max_score` is %g; want more than 0", c.MaxScore))
	}
	pooling, err := ParsePooling(c.Pooling.String())
	if err != nil {
		errs = append(errs, fmt.Errorf("`pooling`: %w", err))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("embed: %w", errors.Join(errs...))
	}
	c.MaxScore, c.Pooling = cmp.Or(c.MaxScore, 1), pooling
	p := &Predictor{Core: tasks.NewCore(m, tok, c.CoreConfig), cfg: c, ways: pooling.ways()}
	if err := checkDense(c.Dense, len(p.ways)*m.Width()); err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	if p.skip, err = p.promptTokens(); err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	return p, nil
}

// promptTokens returns how many first tokens of a text with the prompt do not count: those of the prompt alone without
// a special token at the end, as sentence-transformers counts them.
func (p *Predictor) promptTokens() (int, error) {
	if p.cfg.Prompt == "" || !p.cfg.ExcludePrompt {
		return 0, nil
	}
	e, err := p.Tok.Encode(p.cfg.Prompt, tokenize.Options{MaxLength: p.Limit()})
	if err != nil {
		return 0, err
	}
	n := len(e.IDs)
	if n > 0 && p.Tok.IsSpecial(e.IDs[n-1]) {
		n--
	}
	return n, nil
}

// Width returns the number of values of a vector.
func (p *Predictor) Width() int {
	if n := p.pooledWidth(); p.cfg.Dimensions == 0 || p.cfg.Dimensions > n {
		return n
	}
	return p.cfg.Dimensions
}

// pooledWidth returns the number of values that pooling and the Dense modules make of a text.
func (p *Predictor) pooledWidth() int {
	if n := len(p.cfg.Dense); n > 0 {
		return p.cfg.Dense[n-1].weight.Rows
	}
	return len(p.ways) * p.Net.Width()
}

// Pooling returns how the tokens of a text become one vector.
func (p *Predictor) Pooling() Pooling { return p.cfg.Pooling }

// Embed computes the vectors of the texts of a file, row after row: n×Width, for a file of pairs 2n×Width, where the
// vectors of a pair follow each other. truncated is the number of texts that were truncated to the length limit. A
// vector that is not finite is an error.
func (p *Predictor) Embed(ctx context.Context, f *text.File) (vectors []float32, truncated int, err error) {
	rows, truncated, err := EmbedEach(ctx, f, p.all)
	return slices.Concat(rows...), truncated, err
}

// all is the function of [EmbedEach] for a predictor that serves all rows.
func (p *Predictor) all(int) *Predictor { return p }

// EmbedEach returns the vector of each row of a file, of a pair both vectors one after the other, by the predictor that
// of returns for the row. The predictors have one model in common, see [tasks.Opening]; rows of those that pool in the
// same way share batches. The values are bit for bit those of [Predictor.Embed].
func EmbedEach(ctx context.Context, f *text.File, of func(row int) *Predictor) (
	vectors [][]float32, truncated int, err error,
) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	vectors = make([][]float32, f.Len())
	for _, same := range tasks.Alike(f.Len(), func(i int) way { return way{of(i).cfg.Pooling, of(i).skip} }) {
		cut, err := embedRows(ctx, f, same, of, vectors)
		if err != nil {
			return nil, 0, err
		}
		truncated += cut
	}
	return vectors, truncated, nil
}

// way says how the tokens of a text become one vector.
type way struct {
	pooling Pooling
	skip    int
}

// embedRows sets the vectors of those rows of a file that have the given numbers, whose predictors pool alike.
func embedRows(
	ctx context.Context, f *text.File, numbers []int, of func(row int) *Predictor, vectors [][]float32,
) (truncated int, err error) {
	p := of(numbers[0])
	var list []side
	for _, n := range numbers {
		list = of(n).sides(list, n, f.At(n), true)
	}
	texts, err := p.encodeSides(ctx, f.Name, list, of)
	if err != nil {
		return 0, err
	}
	if err := p.checkPrompted(f.Name, texts, list); err != nil {
		return 0, err
	}
	values, err := p.RowsEach(ctx, texts, len(list), func(int) int { return p.pooledWidth() },
		func(i int) nn.AdapterSet { return of(list[i].row).Adapter }, p.poolTokens)
	if err != nil {
		return 0, err
	}
	for i, s := range list {
		if err := tasks.CheckFinite(f.Name, values[i], len(values[i]), func(int) int { return s.line }); err != nil {
			return 0, err
		}
		v, err := of(s.row).finish(values[i])
		if err != nil {
			return 0, err
		}
		vectors[s.row] = append(vectors[s.row], v...)
	}
	return texts.Cut, nil
}

// side is a text of a row: the row's only one, or one of a pair.
type side struct {
	text      string // behind the prompt if that is wanted
	row, line int
}

// sides appends the texts of a row to list.
func (p *Predictor) sides(list []side, row int, e text.Example, prompt bool) []side {
	before := ""
	if prompt {
		before = p.cfg.Prompt
	}
	list = append(list, side{before + e.Text, row, e.Line})
	if e.HasPair {
		list = append(list, side{before + e.Pair, row, e.Line})
	}
	return list
}

// encodeSides tokenises texts, each with the limit of the predictor that of returns for its row.
func (p *Predictor) encodeSides(
	ctx context.Context, file string, list []side, of func(row int) *Predictor,
) (*tasks.TextSet, error) {
	texts := tasks.Texts{
		Name: file, Len: len(list), Line: func(i int) int { return list[i].line },
		Input: func(i int) tokenize.Input { return tokenize.Input{Text: list[i].text} },
	}
	return p.EncodeEach(ctx, texts, func(i int) tokenize.Options {
		return of(list[i].row).TextOptions(tokenize.LongestFirst)
	}, nil)
}

// checkPrompted returns an error if only tokens of the prompt, which do not count, are left of a text.
func (p *Predictor) checkPrompted(file string, set *tasks.TextSet, list []side) error {
	for i, s := range list {
		if p.skip > 0 && set.Tokens(i) <= p.skip {
			return data.Errorf(file, s.line, "nothing is left of the text: its %d tokens are those of the prompt, "+
				"which do not count; give a longer text or a shorter prompt", set.Tokens(i))
		}
	}
	return nil
}

// poolTokens computes what pooling makes of the texts of a batch.
func (p *Predictor) poolTokens(pass *nn.Pass, b *batch.Batch) mat.Tensor {
	return p.pooled(pass, b, p.skip)
}

// pool computes what pooling makes of the texts of a set, one after another.
func (p *Predictor) pool(ctx context.Context, texts *tasks.TextSet) ([]float32, error) {
	return p.Rows(ctx, texts, texts.Len(), p.pooledWidth(), p.poolTokens, nil)
}

// finish makes vectors of what pooling made of the texts, in place.
func (p *Predictor) finish(pooled []float32) ([]float32, error) {
	if p.cfg.Normalize {
		if err := Normalize(pooled, p.pooledWidth()); err != nil {
			return nil, err
		}
	}
	vectors := p.truncate(pooled)
	if p.cfg.Unit {
		return vectors, Normalize(vectors, p.Width())
	}
	return vectors, nil
}

// truncate keeps the first values of each text, in place.
func (p *Predictor) truncate(pooled []float32) []float32 {
	k, w := p.pooledWidth(), p.Width()
	if k == w {
		return pooled
	}
	n := len(pooled) / k
	for i := range n {
		copy(pooled[i*w:(i+1)*w], pooled[i*k:])
	}
	return pooled[:n*w]
}

// pooled returns what pooling and the Dense modules make of the B sequences of b, whose first skip tokens do not count.
func (p *Predictor) pooled(pass *nn.Pass, b *batch.Batch, skip int) mat.Tensor {
	x := p.pooledTokens(pass, b, skip)
	for _, d := range p.cfg.Dense {
		x = d.forward(pass.Tape, x)
	}
	return x
}

// pooledTokens returns what pooling makes of the B sequences of b, whose first skip tokens do not count.
func (p *Predictor) pooledTokens(pass *nn.Pass, b *batch.Batch, skip int) mat.Tensor {
	keep := map[Pooling]func(op.Seqs) *nn.Kept{First: nn.FirstRows, Last: nn.LastRows}[p.cfg.Pooling]
	if keep != nil && (skip == 0 || p.cfg.Pooling == Last) {
		pass = pass.With(b.Seqs)
		pass.Keep = keep(pass.Seqs)
		return p.Net.Forward(pass, b)
	}
	scope := pass.Tape.Scope()
	y := op.PoolRows(pass.Tape, p.Net.Forward(pass, b), b.Seqs.Starts, skip, p.ways...)
	pass.Tape.Leave(scope, y)
	return y
}

// encode tokenises the texts of a file, those of a pair one after the other and each behind the prompt if that is
// wanted.
func (p *Predictor) encode(ctx context.Context, f *text.File, prompt bool) (*tasks.TextSet, error) {
	var list []side
	for i, e := range f.All() {
		list = p.sides(list, i, e, prompt)
	}
	set, err := p.encodeSides(ctx, f.Name, list, p.all)
	if err == nil && prompt {
		err = p.checkPrompted(f.Name, set, list)
	}
	return set, err
}

// Similarities returns the similarity of each pair of vectors (2n×Width), n values: the cosine, or what the checkpoint
// names.
func (p *Predictor) Similarities(vectors []float32) []float32 {
	return p.cfg.Similarity.Of(vectors, p.Width())
}

// Score returns the correlations of the similarities of a file of pairs, those of [Predictor.Similarities], with the
// scores of the pairs and, if they are cosines, the mean squared error. Without scores the result is the zero Metrics.
func (p *Predictor) Score(f *text.File, similarities []float32) (train.Metrics, error) {
	scores, err := p.scores(f)
	if err != nil || scores == nil {
		return train.Metrics{}, err
	}
	m, err := p.correlations(scores, similarities, nil)
	if err != nil {
		return m, fmt.Errorf("embed: %s: %w", f.Name, err)
	}
	return m, nil
}

// cosine reports whether the similarity of vectors is their cosine.
func (p *Predictor) cosine() bool { return p.cfg.Similarity == "" || p.cfg.Similarity == CosineOf }

// correlations compares similarities with scores. The loss is that of the cosines, which may be nil: then there is a
// loss only if the similarities are cosines.
func (p *Predictor) correlations(scores, similarities, cosines []float32) (train.Metrics, error) {
	s, err := metrics.Regression(scores, similarities)
	if err != nil {
		return train.Metrics{}, err
	}
	m := train.Metrics{Main: "spearman", Values: []train.Metric{
		tasks.Metric("spearman", s.Spearman, false), tasks.Metric("pearson", s.Pearson, false),
	}}
	if !p.cosine() {
		if cosines == nil {
			return m, nil
		}
		if s, err = metrics.Regression(scores, cosines); err != nil {
			return train.Metrics{}, err
		}
	}
	m.Values = append(m.Values, tasks.Metric("loss", s.MSE, true))
	return m, nil
}

// scores returns the scores of the pairs of a file, divided by the largest, or nil if no row has one.
func (p *Predictor) scores(f *text.File) ([]float32, error) {
	if f.Labelled() == 0 {
		return nil, nil
	}
	scores, err := f.Targets()
	if err != nil {
		return nil, fmt.Errorf("%w; the label of a pair is its score", err)
	}
	for i, v := range scores {
		line := f.At(i).Line
		switch top := float32(p.cfg.MaxScore); {
		case v != v:
			return nil, data.Errorf(f.Name, line, "the pair has no score, but others have: either all have one or none has")
		case v > top:
			return nil, data.Errorf(f.Name, line,
				"the score %g is above %g, that of texts that mean the same; "+
					"say with `max_score` what the largest is (5 for STS-B)", v, top)
		case v < -top:
			return nil, data.Errorf(f.Name, line,
				"the score %g is below %g, the opposite of that of texts that mean the same", v, -top)
		}
		scores[i] = float32(float64(v) / p.cfg.MaxScore)
	}
	return scores, nil
}

// Normalize divides each vector (n×width) by its Euclidean norm, in place. A zero vector is not changed. It returns
// an error if a value is not finite.
func Normalize(vectors []float32, width int) error {
	for lo := 0; lo < len(vectors); lo += width {
		row := vectors[lo : lo+width]
		sum := 0.0
		for _, x := range row {
			sum += float64(float64(x) * float64(x))
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return errors.New("embed: a vector is not finite; the weights of the model or the adapter are damaged, " +
				"get them again")
		}
		if norm := math.Sqrt(sum); norm > 0 {
			for j, x := range row {
				row[j] = float32(float64(x) / norm)
			}
		}
	}
	return nil
}
