package tasks

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tokenize"
)

// AllWeights holds the settings of runs that can train all weights of a model in place of an adapter. Fields have the
// names of the command's flags; the zero value of each is the default.
type AllWeights struct {
	Full        bool   // train all weights and write a whole model, not an adapter
	FromScratch string // config.json of a model to begin with random weights; needs Full
	Tokenizer   string // directory with the tokenizer of FromScratch; "": that of config.json
	SaveDType   string // how the weights of Full are stored: float32 (the default), float16 or bfloat16
}

// FullLearningRate is the default learning rate of runs that train all weights of a checkpoint.
const FullLearningRate = 5e-5

// Prepare sets what a plan does otherwise when all weights train.
func (a *AllWeights) Prepare(p *Plan, r *Run) {
	if a.Full && a.FromScratch == "" {
		p.Training.LearningRate = FullLearningRate
	}
	if a.FromScratch != "" {
		p.OpenBase = func() (*base.Base, error) {
			return base.FromScratch(a.FromScratch, a.tokenizerDir(), base.WithTokenizer(r.CustomTokenizer))
		}
		p.Inputs = []string{filepath.Dir(a.FromScratch), a.tokenizerDir()}
	}
}

// tokenizerDir returns the directory with the tokenizer of a model from scratch.
func (a *AllWeights) tokenizerDir() string {
	if a.Tokenizer == "" {
		return filepath.Dir(a.FromScratch)
	}
	return a.Tokenizer
}

// Check returns the errors about settings that contradict each other or those of the run.
func (a *AllWeights) Check(r *Run) []error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, err := a.dtype()
	errs = append(errs, err)
	add(a.FromScratch != "" && r.Model != "", "`from_scratch` and `model` exclude each other; give one")
	add(a.FromScratch != "" && !a.Full, "`from_scratch` needs `full`: an adapter needs a pretrained model")
	add(a.Tokenizer != "" && a.FromScratch == "", "`tokenizer` needs `from_scratch`; a checkpoint has its own")
	for _, x := range []struct {
		option string
		given  bool
	}{
		{"lora_r", r.LoraR != 0}, {"lora_alpha", r.LoraAlpha != nil}, {"lora_dropout", r.LoraDropout != nil},
		{"use_rslora", r.UseRSLoRA}, {"init_lora_weights", r.InitLoraWeights != ""},
		{"use_dora", r.UseDoRA}, {"lora_bias", r.LoRABias}, {"bias", r.Bias != ""},
		{"target_modules", len(r.TargetModules) > 0}, {"modules_to_save", len(r.ModulesToSave) > 0},
		{"adapter", r.Adapter != ""}, {"add_tokens", r.AddTokens != ""},
		{"allow_other_base", r.AllowOtherBase},
	} {
		add(a.Full && x.given, "`%s` is for adapters, not for `full`", x.option)
	}
	add(a.SaveDType != "" && !a.Full, "`save_dtype` needs `full`; adapters are stored in float32")
	add(a.Full && files.Same(r.Model, r.OutputDir),
		"`output_dir %s` is `model`, whose weights would be replaced; give another", r.OutputDir)
	return errs
}

// dtype returns how all weights are stored.
func (a *AllWeights) dtype() (safetensors.DType, error) {
	if a.SaveDType == "" {
		return safetensors.F32, nil
	}
	return base.ParseDType("save_dtype", a.SaveDType)
}

// OpenAll opens the model of a run: the checkpoint's with open, or one with random weights with fresh, which gets the
// text of config.json. If all weights train, they are the parameters of the subject.
func OpenAll[M models.Model](
	s *Session, a *AllWeights, t base.TaskType, open func(src *checkpoint.Source) (M, checkpoint.Report, error),
	fresh func(config []byte, seed uint64) (M, error),
) (net M, subject *Subject, err error) {
	net, subject, err = OpenSubject(s, t.Of, func(src *checkpoint.Source, seed uint64) (M, checkpoint.Report, error) {
		if a.FromScratch == "" {
			return open(src)
		}
		m, err := fresh(src.Config(), seed)
		if err == nil {
			err = roomFor(s.Base.Tokenizer, m)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", s.Base.Name, err)
		}
		return m, checkpoint.Report{}, err
	})
	if err == nil && a.Full {
		a.trainAll(s, subject)
	}
	return net, subject, err
}

// roomFor returns an error if a model of text has fewer rows of words than the tokenizer has tokens.
func roomFor(tok *tokenize.Tokenizer, m models.Model) error {
	text, ok := m.(models.TextModel)
	if !ok || tok.VocabSize() <= text.Vocabulary() {
		return nil
	}
	return fmt.Errorf("vocab_size is %d, but the tokenizer has %d tokens; give the model a row for each",
		text.Vocabulary(), tok.VocabSize())
}

// trainAll lets all weights of a model train in place of an adapter.
func (a *AllWeights) trainAll(s *Session, m *Subject) {
	m.Params = nn.Train(m.Net)
	if dtype, err := a.dtype(); err == nil { // Check has returned the error
		m.SaveBytes = int64(dtype.Bits()/8) * int64(nn.Count(m.Net))
	}
	m.Save = func(dir string) error { return a.save(s, m, dir) }
}

// save writes the whole model into a directory, each file atomically.
func (a *AllWeights) save(s *Session, m *Subject, dir string) error {
	dtype, err := a.dtype()
	if err != nil {
		return err
	}
	var weights []lora.MergedWeight
	for _, w := range nn.Weights(m.Net) {
		weights = append(weights, lora.MergedWeight{Name: w.Name, Shape: w.Weight.Shape(), Values: w.Weight.Float32()})
	}
	tensors, err := base.StoreWeights(weights, func(string) safetensors.DType { return dtype }, "save_dtype")
	if err != nil {
		return err
	}
	set := map[string]any{}
	if len(m.Report.Untied) > 0 {
		set = models.Untied(m.Net)
	}
	maps.Copy(set, m.Config)
	config, err := base.EditConfig(s.Base, m.Net, dtype, set)
	if err != nil {
		return err
	}
	model := base.ModelFiles{Base: s.Base, Config: config, Tensors: tensors}
	return model.Write(func(name string, write func(io.Writer) error) error {
		return files.WriteFile(filepath.Join(dir, name), write)
	})
}
