package base

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// Base is an opened checkpoint with its tokenizer. It is not changed once it is open and is safe for concurrent use.
type Base struct {
	// Name is the directory, the file, or the name of a checkpoint in memory; adapters remember it.
	Name      string
	Source    *checkpoint.Source
	Tokenizer *tokenize.Tokenizer // nil: the model reads no tokens
	Info      models.Info
	// File returns a file of the checkpoint beside the weights: of the tokenizer, the chat template, the terms. Its error
	// wraps fs.ErrNotExist if there is no file of that name.
	File func(name string) ([]byte, error)

	own        map[string][]byte // files of an adapter in place of the checkpoint's; nil: none
	checkpoint *Base             // the base without them; nil: the base itself
}

// OpenOption changes how a base is opened.
type OpenOption func(*Base)

// WithTokenizer makes t the tokenizer of a base; the tokenizer files of the checkpoint are not read and may be missing.
// nil is the tokenizer of the files.
func WithTokenizer(t *tokenize.Tokenizer) OpenOption { return func(b *Base) { b.Tokenizer = t } }

// Open opens the checkpoint at path: a Hugging Face directory or a GGUF file. The caller must close the base; models
// opened from it must not be used afterwards.
func Open(path string, options ...OpenOption) (*Base, error) {
	if err := CheckModelPath(path); err != nil {
		return nil, err
	}
	src, err := checkpoint.Open(path)
	return opened(path, src, err, options)
}

// FromFiles opens a checkpoint in memory: files has the content of each file of a Hugging Face directory by the file's
// name. Messages and adapters refer to the checkpoint by name. The caller must close the base.
func FromFiles(name string, files map[string][]byte, options ...OpenOption) (*Base, error) {
	src, err := checkpoint.FromBytes(files)
	return opened(name, src, err, options)
}

func opened(name string, src *checkpoint.Source, err error, options []OpenOption) (*Base, error) {
	if err != nil {
		return nil, Input(err)
	}
	b := &Base{Name: name, Source: src, File: src.File}
	return b.ready(options)
}

// FromScratch returns a base without weights: the config.json at path with the tokenizer of another directory, or for a
// model that reads no tokens with that directory's other files. The caller must close the base.
func FromScratch(path, tokenizer string, options ...OpenOption) (*Base, error) {
	config, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	b := &Base{Name: path}
	if b.Source, err = checkpoint.Empty(config); err != nil {
		return nil, Input(fmt.Errorf("%s: %w", path, err))
	}
	if err := CheckModelPath(tokenizer); err != nil {
		return nil, err
	}
	b.File = func(name string) ([]byte, error) { return checkpoint.ReadFile(tokenizer, name) }
	return b.ready(options)
}

// ready applies options and reads the parts of config.json that all architectures share, and the tokenizer.
func (b *Base) ready(options []OpenOption) (*Base, error) {
	for _, o := range options {
		o(b)
	}
	var err error
	if b.Info, err = models.ReadInfo(b.Source); err != nil {
		return nil, Input(errors.Join(err, b.Close()))
	}
	switch reads := models.ReadsTokens(b.Info.ModelType); {
	case !reads && b.Tokenizer != nil:
		return nil, Input(errors.Join(fmt.Errorf("%s: model_type %q reads no tokens, so it takes no tokenizer", b.Name,
			b.Info.ModelType), b.Close()))
	case !reads || b.Tokenizer != nil:
		return b, nil
	}
	if b.Tokenizer, err = tokenize.Load(b.File); err != nil {
		return nil, Input(errors.Join(fmt.Errorf("%s: %w", b.Name, err), b.Close()))
	}
	return b, nil
}

// Close closes the checkpoint.
func (b *Base) Close() error { return b.Source.Close() }

// ConfigHash returns the SHA-256 of config.json in hexadecimal.
func (b *Base) ConfigHash() string {
	sum := sha256.Sum256(b.Source.Config())
	return hex.EncodeToString(sum[:])
}

