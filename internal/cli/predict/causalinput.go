package predict

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// readInput returns the prompts or texts of --input: each line of plain text is one, unlike in training.
func (r *causalRun) readInput() (*document.File, error) {
	o, err := r.data.Options()
	if err != nil {
		return nil, err
	}
	if o.CompletionColumn == "" && o.PromptColumn != "" && o.TextColumn == "" { // completions need not be there
		o.TextColumn, o.PromptColumn = o.PromptColumn, ""
	}
	content, err := cli.ReadInput(r.input, r.env.In)
	if err != nil {
		return nil, err
	}
	if o.Format = formatOf(r.input, content, text.Options{Format: o.Format, Delimiter: o.Delimiter}); o.Format == data.PlainText {
		d, err := r.readLines(content)
		return d, cli.NameStdin(err)
	}
	d, err := document.ReadBytes(content, r.input, o)
	if err != nil && o.TextColumn+o.PromptColumn+o.CompletionColumn+o.MessagesColumn == "" {
		o.TextColumn = "prompt" // prompts alone, without completions
		if prompts, second := document.ReadBytes(content, r.input, o); second == nil || lineOf(second) > lineOf(err) {
			d, err = prompts, second
		}
	}
	return d, cli.NameStdin(err)
}

func lineOf(err error) int {
	if d, ok := errors.AsType[*data.Error](err); ok {
		return d.Line
	}
	return 0
}

// readLines returns a document for each line that is not empty.
func (r *causalRun) readLines(content []byte) (*document.File, error) {
	o := text.Options{Format: data.PlainText, NoLabels: true, ReplaceInvalid: r.data.ReplaceInvalid, NoHeader: r.data.NoHeader, NoQuotes: r.data.NoQuotes, TextColumn: r.data.Text}
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

// newTask returns the task that computes logits and scores.
func (r *causalRun) newTask(m *cli.LanguageModel, pool *op.Pool, block int) (*tasks.CausalLM, error) {
	task, err := tasks.NewCausalLM(m.Model, m.Base.Tokenizer, tasks.CausalLMConfig{
		BlockSize: block, MaxLength: r.maxLength, Template: m.Template, Pool: pool, Adapter: m.Adapter(),
	})
	return task, cli.UsageError(err)
}

// score writes how well the input is predicted.
func (r *causalRun) score(ctx context.Context, m *cli.LanguageModel, pool *op.Pool, to cli.Result) error {
	o, err := r.data.Options()
	if err != nil {
		return err
	}
	docs, err := cli.ReadDocuments(r.input, r.env.In, o)
	if err != nil {
		return err
	}
	block := 0
	switch {
	case r.given("block-size"):
		block = r.blockSize
	case docs.Format == data.PlainText:
		if block = min(r.blockSize, m.Model.MaxLength()); r.maxLength > 0 {
			block = min(block, r.maxLength)
		}
	}
	task, err := r.newTask(m, pool, block)
	if err != nil {
		return err
	}
	if err := task.Add(ctx, batch.Test, docs); err != nil {
		return cli.InputError(err)
	}
	if c := task.Counts(batch.Test); c.Cut > 0 {
		r.console.Log.Warn().Msgf("%s: %d of %d %v are longer than %d tokens and were cut", docs.Name, c.Cut, c.Documents, docs.Kind, task.Limit())
	}
	metrics, err := task.Evaluate(ctx, batch.Test)
	if err != nil {
		return err
	}
	r.console.Log.Info().Msgf("%s, %d tokens: %s", docs.Name, task.Counts(batch.Test).Targets, cli.MetricsText(metrics))
	text, err := json.MarshalIndent(metrics, "", "  ")
	if err != nil {
		return fmt.Errorf("--metrics-file: %w", err)
	}
	return to.Write(r.env, files.Bytes(append(text, '\n')))
}

// tokenLogits is what is written for a text with --logits.
type tokenLogits struct {
	IDs    []int32     `json:"ids"`
	Logits [][]float32 `json:"logits"` // of the next token, after each of the ids
}

// Bounds of --logits on standard output: about so many bytes for a number, and in all.
const (
	bytesOfLogit = 11
	mostLogits   = 64 << 20
)

// writeLogits writes the logits of every position of every text.
func (r *causalRun) writeLogits(ctx context.Context, m *cli.LanguageModel, pool *op.Pool, result cli.Result) error {
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
		return cli.InputError(fmt.Errorf("%s: --logits wants texts, but the rows are %v; name a column with --text-column", docs.Name, docs.Kind))
	}
	task, err := r.newTask(m, pool, 0)
	if err != nil {
		return err
	}
	if err := r.checkSize(m, docs, task.Limit()); err != nil {
		return err
	}
	v := m.Model.Vocabulary()
	return result.Write(r.env, func(w io.Writer) error {
		cut, err := task.Logits(ctx, docs, func(i int, ids []int32, logits []float32) error {
			row := tokenLogits{IDs: ids, Logits: make([][]float32, len(ids))}
			for at := range ids {
				row.Logits[at] = logits[at*v : (at+1)*v]
				for id, x := range row.Logits[at] {
					if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
						return fmt.Errorf("%s:%d: the logit of token %d at position %d is %v; the weights of the model or the adapter are damaged", docs.Name, docs.At(i).Line, id, at, f)
					}
				}
			}
			if ids == nil {
				row.IDs = []int32{}
			}
			return writeLine(w, row)
		})
		if cut > 0 {
			r.console.Log.Warn().Msgf("%s: %d of %d texts are longer than %d tokens and were cut", docs.Name, cut, docs.Len(), task.Limit())
		}
		return err
	})
}

// checkSize errs if the logits are more than anybody wants on standard output, and tells how many there will be in a file.
func (r *causalRun) checkSize(m *cli.LanguageModel, docs *document.File, limit int) error {
	rows := 0
	for d := range docs.Values() {
		e, err := m.Base.Tokenizer.Encode(d.Text, tokenize.Options{})
		if err != nil {
			return fmt.Errorf("%s:%d: %w", docs.Name, d.Line, err)
		}
		rows += min(len(e.IDs), limit)
	}
	size := rows * m.Model.Vocabulary() * bytesOfLogit
	if size <= mostLogits {
		return nil
	}
	if r.output == "" || r.output == "-" {
		return cli.UsageError(fmt.Errorf("--logits: %d tokens with %d logits each are about %d MB; give --output FILE", rows, m.Model.Vocabulary(), size>>20))
	}
	r.console.Log.Info().Msgf("%d tokens with %d logits each: about %d MB", rows, m.Model.Vocabulary(), size>>20)
	return nil
}

// writeLine writes v as one line of JSON.
func writeLine(w io.Writer, v any) error {
	var b bytes.Buffer
	if err := appendJSON(&b, v); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}
