package embed

import (
	"context"
	"fmt"
	"io"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
)

// Type is feature extraction by its names in adapters and commands.
var Type = base.TaskType{
	Name: "feature extraction", Command: "embed", PEFT: lora.FeatureExtraction, Classes: []string{"Model"},
}

// Kind is feature extraction for the code that opens, recognises and merges models.
var Kind = tasks.Kind{
	TaskType: Type,
	Head:     arch.Features,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o) },
	Merge:    merging,
	Files:    []string{poolingName},
}

// Settings are the settings of predictions.
type Settings struct {
	Pooling        string  // see [Pooling]; "": the adapter's, else the checkpoint's, else mean
	Prompt         *string // text before each text; nil: the adapter's, else the checkpoint's default one
	PromptName     string  // name of one of the checkpoint's prompts, in place of Prompt
	Normalize      *bool   // divide each vector by its length; nil: as modules.json of the checkpoint says
	MaxLength      *int    // tokens of a text, 0: what the checkpoint allows; nil: the adapter's, else 0
	MaxScore       float64 // score of texts that mean the same, to compare similarities with; 0: the adapter's, else 1
	TokensPerBatch int     // tokens that are computed at once; 0: 4096. Results do not depend on it
}

// Options implements [tasks.Settings].
func (s *Settings) Options() []base.Option { return options(&s.Prompt, &s.MaxLength, &s.MaxScore) }

// options lists the settings that adapters remember.
func options(prompt **string, maxLength **int, maxScore *float64) []base.Option {
	return []base.Option{
		base.Quoted("prompt", prompt), base.Optional("max-length", maxLength), base.Given("max-score", maxScore),
	}
}

// CheckSettings returns the errors about a pooling and a largest score that can be found before anything is opened.
func CheckSettings(pooling string, maxScore float64) []error {
	var errs []error
	if pooling != "" {
		if _, err := ParsePooling(pooling); err != nil {
			errs = append(errs, fmt.Errorf("`pooling`: %w", err))
		}
	}
	if !(maxScore >= 0) {
		errs = append(errs, fmt.Errorf("`max_score` is %g; want more than 0", maxScore))
	}
	return errs
}

// ReadFile reads a file of texts, or of pairs of texts of which either all have a score or none has; "-" is standard
// input.
func ReadFile(path string, stdin io.Reader, o text.Options) (*text.File, error) {
	return tasks.ReadFile(path, stdin, o, open, read)
}

func open(path string, o text.Options) (*text.File, error) {
	o.OptionalLabels, o.Scores = true, true
	return scored(text.Read(path, o))
}

func read(r io.Reader, name string, o text.Options) (*text.File, error) {
	o.OptionalLabels, o.Scores = true, true
	return scored(text.ReadFrom(r, name, o))
}

// scored returns a file that was read, or an error if only some of its pairs have a score.
func scored(f *text.File, err error) (*text.File, error) {
	if err != nil {
		return nil, err
	}
	return f, f.CheckScores()
}

// Opened is a predictor with the normalisation of its vectors.
type Opened struct {
	*Predictor
	Normalize bool // vectors are divided by their length
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "Embed or Similarity" }

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.Predictor
	p.Core = p.Adapted(a)
	return &Opened{&p, o.Normalize}
}

// Vectors returns the vector of each text. Texts that are too long are cut. A vector that is not finite is an error.
func (o *Opened) Vectors(ctx context.Context, texts []string) ([][]float32, error) {
	return VectorsEach(ctx, texts, o.all)
}

// VectorsEach returns the vector of each text, by the predictor that of returns for it; see [EmbedEach].
func VectorsEach(ctx context.Context, texts []string, of func(i int) *Predictor) ([][]float32, error) {
	f := text.New("texts")
	for i, t := range texts {
		f.Append(text.Example{Text: t, Line: i + 1})
	}
	vectors, _, err := EmbedEach(ctx, f, of)
	return vectors, err
}

// Open opens a sentence encoder.
func Open(o tasks.Opening) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	t, err := openEncoder(o)
	if err != nil {
		return nil, err
	}
	m, err := readModules(o.Base, o.Log)
	if err != nil {
		return nil, err
	}
	c := m.config()
	if c.Pooling, err = m.poolingOf(s.Pooling, o.Adapter.Dir); err != nil {
		return nil, err
	}
	if c.Prompt, err = m.promptOf(s.Prompt, s.PromptName); err != nil {
		return nil, err
	}
	if s.Normalize != nil {
		c.Normalize, c.Unit = false, *s.Normalize
	}
	limit := m.limit(tasks.Value(s.MaxLength), t.Net.MaxLength())
	if err := tasks.CheckRoom(m.tokenizer, limit, false); err != nil {
		return nil, base.Settings(err)
	}
	c.CoreConfig, c.MaxScore = o.Core(t.AdapterSet(), &limit, s.TokensPerBatch), s.MaxScore
	p, err := NewPredictor(t.Net, m.tokenizer, c)
	if err != nil {
		return nil, base.Settings(err)
	}
	o.Log.Info().Msgf("model %s: vectors of %d values, pooling %v", o.Base.Name, p.Width(), c.Pooling)
	if c.Prompt != "" {
		o.Log.Info().Msgf("the prompt %q is put before each text", c.Prompt)
	}
	return &Opened{p, c.Normalize || c.Unit}, nil
}

// openEncoder opens the base with the adapter. A checkpoint may lack the encoder's pooler, since no vector depends on
// it.
func openEncoder(o tasks.Opening) (*base.Trained[models.Encoder], error) {
	return base.OpenTrained(o.Opening, Type.Of, models.OpenEncoder, func(string) bool { return true })
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	t, err := openEncoder(o)
	if err != nil {
		return nil, err
	}
	if len(t.Report.Fresh) > 0 {
		o.Log.Warn().Msgf("%s has no pooler; a fresh one is written, as transformers makes it", o.Base.Name)
	}
	m, err := readModules(o.Base, o.Log)
	if err != nil {
		return nil, err
	}
	merged := tasks.NewMerging(t, models.Encoder.Forward, nil)
	var s Settings
	if _, err := base.Recall(o.Adapter.Dir, s.Options()); err != nil {
		return nil, err
	}
	merged.Beside, err = m.files(o.Adapter.Dir, t.Net.Width(), s.Prompt)
	return merged, err
}
