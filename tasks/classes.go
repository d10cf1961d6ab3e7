package tasks

import (
	"fmt"
	"strconv"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
)

// CheckHead returns an error if the adapter to start from has a head for another number of classes. options names the
// settings that decide it.
func (s *Session) CheckHead(l *data.Labels, options string) error {
	if s.Run.Adapter == "" {
		return nil
	}
	n, err := base.HeadOutputs(s.Run.Adapter)
	if err != nil {
		return err
	}
	if k := max(1, len(l.Names)); n > 0 && n != k {
		return base.Input(fmt.Errorf("%s: the head of the adapter has %d outputs, but %v of the data needs %d; say what "+
			"the outputs are with %s",
			s.Run.Adapter, n, l.Problem, k, options))
	}
	return nil
}

// LabelSource returns where class names may come from beside the data: the given ones, those saved with the adapter
// to start from, and the checkpoint's, which give way to other labels to train on if there is no adapter.
func (s *Session) LabelSource(fixed []string, saved *base.SavedLabels) (data.LabelSource, error) {
	src := data.LabelSource{Fixed: fixed}
	var err error
	if src.Config, err = s.Base.Info.LabelNames(); err != nil {
		return src, base.Input(err)
	}
	adapter := s.Run.Adapter
	if adapter == "" {
		src.Yields = true
		return src, nil
	}
	n, err := base.HeadOutputs(adapter)
	switch {
	case err != nil:
		return src, err
	case saved == nil && n > 0: // an adapter of PEFT does not name its classes, but its head has their number
		src.Config, err = s.Base.ConfigLabels(n)
	case saved != nil && len(saved.Names) > 0 && n > 0 && n != len(saved.Names):
		err = fmt.Errorf("%s: %s names %d classes, but the head has %d outputs",
			adapter, base.LabelsName, len(saved.Names), n)
	case saved != nil:
		src.Saved = saved.Names
	}
	return src, base.Input(err)
}

// WarnReplaced warns if the labels of the data replace the checkpoint's.
func (s *Session) WarnReplaced(l *data.Labels) {
	if len(l.Replaced) == 0 {
		return
	}
	head := "the head for them is new"
	if len(l.Names) == len(l.Replaced) {
		head = "the head begins with the weights for the checkpoint's"
	}
	s.Log.Warn().Msgf("the labels %s (%s) replace those in id2label of %s (%s), which they do not fit: %s; `labels` "+
		"gives others", l.From, data.NameList(l.Names), s.Base.Name, data.NameList(l.Replaced), head)
}

// SavedLabels returns the classes that were saved with the adapter to start from, or nil. tags says whether they must
// be those of tokens.
func (s *Session) SavedLabels(tags bool) (*base.SavedLabels, error) {
	adapter := s.Run.Adapter
	if adapter == "" {
		return nil, nil
	}
	saved, err := base.ReadLabels(adapter)
	if err == nil && saved != nil && saved.Problem != nil && (*saved.Problem == data.TokenTags) != tags {
		err = base.Input(fmt.Errorf("%s: the adapter was trained for another task: its %s says %v",
			adapter, base.LabelsName, *saved.Problem))
	}
	return saved, err
}

// ClassWeights reads the setting class_weights: a number for each of k classes, or balanced: rows / (classes · rows
// of the class), as in scikit-learn. classes returns the class of each row.
func ClassWeights(list []string, k int, classes func() ([]int32, error)) ([]float32, error) {
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
			return nil, base.Settings(fmt.Errorf("`class_weights`: %q is not a number", s))
		}
		w[i] = float32(x)
	}
	return w, nil
}
