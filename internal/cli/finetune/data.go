package finetune

import (
	"fmt"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
)

// tables are the texts of a run.
type tables struct {
	parts[*data.Table]
	all *data.Table // all rows of the training file, which the classes are found in
}

// whole returns the tables of whole files: all of pairs, or all of single texts.
func whole(p parts[*data.Table]) (tables, error) {
	return tables{p, p.train}, data.CheckPairs(p.train, p.eval, p.test)
}

// readData reads the tables, guesses the problem type and finds the classes.
func (r *seqClsRun) readData(base *cli.Base) error {
	t, err := r.readTables()
	if err != nil {
		return err
	}
	problem, why, err := data.GuessProblem(t.all)
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
	split := (*data.Table).SplitOff // numbers and lists are no classes, even where some of them are equal
	if problem == data.SingleLabel {
		split = (*data.Table).SplitClasses
	}
	if err := t.chooseBy(split, r.files, r.train.cfg.Seed); err != nil {
		return err
	}
	src, err := r.labelSource(base, r.labels, saved)
	if err != nil {
		return err
	}
	labels, err := data.FindLabels(problem, src, t.all, t.eval, t.test)
	if err != nil {
		return err
	}
	if err := r.checkHead(labels, "--labels and --problem-type say"); err != nil {
		return err
	}
	if err := t.edit(func(x *data.Table) (*data.Table, error) { return x.WithTargets(problem), nil }); err != nil {
		return err
	}
	r.report(t, labels, why)
	r.tables, r.found = t, labels
	return nil
}

func (r *seqClsRun) readTables() (t tables, err error) {
	var p parts[*data.Table]
	if r.files.train == "" {
		train, test := embedded.Banking77()
		o := data.ReadOptions{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
		if p.test, err = data.ReadTextBytes(test, embedded.Banking77Name+" test", o); err != nil {
			return t, err
		}
		p.train, err = data.ReadTextBytes(train, embedded.Banking77Name, o)
	} else {
		var o data.ReadOptions
		if o, err = r.data.Options(); err == nil {
			p, err = readParts(r.files, func(path string) (*data.Table, error) { return cli.ReadTable(path, r.env.In, o) })
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
	rows := t.sizes(t.train.Name, "rows", func(x *data.Table) int { return len(x.Examples) })
	log.Info().Msgf("%s; %v (%s), %d labels", rows, labels.Problem, why, len(labels.Names))
	for _, w := range data.Warnings(labels, t.train, t.eval, t.test) {
		log.Warn().Msg(w.String())
	}
}

// weights reads --class-weights.
func (r *seqClsRun) weights(labels *data.Labels, t *data.Table) ([]float32, error) {
	if len(r.classWeights) > 0 && labels.Problem != data.SingleLabel {
		return nil, cli.UsageError(fmt.Errorf("--class-weights needs single-label classification, not %v", labels.Problem))
	}
	return classWeights(r.classWeights, len(labels.Names), func() ([]int32, error) { return labels.Classes(t) })
}
