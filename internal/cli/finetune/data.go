package finetune

import (
	"fmt"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
)

// tables are the texts of a run.
type tables struct {
	parts[*text.File]
	all *text.File // all rows of the training file, which the classes are found in
}

// whole returns the tables of whole files: all of pairs, or all of single texts.
func whole(p parts[*text.File]) (tables, error) {
	return tables{p, p.train}, text.CheckPairs(p.train, p.eval, p.test)
}

// readData reads the tables, guesses the problem type and finds the classes.
func (r *seqClsRun) readData(base *cli.Base) error {
	t, err := r.readTables()
	if err != nil {
		return err
	}
	problem, why, err := text.GuessProblem(t.all)
	saved, savedErr := r.savedLabels(false)
	switch {
	case savedErr != nil:
		return savedErr
	case r.problem != "":
		problem, _ = data.ParseProblem(r.problem)
		why, err = "--problem-type", nil
	case saved != nil && saved.Problem != nil:
		problem, why, err = *saved.Problem, "the adapter's labels.json", nil
	}
	if err != nil {
		return err
	}
	if problem == data.Regression && len(r.labels) > 0 {
		return cli.UsageError(fmt.Errorf("--labels: a regression (%s) has no classes", why))
	}
	split := (*text.File).SplitOff // numbers and lists are no classes, even where some of them are equal
	if problem == data.SingleLabel {
		split = (*text.File).SplitClasses
	}
	if err := t.chooseBy(split, r.files, r.train.cfg.Seed); err != nil {
		return err
	}
	src, err := r.labelSource(base, r.labels, saved)
	if err != nil {
		return err
	}
	labels, err := text.FindLabels(problem, src, t.all, t.eval, t.test)
	if err != nil {
		return err
	}
	if err := r.checkHead(labels, "--labels and --problem-type say"); err != nil {
		return err
	}
	if err := t.edit(func(x *text.File) (*text.File, error) { return x.WithTargets(problem), nil }); err != nil {
		return err
	}
	r.report(t, labels, why)
	r.tables, r.found = t, labels
	return nil
}

func (r *seqClsRun) readTables() (t tables, err error) {
	var p parts[*text.File]
	if r.files.train == "" {
		train, test := embedded.Banking77()
		o := text.Options{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
		if p.test, err = text.ReadBytes(test, embedded.Banking77Name+" test", o); err != nil {
			return t, err
		}
		p.train, err = text.ReadBytes(train, embedded.Banking77Name, o)
	} else {
		var o text.Options
		if o, err = r.data.Options(); err == nil {
			p, err = readParts(r.files, func(path string) (*text.File, error) { return cli.ReadTable(path, r.env.In, o) })
		}
	}
	if err != nil {
		return t, err
	}
	return whole(p)
}

// report logs what was read and what is odd about it.
func (r *seqClsRun) report(t tables, labels *data.Labels, why string) {
	log := r.console.Log
	rows := t.sizes(t.train.Name, "rows", func(x *text.File) int { return x.Len() })
	log.Info().Msgf("%s; %v (%s), %d labels", rows, labels.Problem, why, len(labels.Names))
	r.warn(text.Warnings(labels, t.train, t.eval, t.test))
}

// weights reads --class-weights.
func (r *seqClsRun) weights(labels *data.Labels, t *text.File) ([]float32, error) {
	if len(r.classWeights) > 0 && labels.Problem != data.SingleLabel {
		return nil, cli.UsageError(fmt.Errorf("--class-weights needs single-label classification, not %v", labels.Problem))
	}
	return classWeights(r.classWeights, len(labels.Names), func() ([]int32, error) { return t.Classes(labels) })
}
