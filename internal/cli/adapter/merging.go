package adapter

import (
	"strconv"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// subject is a model of any head with what it computes.
type subject struct {
	models.TextModel
	outputs func(p *nn.Pass, b *batch.Batch) mat.Tensor
}

// withLogits is a model whose head gives logits.
type withLogits interface {
	models.TextModel
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
}

// headed makes a model with a head a subject.
func headed[M withLogits](m M) subject { return subject{m, m.Logits} }

// bare makes a model without a head a subject.
func bare(m models.Encoder) subject { return subject{m, m.Forward} }

// merging is a base model with its adapter, and what merging needs to know about them.
type merging struct {
	model  subject
	set    *lora.Set
	fresh  func() (subject, error) // the base model once more
	config map[string]any          // what changes in config.json
	beside map[string][]byte       // other files of the model, by name; nil: none
}

// open opens base and adapter for a task.
func (r *mergeRun) open(base *cli.Base, task string) (*merging, error) {
	log := r.console.Log
	switch task {
	case cli.CausalLanguageModel().Name:
		return r.openCausal(base)
	case cli.TokenClassification().Name:
		c, err := base.OpenTokenClassifier(r.flags, log)
		if err != nil {
			return nil, err
		}
		again := func() (models.TokenClassifier, checkpoint.Report, error) {
			return models.OpenTokenClassifier(base.Source, c.Model.Labels(), 0)
		}
		return merged(&c.Trained, headed[models.TokenClassifier], again, classes(c.Labels, false)), nil
	case cli.QuestionAnswering(0).Name:
		t, err := base.OpenQuestionAnswerer(r.flags.HeadFlags, log)
		if err != nil {
			return nil, err
		}
		again := func() (models.QuestionAnswerer, checkpoint.Report, error) {
			return models.OpenQuestionAnswerer(base.Source, 0)
		}
		return merged(t, headed[models.QuestionAnswerer], again, map[string]any{}), nil
	case cli.MultipleChoice("").Name:
		t, err := base.OpenMultipleChoice(r.flags.HeadFlags, log)
		if err != nil {
			return nil, err
		}
		again := func() (models.MultipleChoice, checkpoint.Report, error) {
			return models.OpenMultipleChoice(base.Source, 0)
		}
		return merged(t, headed[models.MultipleChoice], again, map[string]any{}), nil
	case cli.FeatureExtraction().Name:
		m, report, err := base.Encoder(0, log)
		if err != nil {
			return nil, err
		}
		set, err := base.LoadAdapter(r.flags.Adapter, m, cli.FeatureExtraction(), r.flags.OtherBase, log)
		if err != nil {
			return nil, err
		}
		if len(report.Fresh) > 0 {
			log.Warn().Msgf("%s has no pooler; a fresh one is written, as transformers makes it", base.Name)
		}
		again := func() (models.Encoder, checkpoint.Report, error) { return models.OpenEncoder(base.Source, 0) }
		j := merged(&cli.Trained[models.Encoder]{Model: m, Set: set}, bare, again, map[string]any{})
		j.beside, err = cli.EncoderFiles(r.flags.Adapter, r.flags.Model, m.Width())
		return j, err
	}
	c, err := base.OpenClassifier(r.flags, log)
	if err != nil {
		return nil, err
	}
	again := func() (models.SequenceClassifier, checkpoint.Report, error) {
		return models.OpenSequenceClassifier(base.Source, c.Model.Labels(), 0)
	}
	return merged(&c.Trained, headed[models.SequenceClassifier], again, classes(c.Labels, c.Told)), nil
}

// merged puts together what merging needs of a model that again opens once more.
func merged[M models.TextModel](t *cli.Trained[M], as func(M) subject, again func() (M, checkpoint.Report, error), config map[string]any) *merging {
	if k, ok := any(t.Model).(nn.Classed); ok {
		config["architectures"] = []string{k.Class()}
	}
	return &merging{model: as(t.Model), set: t.Set, config: config, fresh: func() (subject, error) {
		m, _, err := again()
		if err != nil {
			return subject{}, err
		}
		return as(m), nil
	}}
}

// openCausal opens base and adapter as a language model.
func (r *mergeRun) openCausal(base *cli.Base) (*merging, error) {
	m, err := base.OpenLanguageModel(r.flags.Adapter, r.flags.OtherBase, r.console.Log)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	if m.Set.Unties(m.Model) {
		config["tie_word_embeddings"] = false
	}
	again := func() (models.CausalLM, checkpoint.Report, error) { return models.OpenCausalLM(base.Source) }
	return merged(&cli.Trained[models.CausalLM]{Model: m.Model, Set: m.Set}, headed[models.CausalLM], again, config), nil
}

// classes returns what config.json says about a classifier's head: class names and, if it is told, the problem type.
func classes(l *data.Labels, told bool) map[string]any {
	names := l.Names
	if len(names) == 0 { // regression: transformers counts outputs by names
		names = []string{"LABEL_0"}
	}
	id2label, label2id := map[string]string{}, map[string]int{}
	for i, n := range names {
		id2label[strconv.Itoa(i)], label2id[n] = n, i
	}
	set := map[string]any{"id2label": id2label, "label2id": label2id}
	if told {
		set["problem_type"] = l.Problem.String()
	}
	return set
}
