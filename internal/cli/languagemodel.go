package cli

import (
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// LanguageModelFlags say which language model a command opens.
type LanguageModelFlags struct {
	Model     string
	Adapter   string
	OtherBase bool
}

// Add defines the flags.
func (f *LanguageModelFlags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&f.Model, "model", "", "`directory` of a Hugging Face checkpoint, or GGUF file; default: the embedded GPT")
	fs.StringVar(&f.Adapter, "adapter", "", "`directory` of an adapter, of finetune or of PEFT; default: none")
	fs.BoolVar(&f.OtherBase, "allow-other-base", false, "use an adapter that was trained on another base model")
}

// Check reports contradictions. given tells whether a flag was set.
func (f *LanguageModelFlags) Check(given func(string) bool) []error {
	var errs []error
	if f.OtherBase && f.Adapter == "" {
		errs = append(errs, errors.New("--allow-other-base needs --adapter"))
	}
	if given("adapter") && f.Adapter == "" {
		errs = append(errs, errors.New("--adapter is empty; give a directory"))
	}
	return errs
}

// LanguageModel is a causal language model with the adapter that it is used with.
type LanguageModel struct {
	Base     *Base
	Model    models.CausalLM
	Set      *lora.Set      // nil: none
	Template *chat.Template // nil: the checkpoint has none
}

// OpenLanguageModel opens the language model of a base, with an adapter if its directory is given.
func (b *Base) OpenLanguageModel(adapter string, otherBase bool, log zerolog.Logger) (*LanguageModel, error) {
	l := &LanguageModel{Base: b}
	var err error
	if l.Template, err = b.ChatTemplate(); err != nil {
		return nil, err
	}
	if l.Model, _, err = b.CausalLM(log.Level(max(log.GetLevel(), zerolog.WarnLevel))); err != nil {
		return nil, err
	}
	if adapter != "" {
		if l.Set, err = b.LoadAdapter(adapter, l.Model, CausalLanguageModel(), otherBase, log); err != nil {
			return nil, err
		}
	}
	log.Info().Msgf("model %s: %s, %d positions", b.Name, b.Info.ModelType, l.Model.MaxLength())
	return l, nil
}

// Adapter returns the set as passes take it: nil, not a nil set, if there is none.
func (l *LanguageModel) Adapter() nn.AdapterSet {
	if l.Set == nil {
		return nil
	}
	return l.Set
}

// ChatTemplate returns the chat template of a base, nil if it has none.
func (b *Base) ChatTemplate() (*chat.Template, error) {
	t, err := chat.Load(b.File)
	if errors.Is(err, chat.ErrNoTemplate) {
		return nil, nil
	}
	if err != nil {
		return nil, InputError(fmt.Errorf("%s: %w", b.Name, err))
	}
	return t, nil
}