// CheckModelPath returns an error if there is nothing at path.
func CheckModelPath(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return Input(fmt.Errorf("`model %s`: there is no such directory; give one that holds a Hugging Face checkpoint "+
			"(hf download ID --local-dir %s gets one from the hub), or a GGUF file", path, path))
	}
	return nil
}

// ReadFile returns the content of a regular file. Directories, devices and pipes are errors.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, MissingFile(path)
	case err != nil:
		return nil, Input(err)
	case info.IsDir():
		return nil, Input(fmt.Errorf("%s: this is a directory; give a file in it", path))
	case !info.Mode().IsRegular():
		return nil, Input(fmt.Errorf("%s: this is not a regular file; write it to one first", path))
	}
	content, err := os.ReadFile(path)
	return content, Input(err)
}

// MissingFile returns the error about a file that does not exist.
func MissingFile(path string) error { return Input(fmt.Errorf("%s: there is no such file", path)) }

// Opener opens a model of a checkpoint. Weights that the checkpoint lacks are drawn with the seed.
type Opener[M models.Model] func(src *checkpoint.Source, seed uint64) (M, checkpoint.Report, error)

// Outputs returns an opener of models whose head has n outputs.
func Outputs[M models.Model](
	open func(src *checkpoint.Source, n int, seed uint64) (M, checkpoint.Report, error), n int,
) Opener[M] {
	return func(src *checkpoint.Source, seed uint64) (M, checkpoint.Report, error) { return open(src, n, seed) }
}

// Model is a model that was opened from a base.
type Model[M models.Model] struct {
	Net    M
	Base   *Base
	Report checkpoint.Report // which tensors were loaded, drawn at random or skipped

	open        Opener[M]
	identify    sync.Once
	fingerprint string
	whole       *Model[M] // the model that has the same weights below another head; nil: none
}

// OpenModel opens a model of the base's checkpoint with open and logs which weights were drawn at random or skipped.
func OpenModel[M models.Model](b *Base, log zerolog.Logger, seed uint64, open Opener[M]) (*Model[M], error) {
	net, report, err := open(b.Source, seed)
	if err != nil {
		return nil, Input(err)
	}
	for _, line := range strings.Split(report.String(), "\n")[1:] {
		if text, bad := strings.CutPrefix(line, "warning: "); bad {
			log.Warn().Msg(text)
		} else {
			log.Info().Msg(line)
		}
	}
	warning, err := settings.CheckConfig(b.Source.Config(), models.ConfigKeys(b.Info.ModelType))
	if err != nil {
		return nil, Input(err)
	}
	if warning != "" {
		log.Warn().Msg(warning)
	}
	if text, ok := any(net).(models.TextModel); ok {
		compareVocabulary(b.bare().Tokenizer, text.Vocabulary(), log) // an adapter's tokenizer has the adapter's rows
	}
	types := map[string]bool{}
	for _, w := range nn.Weights(net) {
		types[w.Weight.Type.String()] = true
	}
	log.Info().Str("architecture", b.Info.ModelType).Int("weights", nn.Count(net)).
		Str("stored_as", strings.Join(slices.Sorted(maps.Keys(types)), ",")).Msgf("model %s", b.Name)
	return &Model[M]{Net: net, Base: b, Report: report, open: open}, nil
}

// compareVocabulary logs the tokenizer's warnings, and that the word embeddings have another number of rows than it has
// tokens.
func compareVocabulary(tok *tokenize.Tokenizer, rows int, log zerolog.Logger) {
	for _, w := range tok.Warnings() {
		log.Warn().Msg(w)
	}
	switch tokens := tok.VocabSize(); {
	case tokens > rows:
		level, first := zerolog.InfoLevel, ""
		for id := int32(rows); int(id) < tokens; id++ {
			if !tok.IsSpecial(id) { // not just a token for padding: it may be another model's tokenizer
				level = zerolog.WarnLevel
			}
			if token, ok := tok.Token(id); ok && first == "" {
				first = token
			}
		}
		log.WithLevel(level).Msgf("the tokenizer has %d tokens, but the model's word embeddings have %d rows; texts with "+
			"one of the others, such as %q, are errors", tokens, rows, first)
	case tokens < rows:
		log.Info().Msgf("the tokenizer has %d tokens, the model's word embeddings have %d rows; the others are not used",
			tokens, rows)
	}
}

