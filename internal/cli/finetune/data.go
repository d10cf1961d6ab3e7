package finetune

import (
	"fmt"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
)

// tables are the data of a run; eval and test may be nil.
type tables struct {
	train, eval, test *data.Table
	all               *data.Table // all rows of the training file, which the classes are found in
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
	for _, p := range []**data.Table{&t.train, &t.eval, &t.test} {
		if *p != nil {
			*p = (*p).WithTargets(problem)
		}
	}
	r.report(t, labels, why)
	r.tables, r.found = t, labels
	return nil
}

func (r *seqClsRun) readTables() (t tables, err error) {
	if r.files.train == "" {
		train, test := embedded.Banking77()
		o := data.ReadOptions{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
		if t.test, err = data.ReadTextBytes(test, embedded.Banking77Name+" test", o); err != nil {
			return t, err
		}
		if t.all, err = data.ReadTextBytes(train, embedded.Banking77Name, o); err != nil {
			return t, err
		}
	} else {
		o, err := r.data.Options()
		if err != nil {
			return t, err
		}
		if t.all, err = cli.ReadTable(r.files.train, r.env.In, o); err != nil {
			return t, err
		}
		if r.files.eval != "" {
			if t.eval, err = cli.ReadTable(r.files.eval, r.env.In, o); err != nil {
				return t, err
			}
		}
		if r.files.test != "" {
			if t.test, err = cli.ReadTable(r.files.test, r.env.In, o); err != nil {
				return t, err
			}
		}
	}
	t.train = t.all.Limit(r.files.max)
	if r.files.split > 0 {
		if t.train, t.eval, err = t.train.SplitOff(r.files.split, r.train.cfg.Seed); err != nil {
			return t, cli.UsageError(fmt.Errorf("--validation-split: %w", err))
		}
	}
	return t, nil
}

// report logs what was read and what is odd about it.
func (r *seqClsRun) report(t tables, labels *data.Labels, why string) {
	log := r.console.Log
	rows := fmt.Sprintf("data %s: %d rows to train on", t.train.Name, len(t.train.Examples))
	if t.eval != nil {
		rows += fmt.Sprintf(", %d to evaluate on", len(t.eval.Examples))
	}
	if t.test != nil {
		rows += fmt.Sprintf(", %d to test on", len(t.test.Examples))
	}
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
