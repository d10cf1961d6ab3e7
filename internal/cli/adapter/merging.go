package adapter

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// textModel is a model of any head that turns token ids into logits.
type textModel interface {
	spago.Model
	Logits(p *nn.Pass, b *data.Batch) mat.Tensor
	Vocabulary() int
	MaxLength() int
}

// merging is a base model with its adapter, and what merging needs to know about them.
type merging struct {
	model  textModel
	set    *lora.Set
	fresh  func() (textModel, error) // the base model once more
	config map[string]any            // what changes in config.json
}

// isCausal reports whether the adapter is one of a causal language model. Adapters that do not say what they are for are untold.
func (r *mergeRun) isCausal() (bool, error) {
	if err := cli.CheckAdapterDir(r.classifier.Adapter); err != nil {
		return false, err
	}
	c, _, err := lora.ReadConfig(r.classifier.Adapter)
	if err != nil {
		return false, cli.InputError(err)
	}
	if r.untold = c.TaskType == lora.NoTask; r.untold {
		n, err := cli.HeadOutputs(r.classifier.Adapter)
		r.untold = n == 0
		return false, err
	}
	causal := c.TaskType == lora.CausalLM
	if causal && (len(r.classifier.Labels) > 0 || r.classifier.Problem != "") {
		return false, cli.UsageError(errors.New("--labels and --problem-type are for classifiers, but the adapter is for CAUSAL_LM"))
	}
	return causal, nil
}

// isLanguageModel reports whether the checkpoint says that it predicts the next token.
func isLanguageModel(b *cli.Base) bool {
	return slices.ContainsFunc(b.Info.Classes, func(class string) bool {
		return strings.HasSuffix(class, "ForCausalLM") || strings.HasSuffix(class, "LMHeadModel")
	})
}

// open opens base and adapter as a language model or a classifier.
func (r *mergeRun) open(base *cli.Base, causal bool) (*merging, error) {
	if causal {
		m, err := base.OpenLanguageModel(r.classifier.Adapter, r.classifier.OtherBase, r.console.Log)
		if err != nil {
			return nil, err
		}
		j := &merging{model: m.Model, set: m.Set, config: map[string]any{}}
		j.fresh = func() (textModel, error) {
			m, _, err := models.OpenCausalLM(base.Source)
			return m, err
		}
		if m.Set.Unties(m.Model) {
			j.config["tie_word_embeddings"] = false
		}
		j.setClass()
		return j, nil
	}
	c, err := base.OpenClassifier(r.classifier, r.console.Log)
	if err != nil {
		return nil, err
	}
	j := &merging{model: c.Model, set: c.Set, config: classes(c)}
	j.fresh = func() (textModel, error) {
		m, _, err := models.OpenSequenceClassifier(base.Source, c.Model.Labels(), 0)
		return m, err
	}
	j.setClass()
	return j, nil
}

// setClass notes the model's class for config.json.
func (j *merging) setClass() {
	if k, ok := j.model.(nn.Classed); ok {
		j.config["architectures"] = []string{k.Class()}
	}
}

// classes returns what config.json says about a classifier's head: class names and problem type.
func classes(c *cli.Classifier) map[string]any {
	names := c.Labels.Names
	if len(names) == 0 { // regression: transformers counts outputs by names
		names = []string{"LABEL_0"}
	}
	id2label, label2id := map[string]string{}, map[string]int{}
	for i, n := range names {
		id2label[strconv.Itoa(i)], label2id[n] = n, i
	}
	set := map[string]any{"id2label": id2label, "label2id": label2id}
	if c.Told {
		set["problem_type"] = c.Labels.Problem.String()
	}
	return set
}