// Again opens the model once more, with the seed 0.
func (m *Model[M]) Again() (M, error) {
	net, _, err := m.open(m.Base.Source, 0)
	return net, Input(err)
}

// Release returns the memory of all weights that are mapped from the checkpoint's files to the system, which reads them
// again at the next access, and returns these weights. On systems other than Linux it releases nothing.
func (m *Model[M]) Release() (mapped map[*op.Weight]bool) {
	mapped = map[*op.Weight]bool{}
	for _, w := range nn.Weights(m.Net) {
		if m.Base.Source.Release(w.Weight.Stored()) {
			mapped[w.Weight] = true
		}
	}
	return mapped
}

// CheckFinite returns an error if weights of the checkpoint are NaN or infinite.
func (m *Model[M]) CheckFinite() error {
	bad := m.Report.NonFinite
	if len(bad) == 0 {
		return nil
	}
	return Input(fmt.Errorf("%s: %d tensors hold NaN or infinite values, the first %s (%d values); "+
		"the file is damaged: get it again, or give `allow_non_finite`", m.Base.Name, len(bad), bad[0].Name, bad[0].Count))
}

// CheckAdapterDir returns an error if dir is not the directory of an adapter.
func CheckAdapterDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Input(fmt.Errorf("`adapter %s`: there is no such directory; give one that finetune or PEFT has written", dir))
	case err == nil && !info.IsDir():
		return Input(fmt.Errorf("`adapter %s`: this is a file; give the directory of an adapter", dir))
	}
	_, _, err = lora.ReadConfig(dir)
	return Input(err)
}

// Adapter names the adapter that a model is used with.
type Adapter struct {
	Dir       string // its directory; "": none
	OtherBase bool   // accept an adapter that was trained on another base model, or with another tokenizer
}

// LoadAdapter loads an adapter for the model and logs what it ignores. An adapter that was trained for another task is
// an error, and so is one that was trained on another base model or with another custom tokenizer, unless that is
// accepted. The pool shares the work of comparing base models.
func (m *Model[M]) LoadAdapter(a Adapter, t TaskType, log zerolog.Logger, pool *op.Pool) (*lora.Set, error) {
	return m.loadAdapter(a, t, log, pool)
}

func (m *Model[M]) loadAdapter(
	a Adapter, t TaskType, log zerolog.Logger, pool *op.Pool, options ...lora.LoadOption,
) (*lora.Set, error) {
	if err := CheckAdapterDir(a.Dir); err != nil {
		return nil, err
	}
	if err := t.Check(a.Dir); err != nil {
		return nil, Input(err)
	}
	set, warnings, err := lora.Load(a.Dir, m.Net, options...)
	for _, w := range warnings {
		log.Warn().Msg(w)
	}
	if err != nil {
		return nil, Input(err)
	}
	c := set.Config()
	if f := set.Fingerprint(); f != "" && !m.is(f, pool) {
		if !a.OtherBase {
			where := fmt.Sprintf(" (%s) than %s", c.BaseModel, m.Base.Name)
			if c.BaseModel == m.Base.Name {
				where = fmt.Sprintf(": the weights of %s have changed since", m.Base.Name)
			}
			return nil, Input(fmt.Errorf("%s: the adapter was trained on another base model%s; "+
				"give that one with `model`, or accept it with `allow_other_base`", a.Dir, where))
		}
		log.Warn().Msgf("the adapter was trained on another base model (%s)", c.BaseModel)
	}
	if err := m.Base.checkTokenizer(a, log); err != nil {
		return nil, err
	}
	log.Info().Msgf("adapter %s: r=%d, lora_alpha=%g on %v", a.Dir, c.R, c.Alpha, c.TargetModules)
	return set, nil
}
