package finetune

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// documents are the data of a run; eval and test may be nil.
type documents struct{ train, eval, test *data.Documents }

// splits lists them with the parts that they play.
func (d documents) splits() []split {
	var list []split
	for i, docs := range []*data.Documents{d.train, d.eval, d.test} {
		if docs != nil {
			list = append(list, split{[]data.Split{data.Train, data.Eval, data.Test}[i], docs})
		}
	}
	return list
}

type split struct {
	part data.Split
	docs *data.Documents
}

// readDocuments reads the data and logs what is odd about them.
func (r *causalRun) readDocuments() (d documents, err error) {
	if r.files.train == "" {
		if d, err = builtInTexts(); err != nil {
			return d, err
		}
	} else {
		o, err := r.data.Options()
		if err != nil {
			return d, err
		}
		for _, f := range []struct {
			path string
			to   **data.Documents
		}{{r.files.train, &d.train}, {r.files.eval, &d.eval}, {r.files.test, &d.test}} {
			if f.path == "" {
				continue
			}
			if *f.to, err = cli.ReadDocuments(f.path, r.env.In, o); err != nil {
				return d, err
			}
		}
	}
	d.train = d.train.Limit(r.files.max)
	if r.files.split > 0 {
		if d.train, d.eval, err = d.train.SplitOff(r.files.split, r.train.cfg.Seed); err != nil {
			return d, cli.UsageError(fmt.Errorf("--validation-split: %w", err))
		}
	}
	for _, w := range data.DocumentWarnings(d.train, d.eval, d.test) {
		r.console.Log.Warn().Msg(w.String())
	}
	return d, nil
}

// newTask tokenises the documents.
func (r *causalRun) newTask(ctx context.Context, s *subject, d documents, pool *op.Pool) (*tasks.CausalLM, error) {
	block, err := r.block(d, s.model.MaxLength())
	if err != nil {
		return nil, err
	}
	tooLong, _ := parseTooLong(r.tooLong) // checked before
	cfg := tasks.CausalLMConfig{BlockSize: block, MaxLength: r.maxLength, OnTooLong: tooLong, TrainOnPrompt: r.trainOnPrompt, Pool: pool, Adapter: s.adapter()}
	for _, x := range d.splits() {
		if x.docs.Kind == data.ChatDocument && s.template == nil {
			return nil, cli.InputError(fmt.Errorf("%s: the rows are chats, but %s has no chat template; put a chat_template.jinja beside its tokenizer.json, or give prompts with completions", x.docs.Name, s.base.Name))
		}
	}
	cfg.Template = s.template
	task, err := tasks.NewCausalLM(s.model, s.base.Tokenizer, cfg)
	if err != nil {
		return nil, cli.UsageError(err)
	}
	for _, x := range d.splits() {
		if err := task.Add(ctx, x.part, x.docs); err != nil {
			return nil, err
		}
		r.reportSplit(x, task)
	}
	return task, nil
}

// block returns the length of windows: that of the flag or, for plain text, the standard one.
func (r *causalRun) block(d documents, limit int) (int, error) {
	if r.maxLength > 0 {
		limit = min(limit, r.maxLength)
	}
	asked := r.given("block-size") && r.blockSize > 0
	windows := asked || !r.given("block-size") && (d.train.Format == data.PlainText || r.files.train == "")
	for _, x := range d.splits() {
		switch {
		case asked && x.docs.Kind != data.TextDocument:
			return 0, cli.UsageError(fmt.Errorf("--block-size is for texts, but the rows of %s are %v; leave it out", x.docs.Name, x.docs.Kind))
		case !windows && !r.given("block-size") && x.docs.Format == data.PlainText:
			return 0, cli.UsageError(fmt.Errorf("%s is plain text, the training data are rows; say with --block-size how texts are cut", x.docs.Name))
		}
	}
	switch {
	case !windows:
		return 0, nil
	case asked:
		return r.blockSize, nil
	}
	return min(cli.StandardBlock, limit), nil
}

// reportSplit logs what became of the documents of a file.
func (r *causalRun) reportSplit(x split, task *tasks.CausalLM) {
	c := task.Counts(x.part)
	r.console.Log.Info().Msgf("%v data %s: %d %v, %d sequences of %d tokens in all, %d of them learned", x.part, x.docs.Name, c.Documents, x.docs.Kind, c.Sequences, c.Tokens, c.Targets)
	warn := r.console.Log.Warn()
	if c.Cut > 0 {
		warn.Msgf("%s: %d of %d %v are longer than %d tokens; they were cut and %d tokens lost (--too-long error refuses them)", x.docs.Name, c.Cut, c.Documents, x.docs.Kind, task.Limit(), c.Lost)
		warn = r.console.Log.Warn()
	}
	if c.Untaught > 0 {
		at := ""
		if c.UntaughtLine > 0 {
			at = fmt.Sprintf(", the first in line %d", c.UntaughtLine)
		}
		warn.Msgf("%s: nothing can be learned of %d sequences; they were left out%s", x.docs.Name, c.Untaught, at)
	}
}

// builtInTests is how many questions are scored at the end: enough to tell, and soon done.
const builtInTests = 500

// builtInTexts returns the questions of banking77 as texts.
func builtInTexts() (d documents, err error) {
	train, test := embedded.Banking77()
	o := data.DocumentOptions{Format: data.CSV, TextColumn: "text"}
	if d.train, err = data.ReadDocumentsBytes(train, embedded.Banking77Name, o); err != nil {
		return d, err
	}
	o.MaxSamples = builtInTests
	d.test, err = data.ReadDocumentsBytes(test, embedded.Banking77Name+" test", o)
	return d, err
}
