package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"
	"github.com/rs/zerolog"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// Base is an opened checkpoint with its tokenizer.
type Base struct {
	Name      string // as the adapter's config names it
	Source    *checkpoint.Source
	Tokenizer *tokenize.Tokenizer
	Info      models.Info
	// File returns a file that stands beside the weights: of the tokenizer, the chat template, the terms. Its error wraps fs.ErrNotExist
	// if there is none of that name.
	File func(name string) ([]byte, error)

	fresh []string // weights of the last model opened that the checkpoint lacks
}

// BuiltIn is a checkpoint that is compiled in.
type BuiltIn struct {
	Name  string
	Files func() map[string][]byte
}

// MiniLM returns the encoder that is compiled in: the default of commands for classifiers.
func MiniLM() BuiltIn { return BuiltIn{embedded.MiniLMName, embedded.MiniLM} }

// GPT returns the language model that is compiled in: the default of commands for causal language models.
func GPT() BuiltIn { return BuiltIn{embedded.GPTName, embedded.GPT} }

// OpenBase opens the checkpoint at path, a directory or a GGUF file, or the one that is compiled in if path is empty.
func OpenBase(path string, builtIn BuiltIn) (*Base, error) {
	b := &Base{Name: path}
	var err error
	if path != "" {
		if err := CheckModelPath(path); err != nil {
			return nil, err
		}
		b.Source, err = checkpoint.Open(path)
	} else {
		b.Name = builtIn.Name
		b.Source, err = checkpoint.FromBytes(builtIn.Files())
	}
	if err != nil {
		return nil, InputError(err)
	}
	b.File = b.Source.File
	return b.ready()
}

// FromScratch returns a base without weights: a config.json, and the directory of a tokenizer.
func FromScratch(config, tokenizer string) (*Base, error) {
	text, err := ReadInput(config, nil)
	if err != nil {
		return nil, err
	}
	b := &Base{Name: config}
	if b.Source, err = checkpoint.Empty(text); err != nil {
		return nil, InputError(fmt.Errorf("%s: %w", config, err))
	}
	if err := CheckModelPath(tokenizer); err != nil {
		return nil, err
	}
	b.File = func(name string) ([]byte, error) { return checkpoint.ReadFile(tokenizer, name) }
	return b.ready()
}

// ready reads what every command needs of a base whose source and files are set.
func (b *Base) ready() (*Base, error) {
	var err error
	if b.Info, err = models.ReadInfo(b.Source); err != nil {
		return nil, InputError(errors.Join(err, b.Close()))
	}
	if b.Tokenizer, err = tokenize.Load(b.File); err != nil {
		return nil, InputError(errors.Join(fmt.Errorf("%s: %w", b.Name, err), b.Close()))
	}
	return b, nil
}

// Close closes the checkpoint; models opened from it must not be used afterwards.
func (b *Base) Close() error { return b.Source.Close() }

// ConfigHash is the SHA-256 of config.json.
func (b *Base) ConfigHash() string {
	sum := sha256.Sum256(b.Source.Config())
	return hex.EncodeToString(sum[:])
}

// SequenceClassifier opens the checkpoint's model with a head for so many labels and logs what was made fresh or left out.
func (b *Base) SequenceClassifier(labels int, seed uint64, log zerolog.Logger) (models.SequenceClassifier, checkpoint.Report, error) {
	m, report, err := models.OpenSequenceClassifier(b.Source, labels, seed)
	return opened(b, m, report, err, log)
}

// TokenClassifier does the same with a head that labels tokens.
func (b *Base) TokenClassifier(labels int, seed uint64, log zerolog.Logger) (models.TokenClassifier, checkpoint.Report, error) {
	m, report, err := models.OpenTokenClassifier(b.Source, labels, seed)
	return opened(b, m, report, err, log)
}

// QuestionAnswerer does the same with a head that finds answers.
func (b *Base) QuestionAnswerer(seed uint64, log zerolog.Logger) (models.QuestionAnswerer, checkpoint.Report, error) {
	m, report, err := models.OpenQuestionAnswerer(b.Source, seed)
	return opened(b, m, report, err, log)
}

// MultipleChoice does the same with a head that scores choices.
func (b *Base) MultipleChoice(seed uint64, log zerolog.Logger) (models.MultipleChoice, checkpoint.Report, error) {
	m, report, err := models.OpenMultipleChoice(b.Source, seed)
	return opened(b, m, report, err, log)
}

// Encoder does the same without a head.
func (b *Base) Encoder(seed uint64, log zerolog.Logger) (models.Encoder, checkpoint.Report, error) {
	m, report, err := models.OpenEncoder(b.Source, seed)
	return opened(b, m, report, err, log)
}

// CausalLM opens the checkpoint's language model and logs what was left out.
func (b *Base) CausalLM(log zerolog.Logger) (models.CausalLM, checkpoint.Report, error) {
	m, report, err := models.OpenCausalLM(b.Source)
	return opened(b, m, report, err, log)
}

