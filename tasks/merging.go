package tasks

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/nlpodyssey/spago/mat"
	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Merging is a base model with the adapter to merge into it.
type Merging struct {
	Base   *base.Base
	Set    *lora.Set
	Config map[string]any    // keys of config.json that change
	Beside map[string][]byte // further files of the merged model, by name

	attached computing                 // the base model, for use with Set
	further  []*lora.Set               // for the base model, merged after Set
	reopen   func() (computing, error) // opens the base model once more, to be filled with the merged weights
	load     func(a base.Adapter, t base.TaskType, log zerolog.Logger, pool *op.Pool) (*lora.Set, error)
}

// Add adds an adapter for the same base model and task, which is merged after those that were added before. It returns
// an error if the adapter has a head or other modules_to_save: only the first adapter may have them.
func (m *Merging) Add(a base.Adapter, t base.TaskType, log zerolog.Logger, pool *op.Pool) error {
	set, err := m.load(a, t, log, pool)
	if err != nil {
		return err
	}
	if saved := set.Saved(); len(saved) > 0 {
		return base.Input(fmt.Errorf("%s: the adapter has modules_to_save (%s), which only the first of several may have; "+
			"give it first, or merge adapters without heads", a.Dir, saved[0]))
	}
	m.further = append(m.further, set)
	return nil
}

// computing is a model with the functions that compute its outputs, and the inputs for them.
type computing struct {
	models.Model
	inputs  func(set *lora.Set) *batch.Batch // for the model with an adapter, nil: without one
	outputs func(p *nn.Pass, b *batch.Batch) mat.Tensor
}

// NewMerging prepares a trained model of text for a merge. outputs computes a model's logits or hidden states, by which
// the merge is checked. config has the keys of config.json that change, beside the class and those that keep apart
// tables which the merge or the checkpoint gives weights of their own; it may be nil.
func NewMerging[M models.TextModel](
	t *base.Trained[M], outputs func(m M, p *nn.Pass, b *batch.Batch) mat.Tensor, config map[string]any,
) *Merging {
	return NewMergingOf(t, func(m M, set *lora.Set) *batch.Batch {
		n := m.Vocabulary()
		if set != nil {
			n = set.Vocabulary(m)
		}
		return Probe(n, m.MaxLength())
	}, outputs, config)
}

// NewMergingOf is [NewMerging] for any model: inputs returns a batch for the model with an adapter, or without one
// (nil), by whose outputs models are compared.
func NewMergingOf[M models.Model](
	t *base.Trained[M], inputs func(m M, set *lora.Set) *batch.Batch,
	outputs func(m M, p *nn.Pass, b *batch.Batch) mat.Tensor, config map[string]any,
) *Merging {
	with := func(m M) computing {
		return computing{
			m, func(set *lora.Set) *batch.Batch { return inputs(m, set) },
			func(p *nn.Pass, b *batch.Batch) mat.Tensor { return outputs(m, p, b) },
		}
	}
	if t.Set.Unties(t.Net) || len(t.Report.Untied) > 0 {
		untied := models.Untied(t.Net)
		maps.Copy(untied, config)
		config = untied
	}
	return &Merging{Base: t.Base, Set: t.Set, Config: config, attached: with(t.Net), reopen: func() (computing, error) {
		m, err := t.Again()
		return with(m), err
	}, load: t.LoadAdapter}
}

// Classes returns the keys of config.json about a classifier's head: the class names and, if it is known, the problem
// type.
func Classes(l *data.Labels, problemKnown bool) map[string]any {
	names := l.Names
	if len(names) == 0 { // regression: transformers counts outputs by names
		names = []string{"LABEL_0"}
	}
	id2label, label2id := map[string]string{}, map[string]int{}
	for i, n := range names {
		id2label[strconv.Itoa(i)], label2id[n] = n, i
	}
	set := map[string]any{"id2label": id2label, "label2id": label2id}
	if problemKnown {
		set["problem_type"] = l.Problem.String()
	}
	return set
}
