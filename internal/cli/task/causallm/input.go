package causallm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/generation"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/causallm"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// readInput returns the prompts or texts of --input: each line of plain text is one, unlike in training.
func (r *predicting) readInput() (*document.File, error) {
	var unknown error // a name that no adapter has
	o := r.data
	if check := r.models.Adapter(); check != nil {
		o.Adapter = func(name string) error {
			unknown = check(name)
			return unknown
		}
	}
	if o.CompletionColumn == "" && o.PromptColumn != "" && o.TextColumn == "" { // completions need not be there
		o.TextColumn, o.PromptColumn = o.PromptColumn, ""
	}
	content, err := cli.ReadInput(r.input, r.env.In)
	if err != nil {
		return nil, err
	}
	if o.Format = task.FormatOf(r.input, content, o.Format, o.Delimiter); o.Format == data.PlainText {
		d, err := r.readLines(content)
		return d, tasks.NameStdin(err)
	}
	d, err := document.ReadBytes(content, r.input, o)
	if err != nil && o.TextColumn+o.PromptColumn+o.CompletionColumn+o.MessagesColumn == "" {
		o.TextColumn = "prompt" // prompts alone, without completions
		if prompts, second := document.ReadBytes(content, r.input, o); second == nil || unknown != nil ||
			lineOf(second) > lineOf(err) {
			d, err = prompts, second
		}
	}
	if err != nil {
		return nil, tasks.NameStdin(err)
	}
	for _, w := range d.ReadWarnings() {
		r.console.Log.Warn().Msg(w.String())
	}
	return d, nil
}

func lineOf(err error) int {
	if d, ok := errors.AsType[*data.Error](err); ok {
		return d.Line
	}
	return 0
}

// readLines returns a document for each line that is not empty.
func (r *predicting) readLines(content []byte) (*document.File, error) {
	o := text.Options{
		Format: data.PlainText, NoLabels: true, ReplaceInvalid: r.data.ReplaceInvalid, NoHeader: r.data.NoHeader,
		NoQuotes:   r.data.NoQuotes,
		TextColumn: r.data.TextColumn, Adapter: r.models.Adapter(),
	}
	t, err := text.ReadBytes(content, r.input, o)
	if err != nil {
		return nil, err
	}
	d := document.New(t.Name, document.Text)
	for e := range t.Values() {
		if e.Text != "" {
			d.Append(document.Document{Text: e.Text, Line: e.Line})
		}
	}
	if d.Len() == 0 {
		return nil, &data.Error{File: r.input, Msg: "all lines are empty"}
	}
	return d, nil
}

// score writes the metrics of the input.
func (r *predicting) score(ctx context.Context, to cli.Result) error {
	o := r.data
	o.Adapter = r.models.Adapter()
	docs, err := tasks.ReadFile(r.input, r.env.In, o, document.Read, document.ReadFrom)
	if err != nil {
		return err
	}
	parts, err := task.Parts[*causallm.Opened](r.models, docs.Name, docs)
	if err != nil {
		return err
	}
	out := &task.Predictions{Name: docs.Name}
	for _, s := range parts {
		metrics, tokens, err := r.scorePart(ctx, s.Predictor, s.File)
		if err != nil {
			return err
		}
		out.Add(s.Adapter, metrics, tokens, tokens)
	}
	out.Average("loss", "accuracy")
	if loss, ok := out.Metrics.Get("loss"); ok && len(out.Each) > 0 {
		loss.Name, loss.Value = "perplexity", math.Exp(loss.Value)
		out.Metrics.Values = slices.Insert(out.Metrics.Values, 1, loss)
	}
	out.LogMetrics(r.console.Log, "tokens")
	text, err := out.MetricsJSON()
	if err != nil {
		return fmt.Errorf("--metrics-file: %w", err)
	}
	return to.Write(r.env, files.Bytes(append(text, '\n')))
}

