package finetune

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks"
)

// readData reads the pairs and decides what is learned from them, and how vectors are pooled.
func (r *embedRun) readData(*cli.Base) error {
	var err error
	if r.sentences, err = cli.ReadSentenceEncoder(r.model); err != nil {
		return err
	}
	if r.pooled, err = r.sentences.Pooling(r.pooling, r.lora.adapter); err != nil {
		return err
	}
	t, err := r.readTables()
	if err != nil {
		return err
	}
	scored := t.all.Labelled() > 0
	r.loss = tasks.CosineLoss
	switch {
	case r.lossName != "":
		r.loss, _ = tasks.ParsePairLoss(r.lossName) // checked before
	case !scored:
		r.loss = tasks.MultipleNegatives
	}
	if r.loss == tasks.MultipleNegatives && r.train.cfg.BatchSize == 1 && !r.given("tokens-per-batch") {
		return cli.UsageError(errors.New("--batch-size is 1, but the loss multiple_negatives compares the pairs of a batch with each other: one pair teaches nothing; want 2 or more"))
	}
	if err := r.checkUsed(t); err != nil {
		return err
	}
	log := r.console.Log
	rows := t.sizes(t.train.Name, "pairs", func(x *text.File) int { return x.Len() })
	log.Info().Msgf("%s; loss %v, pooling %v", rows, r.loss, r.pooled)
	if scored && r.loss == tasks.MultipleNegatives {
		log.Warn().Msgf("%s: the scores are not used by --loss multiple_negatives, which takes all pairs for texts that belong together", t.train.Name)
	}
	r.warn(text.Warnings(nil, t.train, t.eval, t.test))
	r.tables = t
	return nil
}

// checkUsed errs if flags were given that the loss and the data leave without a use.
func (r *embedRun) checkUsed(t tables) error {
	var errs []error
	if r.loss == tasks.CosineLoss && r.typed("similarity-scale") {
		errs = append(errs, fmt.Errorf("--similarity-scale is for the loss %v, not for %v", tasks.MultipleNegatives, r.loss))
	}
	scores := 0
	_ = t.each(func(_ batch.Split, x *text.File) error { // it returns what the function does: nil
		scores += x.Labelled()
		return nil
	})
	if scores == 0 && r.typed("max-score") {
		errs = append(errs, errors.New("--max-score is for pairs with scores, but the data have none"))
	}
	return cli.UsageError(errors.Join(errs...))
}

func (r *embedRun) readTables() (t tables, err error) {
	var p parts[*text.File]
	if r.files.train == "" {
		p.train, p.test, err = bankingPairs()
	} else {
		var o text.Options
		if o, err = r.data.Options(); err == nil {
			p, err = readParts(r.files, func(path string) (*text.File, error) { return cli.ReadPairs(path, r.env.In, o) })
		}
	}
	if err != nil {
		return t, err
	}
	if t, err = whole(p); err == nil {
		err = t.choose(r.files, r.train.cfg.Seed)
	}
	return t, err
}

// bankingPairs makes pairs of the embedded questions: to train on, two of the same intent; to test on, as many of the same intent (score 1)
// as of two different ones (score 0).
func bankingPairs() (train, test *text.File, err error) {
	trainText, testText := embedded.Banking77()
	o := text.Options{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
	questions, err := text.ReadBytes(trainText, embedded.Banking77Name+" pairs", o)
	if err != nil {
		return nil, nil, err
	}
	tested, err := text.ReadBytes(testText, embedded.Banking77Name+" test pairs", o)
	if err != nil {
		return nil, nil, err
	}
	pair := func(a, b text.Example, label data.Label) text.Example {
		return text.Example{Text: a.Text, Pair: b.Text, HasPair: true, Label: label, Line: a.Line}
	}
	train, test = emptied(questions), emptied(tested)
	for _, list := range byIntent(questions) {
		for i := 0; i+1 < len(list); i += 2 {
			train.Append(pair(list[i], list[i+1], data.Label{}))
		}
	}
	same, other := data.Label{Kind: data.NumberLabel, Number: 1}, data.Label{Kind: data.NumberLabel}
	intents := byIntent(tested)
	for n, list := range intents {
		next := intents[(n+1)%len(intents)]
		for i := 0; i+1 < len(list); i += 2 {
			test.Append(pair(list[i], list[i+1], same), pair(list[i], next[i%len(next)], other))
		}
	}
	return train, test, nil
}

// emptied returns a file without its rows.
func emptied(t *text.File) *text.File {
	return t.Filter(func(text.Example) bool { return false })
}

// byIntent returns the rows of each class, classes in the order of their first row.
func byIntent(t *text.File) [][]text.Example {
	var list [][]text.Example
	number := map[string]int{}
	for e := range t.Values() {
		n, ok := number[e.Label.Name]
		if !ok {
			n = len(list)
			number[e.Label.Name] = n
			list = append(list, nil)
		}
		list[n] = append(list[n], e)
	}
	return list
}
