package multiplechoice

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Config says how questions become sequences. The zero value is usable.
type Config struct {
	tasks.CoreConfig                   // a sequence is a choice with its question
	Truncation       tokenize.Strategy // what to cut of one that is longer than MaxLength
}

// Predictor picks one of the choices of a question: the model gives each choice, a pair of texts
// ([choice.Question.Pair]), a score, and the scores of a question are compared with each other. Questions may have
// different numbers of choices. It is safe for concurrent use and keeps the memory of a call for the next; Close
// releases it.
type Predictor struct {
	tasks.Core[models.MultipleChoice]
	cfg Config
}

// NewPredictor returns a predictor. Settings that contradict each other, the model or the tokenizer are reported in one
// error.
func NewPredictor(m models.MultipleChoice, tok *tokenize.Tokenizer, c Config) (*Predictor, error) {
	if errs := tasks.CheckText(m, c.MaxLength); len(errs) > 0 {
		return nil, fmt.Errorf("multiplechoice: %w", errors.Join(errs...))
	}
	return &Predictor{tasks.NewCore(m, tok, c.CoreConfig), c}, nil
}

// WarnCut logs that n of the questions of a file have choices that were cut to a limit in tokens, if there are any.
func WarnCut(log zerolog.Logger, file string, n, of, limit int) {
	if n > 0 {
		log.Warn().Msgf("%s: %d of %d questions have choices that are longer than %d tokens with what comes before them "+
			"and were cut", file, n, of, limit)
	}
}

// encode tokenises every choice of every question.
func (p *Predictor) encode(ctx context.Context, f *choice.File) (*questions, error) {
	return p.encodeEach(ctx, f, p.all)
}

// encodeEach is encode for questions that several predictors on one model serve.
func (p *Predictor) encodeEach(ctx context.Context, f *choice.File, of func(i int) *Predictor) (*questions, error) {
	set := &questions{starts: make([]int, 1, f.Len()+1), labels: make([]int32, 0, f.Len())}
	for q := range f.Values() {
		n := len(q.Endings)
		if q.Label >= n || n == 0 {
			return nil, &data.Error{
				File: f.Name, Line: q.Line, Msg: fmt.Sprintf("the question has %d choices and the label %d", n, q.Label),
			}
		}
		set.starts, set.labels = append(set.starts, set.starts[len(set.labels)]+n), append(set.labels, label(q))
	}
	texts := tasks.Texts{Name: f.Name, Len: set.starts[f.Len()], Input: func(choice int) tokenize.Input {
		q, i := set.question(choice)
		first, second := f.At(q).Pair(i)
		return tokenize.Input{Text: first, Pair: second, HasPair: true}
	}, Line: func(choice int) int {
		q, _ := set.question(choice)
		return f.At(q).Line
	}}
	last := -1 // question of which a choice was cut
	cut := func(choice int) {
		if q, _ := set.question(choice); q != last {
			set.cut++
			last = q
		}
	}
	options := func(choice int) tokenize.Options {
		q, _ := set.question(choice)
		return of(q).TextOptions(of(q).cfg.Truncation)
	}
	var err error
	set.texts, err = p.EncodeEach(ctx, texts, options, cut)
	return set, err
}

// label returns the index of the right choice of a question, [batch.Ignore] if none is given.
func label(q choice.Question) int32 {
	if q.Label < 0 {
		return batch.Ignore
	}
	return int32(q.Label)
}

// logits computes one number for each choice of a set.
func (p *Predictor) logits(ctx context.Context, set *questions) ([]float32, error) {
	return p.Rows(ctx, set, set.texts.Len(), 1, p.Net.Logits, nil)
}

// Choice is the prediction for a question.
type Choice struct {
	Index  int       // of the most probable choice; the first among equals
	Text   string    // of that choice
	Score  float32   // its probability
	Scores []float32 // probability of each choice
	Logits []float32 // raw output for each choice
}

// Predict picks a choice for each question of a file, and counts the questions of which a choice was cut to the length
// limit. A logit that is not finite is an error.
func (p *Predictor) Predict(ctx context.Context, f *choice.File) (list []Choice, truncated int, err error) {
	return PredictEach(ctx, f, p.all)
}

// all is the function of [PredictEach] for a predictor that serves all questions.
func (p *Predictor) all(int) *Predictor { return p }