// scorePart returns the metrics of the documents that one predictor serves, and the number of tokens that they count.
func (r *predicting) scorePart(
	ctx context.Context, m *causallm.Opened, docs *document.File,
) (metrics train.Metrics, tokens int, err error) {
	block := 0
	switch {
	case r.blockSize != nil:
		block = *r.blockSize
	case docs.Format == data.PlainText:
		if block = min(causallm.StandardBlock, m.Positions()); r.settings.MaxLength > 0 {
			block = min(block, r.settings.MaxLength)
		}
	}
	scorer, err := m.Scorer(block)
	if err != nil {
		return metrics, 0, err
	}
	if err := scorer.Add(ctx, batch.Test, docs); err != nil {
		return metrics, 0, cli.InputError(err)
	}
	c := scorer.Counts(batch.Test)
	if c.Cut > 0 {
		r.console.Log.Warn().Msgf("%s: %d of %d %v are longer than %d tokens and were cut",
			docs.Name, c.Cut, c.Documents, docs.Kind, scorer.Limit())
	}
	metrics, err = scorer.Evaluate(ctx, batch.Test)
	return metrics, c.Targets, err
}

// Bounds of --logits on standard output: the approximate bytes of a number, and the largest total.
const (
	bytesOfLogit = 11
	mostLogits   = 64 << 20
)

// writeLogits writes the logits of every position of every text.
func (r *predicting) writeLogits(ctx context.Context, m *causallm.Opened, result cli.Result) error {
	docs := document.New("--prompt", document.Text)
	for i, text := range r.prompts {
		docs.Append(document.Document{Text: text, Line: i + 1})
	}
	if len(r.prompts) == 0 {
		var err error
		if docs, err = r.readInput(); err != nil {
			return err
		}
	}
	if docs.Kind != document.Text {
		return cli.InputError(fmt.Errorf("%s: --logits needs texts, but the rows are %v; name a column with --text-column",
			docs.Name, docs.Kind))
	}
	if err := r.checkSize(m, docs); err != nil {
		return err
	}
	parts, err := task.Parts[*causallm.Opened](r.models, docs.Name, docs)
	if err != nil {
		return err
	}
	by := task.ByRow(parts)
	return result.Write(r.env, func(w io.Writer) error {
		cut := 0
		for lo, hi := 0, 0; lo < docs.Len(); lo = hi { // texts are computed one by one: rows in turn, in their order
			for hi = lo; hi < docs.Len() && by[hi] == by[lo]; hi++ {
			}
			n, err := by[lo].Logits(ctx, data.Part(docs, lo, hi), func(i int, ids []int32, logits []float32) error {
				row, err := generation.LogitsOf(docs.Name, docs.At(lo+i).Line, ids, logits)
				if err != nil {
					return err
				}
				return task.WriteLine(w, r.models.Row(docs.AdapterOf(lo+i), row))
			})
			if err != nil {
				return err
			}
			cut += n
		}
		tasks.WarnCut(r.console.Log, docs.Name, cut, docs.Len(), m.Limit())
		return nil
	})
}

// checkSize returns an error if the logits are too large for standard output, and logs the size of a large file.
func (r *predicting) checkSize(m *causallm.Opened, docs *document.File) error {
	rows := 0
	for d := range docs.Values() {
		e, err := m.Tokenizer().Encode(d.Text, tokenize.Options{})
		if err != nil {
			return cli.InputError(fmt.Errorf("%s:%d: %w", docs.Name, d.Line, err))
		}
		rows += min(len(e.IDs), m.Limit())
	}
	size := rows * m.Vocabulary() * bytesOfLogit
	if size <= mostLogits {
		return nil
	}
	if r.output == "" || r.output == "-" {
		return cli.UsageError(fmt.Errorf("--logits: %d tokens with %d logits each are about %d MB; give --output FILE",
			rows, m.Vocabulary(), size>>20))
	}
	r.console.Log.Info().Msgf("%d tokens with %d logits each: about %d MB", rows, m.Vocabulary(), size>>20)
	return nil
}