// opened ends the opening of a model of any head.
func opened[M models.TextModel](b *Base, m M, report checkpoint.Report, err error, log zerolog.Logger) (M, checkpoint.Report, error) {
	if err == nil {
		err = b.opened(m, report, log)
	}
	if err != nil {
		var none M
		return none, report, InputError(err)
	}
	return m, report, nil
}

// FreshCausalLM builds the language model of config.json with fresh weights.
func (b *Base) FreshCausalLM(seed uint64, log zerolog.Logger) (models.CausalLM, error) {
	m, err := models.NewCausalLM(b.Source.Config(), seed)
	if err != nil {
		return nil, InputError(fmt.Errorf("%s: %w", b.Name, err))
	}
	return m, b.opened(m, checkpoint.Report{}, log)
}

// opened logs what there is to know about a model that was just opened, and checks that the tokenizer is its own.
func (b *Base) opened(m models.TextModel, report checkpoint.Report, log zerolog.Logger) error {
	b.fresh = report.Fresh
	for _, line := range strings.Split(report.String(), "\n")[1:] {
		if text, bad := strings.CutPrefix(line, "warning: "); bad {
			log.Warn().Msg(text)
		} else {
			log.Info().Msg(line)
		}
	}
	for _, w := range b.Tokenizer.Warnings() {
		log.Warn().Msg(w)
	}
	if tokens, rows := b.Tokenizer.VocabSize(), m.Vocabulary(); tokens > rows {
		return InputError(fmt.Errorf("%s: the tokenizer has %d tokens, the model's word embeddings %d rows: they do not belong together", b.Name, tokens, rows))
	}
	if tokens, rows := b.Tokenizer.VocabSize(), m.Vocabulary(); tokens < rows {
		log.Info().Msgf("the tokenizer has %d tokens, the model's word embeddings %d rows: the rest is not used", tokens, rows)
	}
	types := map[string]bool{}
	for _, w := range nn.Weights(m) {
		types[w.Weight.Type.String()] = true
	}
	log.Info().Str("architecture", b.Info.ModelType).Int("weights", nn.Count(m)).Str("stored_as", strings.Join(sorted(types), ",")).Msgf("model %s", b.Name)
	return nil
}

func sorted(set map[string]bool) []string {
	var list []string
	for k := range set {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// LoadAdapter opens the adapter in dir for m, the model of the base that was opened last, and logs what it ignores. An adapter that
// remembers another base model is an error unless otherBase is set, and so is one of another task.
func (b *Base) LoadAdapter(dir string, m spago.Model, task Task, otherBase bool, log zerolog.Logger) (*lora.Set, error) {
	if err := CheckAdapterDir(dir); err != nil {
		return nil, err
	}
	if err := task.Check(dir); err != nil {
		return nil, InputError(err)
	}
	set, warnings, err := lora.Load(dir, m)
	for _, w := range warnings {
		log.Warn().Msg(w)
	}
	if err != nil {
		return nil, InputError(err)
	}
	c := set.Config()
	if f := set.Fingerprint(); f != "" && f != b.Fingerprint(m) {
		err := fmt.Errorf("%s: the adapter was trained on another base model (%s) than %s; give that one with --model, or accept it with --allow-other-base", dir, c.BaseModel, b.Name)
		if !otherBase {
			return nil, InputError(err)
		}
		log.Warn().Msgf("the adapter was trained on another base model (%s)", c.BaseModel)
	}
	log.Info().Msgf("adapter %s: r=%d, lora_alpha=%g on %v", dir, c.R, c.Alpha, c.TargetModules)
	return set, nil
}

// sampled is how many values of each weight a fingerprint looks at.
const sampled = 1024

// Fingerprint tells base models apart: a hash of the names and shapes of the weights of m, the model of the base that was opened last, below
// the head and of the first values of each; what the checkpoint lacks does not count. How the checkpoint stores them (its types, shards,
// prefixes) does not matter, as long as the values are the same: a quantised model is another base.
func (b *Base) Fingerprint(m spago.Model) string {
	h := sha256.New()
	for _, w := range nn.Weights(m) {
		if models.InHead(w.Name) || slices.Contains(b.fresh, w.Name) {
			continue
		}
		fmt.Fprintf(h, "%s %v\n", w.Name, w.Weight.Shape())
		h.Write(safetensors.Bytes(w.Weight.First(sampled)))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// NewPool starts the workers that --threads asks for.
func NewPool(threads int) (*op.Pool, error) {
	if threads < 0 {
		return nil, UsageError(ThreadsError(threads))
	}
	return op.NewPool(threads), nil
}

// ThreadsError says what --threads may be.
func ThreadsError(threads int) error {
	return fmt.Errorf("--threads is %d; want 1 or more, or 0 for all processors", threads)
}
