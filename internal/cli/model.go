package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

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
}

// OpenBase opens the checkpoint in dir, or the embedded one if dir is empty.
func OpenBase(dir string) (*Base, error) {
	b := &Base{Name: dir}
	var err error
	if dir != "" {
		if err := CheckModelDir(dir); err != nil {
			return nil, err
		}
	}
	if dir == "" {
		b.Name = embedded.MiniLMName
		b.Source, err = checkpoint.FromBytes(embedded.MiniLM())
	} else {
		b.Source, err = checkpoint.Open(dir)
	}
	if err != nil {
		return nil, InputError(err)
	}
	if b.Info, err = models.ReadInfo(b.Source); err != nil {
		return nil, InputError(errors.Join(err, b.Close()))
	}
	if b.Tokenizer, err = tokenize.Load(b.Source.File); err != nil {
		return nil, InputError(errors.Join(err, b.Close()))
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
	if err != nil {
		return nil, report, InputError(err)
	}
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
		return nil, report, InputError(fmt.Errorf("%s: the tokenizer has %d tokens, the model's word embeddings %d rows: they do not belong together", b.Name, tokens, rows))
	}
	types := map[string]bool{}
	for _, w := range nn.Weights(m) {
		types[w.Weight.Type.String()] = true
	}
	log.Info().Str("architecture", b.Info.ModelType).Int("weights", nn.Count(m)).Str("stored_as", strings.Join(sorted(types), ",")).Msgf("model %s", b.Name)
	return m, report, nil
}

func sorted(set map[string]bool) []string {
	var list []string
	for k := range set {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// LoadAdapter opens the adapter in dir for the base's model m and logs what it ignores. An adapter that remembers another
// base model is an error unless otherBase is set.
func (b *Base) LoadAdapter(dir string, m models.SequenceClassifier, otherBase bool, log zerolog.Logger) (*lora.Set, error) {
	set, warnings, err := lora.Load(dir, m)
	for _, w := range warnings {
		log.Warn().Msg(w)
	}
	if err != nil {
		return nil, InputError(err)
	}
	c := set.Config()
	if c.TaskType != lora.NoTask && c.TaskType != lora.SeqCls {
		return nil, InputError(fmt.Errorf("%s: the adapter is for %s, not for sequence classification (%s)", dir, c.TaskType, lora.SeqCls))
	}
	if f := set.Fingerprint(); f != "" && f != Fingerprint(m) {
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

// Fingerprint tells base models apart: a hash of the names and shapes of the weights below the head and of the first values of
// each. How the checkpoint stores them (its types, shards, prefixes) does not matter, as long as the values are the same: a quantised model is
// another base.
func Fingerprint(m models.SequenceClassifier) string {
	h := sha256.New()
	for _, w := range nn.Weights(m) {
		if strings.HasPrefix(w.Name, "classifier.") || strings.HasPrefix(w.Name, "score.") {
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