// PredictEach is like [Predictor.Predict] for a file whose questions several predictors serve: of returns that of each.
// The predictors have one model in common, see [tasks.Opening], and their questions share batches, which changes no bit
// of the results.
func PredictEach(
	ctx context.Context, f *choice.File, of func(row int) *Predictor,
) (list []Choice, truncated int, err error) {
	if f.Len() == 0 {
		return nil, 0, ctx.Err()
	}
	p := of(0)
	set, err := p.encodeEach(ctx, f, of)
	if err != nil {
		return nil, 0, err
	}
	scores, err := p.RowsEach(ctx, set, set.texts.Len(), func(int) int { return 1 },
		func(q int) nn.AdapterSet { return of(q).Adapter }, p.Net.Logits)
	if err != nil {
		return nil, 0, err
	}
	logits := slices.Concat(scores...)
	list = make([]Choice, set.Len())
	for q := range list {
		row := logits[set.starts[q]:set.starts[q+1]:set.starts[q+1]]
		if err := tasks.CheckFinite(f.Name, row, len(row), func(int) int { return f.At(q).Line }); err != nil {
			return nil, 0, err
		}
		c := Choice{Index: tasks.Largest(row), Logits: row, Scores: tasks.Probabilities(data.SingleLabel, row, len(row))}
		c.Text, c.Score = f.At(q).Endings[c.Index], c.Scores[c.Index]
		list[q] = c
	}
	return list, set.cut, nil
}

// Choose picks a choice for each question, whose labels it ignores. Choices that are too long are cut. It returns an
// error if a question has no text or fewer than two choices, a choice is blank, or a logit is not finite.
func (p *Predictor) Choose(ctx context.Context, questions []choice.Question) ([]Choice, error) {
	return ChooseEach(ctx, questions, p.all)
}

// ChooseEach is like [Predictor.Choose] for questions that several predictors serve; see [PredictEach].
func ChooseEach(ctx context.Context, questions []choice.Question, of func(i int) *Predictor) ([]Choice, error) {
	f := choice.New("questions")
	for i, q := range questions {
		switch {
		case data.Blank(q.Context) && data.Blank(q.Question):
			return nil, fmt.Errorf("multiplechoice: question %d has no text; give a context, a question or both", i+1)
		case len(q.Endings) < 2:
			return nil, fmt.Errorf("multiplechoice: question %d has %d choices; give two or more", i+1, len(q.Endings))
		case slices.ContainsFunc(q.Endings, data.Blank):
			return nil, fmt.Errorf("multiplechoice: question %d has a blank choice", i+1)
		}
		q.Label, q.Line = -1, i+1
		f.Append(q)
	}
	list, _, err := PredictEach(ctx, f, of)
	return list, err
}

// MetricNames lists the metrics of questions with answers, the deciding one first.
func (p *Predictor) MetricNames() []string { return []string{"accuracy", "loss"} }

// Score returns the metrics of predictions that were made before: those of [Predictor.Predict] for the same file.
// Questions without an answer do not count; without any the result is the zero Metrics.
func (p *Predictor) Score(f *choice.File, predictions []Choice) (train.Metrics, error) {
	if len(predictions) != f.Len() {
		return train.Metrics{}, fmt.Errorf("multiplechoice: %d predictions for %d questions", len(predictions), f.Len())
	}
	labels := make([]int32, f.Len())
	for i, q := range f.All() {
		labels[i] = label(q)
		if n, k := len(q.Endings), len(predictions[i].Logits); n != k || q.Label >= n {
			return train.Metrics{}, fmt.Errorf("multiplechoice: %d logits for the %d choices of question %d (label %d)",
				k, n, i, q.Label)
		}
	}
	m := score(labels, func(q int) []float32 { return predictions[q].Logits })
	for _, v := range m.Values {
		if math.IsNaN(v.Value) {
			return m, fmt.Errorf("multiplechoice: %s: %s is not a number; the weights of the model or the adapter are damaged, "+
				"get them again", f.Name, v.Name)
		}
	}
	return m, nil
}

// score returns accuracy and mean loss of the questions that have a label, the zero Metrics if none has.
func score(labels []int32, logits func(q int) []float32) train.Metrics {
	right, n, loss := 0, 0, 0.0
	for q, label := range labels {
		if label == batch.Ignore {
			continue
		}
		row := logits(q)
		if tasks.Largest(row) == int(label) {
			right++
		}
		loss += tasks.LogSumExp(row) - float64(row[label])
		n++
	}
	if n == 0 {
		return train.Metrics{}
	}
	return train.Metrics{Main: "accuracy", Values: []train.Metric{
		{Name: "accuracy", Value: float64(right) / float64(n)},
		{Name: "loss", Value: loss / float64(n), LowerIsBetter: true},
	}}
}
