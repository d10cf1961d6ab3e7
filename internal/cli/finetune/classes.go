package finetune

import (
	"fmt"
	"strconv"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
)

// checkHead errs if the adapter to start from has a head for another number of classes. say begins to tell which flags help.
func (j *job) checkHead(l *data.Labels, say string) error {
	if j.lora.adapter == "" {
		return nil
	}
	n, err := cli.HeadOutputs(j.lora.adapter)
	if err != nil {
		return err
	}
	if k := max(1, len(l.Names)); n > 0 && n != k {
		return cli.InputError(fmt.Errorf("%s: the head of the adapter has %d outputs, %v of the data needs %d; %s what the outputs are", j.lora.adapter, n, l.Problem, k, say))
	}
	return nil
}

// labelSource says where class names may come from beside the data: the fixed ones of --labels, those saved with the adapter to start from,
// the checkpoint's.
func (j *job) labelSource(base *cli.Base, fixed []string, saved *cli.SavedLabels) (data.LabelSource, error) {
	src := data.LabelSource{Fixed: fixed}
	var err error
	if src.Config, err = base.Info.LabelNames(); err != nil {
		return src, cli.InputError(err)
	}
	if j.lora.adapter == "" {
		return src, nil
	}
	n, err := cli.HeadOutputs(j.lora.adapter)
	switch {
	case err != nil:
		return src, err
	case saved == nil && n > 0: // an adapter of PEFT does not name its classes, but its head says how many there are
		src.Config, err = base.ConfigLabels(n)
	case saved != nil && len(saved.Names) > 0 && n > 0 && n != len(saved.Names):
		err = fmt.Errorf("%s: %s names %d classes, but the head has %d outputs", j.lora.adapter, cli.LabelsName, len(saved.Names), n)
	case saved != nil:
		src.Saved = saved.Names
	}
	return src, cli.InputError(err)
}

// savedLabels returns the classes that were saved with the adapter to start from, or nil. tags says whether they must be those of tokens.
func (j *job) savedLabels(tags bool) (*cli.SavedLabels, error) {
	if j.lora.adapter == "" {
		return nil, nil
	}
	saved, err := cli.ReadLabels(j.lora.adapter)
	if err == nil && saved != nil && saved.Problem != nil && (*saved.Problem == data.TokenTags) != tags {
		err = cli.InputError(fmt.Errorf("%s: the adapter was trained for another task: its %s says %v", j.lora.adapter, cli.LabelsName, *saved.Problem))
	}
	return saved, err
}

// classWeights reads --class-weights: a number for each of k classes, or balanced: rows / (classes · rows of the class), as
// scikit-learn has it. classes returns the class of each row.
func classWeights(list []string, k int, classes func() ([]int32, error)) ([]float32, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if len(list) == 1 && list[0] == "balanced" {
		rows, err := classes()
		if err != nil {
			return nil, err
		}
		counts := make([]int, k)
		for _, c := range rows {
			if c != batch.Ignore {
				counts[c]++
			}
		}
		w := make([]float32, k)
		for i, n := range counts {
			w[i] = float32(len(rows)) / float32(k*max(n, 1))
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
