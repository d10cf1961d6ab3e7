package finetune

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// documents are the data of a run.
type documents = parts[*document.File]

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
		if d, err = readParts(r.files, func(path string) (*document.File, error) { return cli.ReadDocuments(path, r.env.In, o) }); err != nil {
			return d, err
		}
	}
	if err = d.choose(r.files, r.train.cfg.Seed); err != nil {
		return d, err
	}
	r.warn(document.Warnings(d.train, d.eval, d.test))
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
	err = d.each(func(_ batch.Split, docs *document.File) error {
		if docs.Kind == document.Chat && s.template == nil {
			return cli.InputError(fmt.Errorf("%s: the rows are chats, but %s has no chat template; put a chat_template.jinja beside its tokenizer.json, or give prompts with completions", docs.Name, s.base.Name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	cfg.Template = s.template
	task, err := tasks.NewCausalLM(s.model, s.base.Tokenizer, cfg)
	if err != nil {
		return nil, cli.UsageError(err)
	}
	return task, d.each(func(part batch.Split, docs *document.File) error {
		if err := task.Add(ctx, part, docs); err != nil {
			return err
		}
		r.reportSplit(part, docs, task)
		return nil
	})
}

// block returns the length of windows: that of the flag or, for plain text, the standard one.
func (r *causalRun) block(d documents, limit int) (int, error) {
	if r.maxLength > 0 {
		limit = min(limit, r.maxLength)
	}
	asked := r.given("block-size") && r.blockSize > 0
	windows := asked || !r.given("block-size") && (d.train.Format == data.PlainText || r.files.train == "")
	err := d.each(func(_ batch.Split, docs *document.File) error {
		switch {
		case asked && docs.Kind != document.Text:
			return cli.UsageError(fmt.Errorf("--block-size is for texts, but the rows of %s are %v; leave it out", docs.Name, docs.Kind))
		case !windows && !r.given("block-size") && docs.Format == data.PlainText:
			return cli.UsageError(fmt.Errorf("%s is plain text, the training data are rows; say with --block-size how texts are cut", docs.Name))
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case !windows:
		return 0, nil
	case asked:
		return r.blockSize, nil
	}
	return min(cli.StandardBlock, limit), nil
}

// reportSplit logs what became of the documents of a file.
func (r *causalRun) reportSplit(part batch.Split, docs *document.File, task *tasks.CausalLM) {
	c := task.Counts(part)
	r.console.Log.Info().Msgf("%v data %s: %d %v, %d sequences of %d tokens in all, %d of them learned", part, docs.Name, c.Documents, docs.Kind, c.Sequences, c.Tokens, c.Targets)
	warn := r.console.Log.Warn()
	if c.Cut > 0 {
		warn.Msgf("%s: %d of %d %v are longer than %d tokens; they were cut and %d tokens lost (--too-long error refuses them)", docs.Name, c.Cut, c.Documents, docs.Kind, task.Limit(), c.Lost)
		warn = r.console.Log.Warn()
	}
	if c.Untaught > 0 {
		at := ""
		if c.UntaughtLine > 0 {
			at = fmt.Sprintf(", the first in line %d", c.UntaughtLine)
		}
		warn.Msgf("%s: nothing can be learned of %d sequences; they were left out%s", docs.Name, c.Untaught, at)
	}
}

// builtInTests is how many questions are scored at the end: enough to tell, and soon done.
const builtInTests = 500

// builtInTexts returns the questions of banking77 as texts.
func builtInTexts() (d documents, err error) {
	train, test := embedded.Banking77()
	o := document.Options{Format: data.CSV, TextColumn: "text"}
	if d.train, err = document.ReadBytes(train, embedded.Banking77Name, o); err != nil {
		return d, err
	}
	o.MaxSamples = builtInTests
	d.test, err = document.ReadBytes(test, embedded.Banking77Name+" test", o)
	return d, err
}
