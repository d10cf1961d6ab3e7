package finetune

import (
	"fmt"
	"strconv"

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
	saved, savedErr := r.savedLabels()
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
	src, err := r.labelSource(base, saved)
	if err != nil {
		return err
	}
	labels, err := data.FindLabels(problem, src, t.all, t.eval, t.test)
	if err != nil {
		return err
	}
	if err := r.checkHead(labels); err != nil {
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

// checkHead errs if the adapter to start from has a head for another number of classes.
func (r *seqClsRun) checkHead(l *data.Labels) error {
	if r.lora.adapter == "" {
		return nil
	}
	n, err := cli.HeadOutputs(r.lora.adapter)
	if err != nil {
		return err
	}
	if k := max(1, len(l.Names)); n > 0 && n != k {
		return cli.InputError(fmt.Errorf("%s: the head of the adapter has %d outputs, %v of the data needs %d; --labels and --problem-type say what the outputs are", r.lora.adapter, n, l.Problem, k))
	}
	return nil
}

// labelSource says where class names may come from beside the data.
func (r *seqClsRun) labelSource(base *cli.Base, saved *cli.SavedLabels) (data.LabelSource, error) {
	src := data.LabelSource{Fixed: r.labels}
	var err error
	if src.Config, err = base.Info.LabelNames(); err != nil {
		return src, cli.InputError(err)
	}
	if r.lora.adapter == "" {
		return src, nil
	}
	n, err := cli.HeadOutputs(r.lora.adapter)
	switch {
	case err != nil:
		return src, err
	case saved == nil && n > 0: // an adapter of PEFT does not name its classes, but its head says how many there are
		src.Config, err = base.ConfigLabels(n)
	case saved != nil && len(saved.Names) > 0 && n > 0 && n != len(saved.Names):
		err = fmt.Errorf("%s: %s names %d classes, but the head has %d outputs", r.lora.adapter, cli.LabelsName, len(saved.Names), n)
	case saved != nil:
		src.Saved = saved.Names
	}
	return src, cli.InputError(err)
}

func (r *seqClsRun) savedLabels() (*cli.SavedLabels, error) {
	if r.lora.adapter == "" {
		return nil, nil
	}
	return cli.ReadLabels(r.lora.adapter)
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

// weights reads --class-weights: a number for each class, or balanced: rows / (classes · rows of the class), as
// scikit-learn has it.
func (r *seqClsRun) weights(labels *data.Labels, t *data.Table) ([]float32, error) {
	list := r.classWeights
	if len(list) == 0 {
		return nil, nil
	}
	if labels.Problem != data.SingleLabel {
		return nil, cli.UsageError(fmt.Errorf("--class-weights needs single-label classification, not %v", labels.Problem))
	}
	if len(list) == 1 && list[0] == "balanced" {
		classes, err := labels.Classes(t)
		if err != nil {
			return nil, err
		}
		counts := make([]int, len(labels.Names))
		for _, c := range classes {
			if c != data.Ignore {
				counts[c]++
			}
		}
		w := make([]float32, len(counts))
		for i, n := range counts {
			w[i] = float32(len(classes)) / float32(len(counts)*max(n, 1))
		}
		return w, nil
	}
	w := make([]float32, len(list))
	for i, s := range list {
		x, err := strconv.ParseFloat(s, 32)
		if err != nil {
			return nil, cli.UsageError(fmt.Errorf("--class-weights: %q is not a number", s))
		}
		w[i] = float32(x)
	}
	return w, nil
}
