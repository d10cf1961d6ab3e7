// Package models opens checkpoints: it picks the architecture that config.json names, builds the model with the head that
// a task needs, and fills it. Adding an architecture adds one case to family.go.
package models

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TextModel is a model that reads token ids.
type TextModel interface {
	spago.Model
	// MaxLength is how many tokens a sequence may have.
	MaxLength() int
	// Vocabulary is how many token ids the model knows.
	Vocabulary() int
	// TokenTypes is how many token types the model tells apart; below 2 it makes no difference which ones a batch has.
	TokenTypes() int
	// String prints the module tree.
	String() string
}

// SequenceClassifier is a model with a head that gives one row of logits for each sequence.
type SequenceClassifier interface {
	TextModel
	// Logits returns B×labels for the B sequences of b.
	Logits(p *nn.Pass, b *data.Batch) mat.Tensor
	// Labels is the number of columns of the logits.
	Labels() int
}

// TokenClassifier is a model with a head that gives one row of logits for each token.
type TokenClassifier interface {
	TextModel
	// Logits returns N×labels for the N tokens of b, or p.Keep's rows of it.
	Logits(p *nn.Pass, b *data.Batch) mat.Tensor
	// Labels is the number of columns of the logits.
	Labels() int
}

// QuestionAnswerer is a model with a head that says where in a text the answer to a question stands.
type QuestionAnswerer interface {
	TextModel
	// Logits returns N×2 for the N tokens of b, or p.Keep's rows of it: that the answer begins there, and that it ends there.
	Logits(p *nn.Pass, b *data.Batch) mat.Tensor
}

// MultipleChoice is a model with a head that scores each choice of a question, a sequence of its own.
type MultipleChoice interface {
	TextModel
	// Logits returns B×1 for the B sequences of b.
	Logits(p *nn.Pass, b *data.Batch) mat.Tensor
}

// Encoder is a model without a head: the one for feature extraction.
type Encoder interface {
	TextModel
	// Forward returns the hidden states after the last block: N×Width for the N tokens of b, or p.Keep's rows of it.
	Forward(p *nn.Pass, b *data.Batch) mat.Tensor
	// Width is the number of columns of a hidden state.
	Width() int
}

// CausalLM is a model that predicts the next token.
type CausalLM interface {
	TextModel
	// Logits returns the logits of the next token, rows×V: of every row of b, or of p.Keep's.
	Logits(p *nn.Pass, b *data.Batch) mat.Tensor
	// Loss returns the summed cross-entropy (1×1) of the rows of b that have a label. b.Labels has N entries: the id that follows
	// each row, data.Ignore for none.
	Loss(p *nn.Pass, b *data.Batch) (sum mat.Tensor, stats op.TargetStats)
	// NewCache returns an empty cache for generating so many sequences of up to so many tokens.
	NewCache(sequences, capacity int) *nn.Cache
	// Init makes all weights fresh.
	Init(seed uint64) error
}

// Info is what a checkpoint says beside its architecture: in config.json, and in generation_config.json, which wins where both
// name a token.
type Info struct {
	ModelType string         // model_type
	Labels    map[int]string // id2label, nil if it is not there
	Problem   string         // problem_type, "" if it is not there
	Classes   []string       // architectures, nil if it is not there
	EosIDs    []int32        // eos_token_id: the tokens that end a text; nil if there is none
	BosID     int32          // bos_token_id, -1 if it is not there
	PadID     int32          // pad_token_id, -1 if it is not there
}

// ReadInfo reads the parts of config.json that are the same for all architectures.
func ReadInfo(src *checkpoint.Source) (Info, error) {
	var c struct {
		ModelType string            `json:"model_type"`
		ID2Label  map[string]string `json:"id2label"`
		Problem   *string           `json:"problem_type"`
		Classes   []string          `json:"architectures"`
	}
	if err := src.DecodeConfig(&c); err != nil {
		return Info{}, err
	}
	i := Info{ModelType: c.ModelType, Classes: c.Classes}
	if c.Problem != nil {
		i.Problem = *c.Problem
	}
	for k, v := range c.ID2Label {
		n, err := strconv.Atoi(k)
		if err != nil || n < 0 || strconv.Itoa(n) != k { // "01" would stand beside "1"
			return Info{}, fmt.Errorf("models: %s: config.json: id2label has the key %q; want 0, 1, …", src.Name(), k)
		}
		if i.Labels == nil {
			i.Labels = map[int]string{}
		}
		i.Labels[n] = v
	}
	return i, i.readTokenIDs(src)
}

// LabelNames returns id2label as a list, or nil if the checkpoint has none. Keys that are not 0..n−1 and a name that two
// classes share are errors.
func (i Info) LabelNames() ([]string, error) {
	if i.Labels == nil {
		return nil, nil
	}
	keys := make([]int, 0, len(i.Labels))
	for k := range i.Labels {
		keys = append(keys, k)
	}
	sort.Ints(keys)
	names, seen := make([]string, len(keys)), make(map[string]bool, len(keys))
	for n, k := range keys {
		if n != k {
			return nil, fmt.Errorf("models: config.json: id2label lacks the key %d", n)
		}
		if names[n] = i.Labels[k]; seen[names[n]] {
			return nil, fmt.Errorf("models: config.json: id2label has the name %q twice", names[n])
		}
		seen[names[n]] = true
	}
	return names, nil
}

// OpenSequenceClassifier builds the model of src with a sequence-classification head of so many labels and fills it. A
// head that the checkpoint lacks, or has for another number of labels, is made fresh from seed (normal with
// initializer_range, bias zero) and reported. The weights are views of src, which must stay open.
func OpenSequenceClassifier(src *checkpoint.Source, labels int, seed uint64) (SequenceClassifier, checkpoint.Report, error) {
	return openClassifier(src, func(f family) func(int) (SequenceClassifier, loading) { return f.sequenceClassifier }, "sequence-classification", labels, seed)
}

// OpenTokenClassifier does the same with a head that gives each token a row of logits.
func OpenTokenClassifier(src *checkpoint.Source, labels int, seed uint64) (TokenClassifier, checkpoint.Report, error) {
	return openClassifier(src, func(f family) func(int) (TokenClassifier, loading) { return f.tokenClassifier }, "token-classification", labels, seed)
}

// OpenQuestionAnswerer does the same with a head for the start and the end of an answer.
func OpenQuestionAnswerer(src *checkpoint.Source, seed uint64) (QuestionAnswerer, checkpoint.Report, error) {
	return open(src, func(f family) func() (QuestionAnswerer, loading) { return f.questionAnswerer }, "question-answering", seed)
}

// OpenMultipleChoice does the same with a head that scores choices.
func OpenMultipleChoice(src *checkpoint.Source, seed uint64) (MultipleChoice, checkpoint.Report, error) {
	return open(src, func(f family) func() (MultipleChoice, loading) { return f.multipleChoice }, "multiple-choice", seed)
}

// OpenEncoder builds the model of src without a head and fills it; what the checkpoint lacks of its pooler is made fresh from seed.
func OpenEncoder(src *checkpoint.Source, seed uint64) (Encoder, checkpoint.Report, error) {
	return open(src, func(f family) func() (Encoder, loading) { return f.encoder }, "feature-extraction", seed)
}

// open builds and fills a model with the head that head picks of a family.
func open[M spago.Model](src *checkpoint.Source, head func(family) func() (M, loading), name string, seed uint64) (M, checkpoint.Report, error) {
	var none M
	f, err := familyOf(src)
	if err != nil {
		return none, checkpoint.Report{}, err
	}
	build := head(f)
	if build == nil {
		return none, checkpoint.Report{}, fmt.Errorf("models: %s: there is no %s head for model_type %q", src.Name(), name, f.name)
	}
	m, l := build()
	return filled(src, m, l, seed)
}

// openClassifier is open for heads with labels.
func openClassifier[M spago.Model](src *checkpoint.Source, head func(family) func(int) (M, loading), name string, labels int, seed uint64) (M, checkpoint.Report, error) {
	if labels < 1 {
		var none M
		return none, checkpoint.Report{}, fmt.Errorf("models: a classifier of %d labels; want 1 or more", labels)
	}
	return open(src, func(f family) func() (M, loading) {
		build := head(f)
		if build == nil {
			return nil
		}
		return func() (M, loading) { return build(labels) }
	}, name, seed)
}

// OpenCausalLM builds the language model of src and fills it. The weights are views of src, which must stay open; a checkpoint that
// lacks the head although its configuration does not tie it to the word table is an error.
func OpenCausalLM(src *checkpoint.Source) (CausalLM, checkpoint.Report, error) {
	m, l, err := causalLM(src)
	if err != nil {
		return nil, checkpoint.Report{}, err
	}
	return filled(src, m, l, 0)
}

// NewCausalLM builds a language model from the text of a config.json, with fresh weights that depend on the seed only.
func NewCausalLM(config []byte, seed uint64) (CausalLM, error) {
	src, err := checkpoint.Empty(config)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	m, _, err := causalLM(src)
	if err != nil {
		return nil, err
	}
	return m, m.Init(seed)
}

func causalLM(src *checkpoint.Source) (CausalLM, loading, error) {
	f, err := familyOf(src)
	if err != nil {
		return nil, loading{}, err
	}
	if f.causalLM == nil {
		return nil, loading{}, fmt.Errorf("models: %s: model_type %q does not predict the next token; want %s", src.Name(), f.name, causalTypes)
	}
	m, l := f.causalLM()
	return m, l, nil
}

// filled fills a model that was built for src.
func filled[M spago.Model](src *checkpoint.Source, m M, l loading, seed uint64) (M, checkpoint.Report, error) {
	l.seed = seed
	r, err := load(src, m, l)
	if err != nil {
		var none M
		return none, checkpoint.Report{}, err
	}
	return m, r, nil
}

// loading says how a model is filled.
type loading struct {
	prefix string            // of the names below the head; files with and without it are read
	heads  []string          // prefixes of what may be missing: heads, and what a head needs that not every checkpoint has
	tied   map[string]string // names of weights that repeat another one
	std    float64           // of fresh weights
	seed   uint64
}

// headOf returns the one of heads that a weight belongs to, "" if it must not be missing.
func (l loading) headOf(name string) string {
	for _, head := range l.heads {
		if strings.HasPrefix(name, head) {
			return head
		}
	}
	return ""
}

// otherParts are tensors of checkpoints that a model may not use: heads of other tasks, poolers and buffers.
var otherParts = []*regexp.Regexp{
	regexp.MustCompile(`^cls\.`), regexp.MustCompile(`^qa_outputs\.`), regexp.MustCompile(`(^|\.)position_ids$`),
	regexp.MustCompile(`(^|\.)token_type_ids$`), regexp.MustCompile(`(^|\.)pooler\.`), regexp.MustCompile(`^(lm_head|score|classifier)\.`),
	regexp.MustCompile(`^(pre_classifier|sequence_summary|vocab_(transform|layer_norm|projector))\.`),
	regexp.MustCompile(`^(discriminator_predictions|generator_predictions|generator_lm_head)\.`),
	regexp.MustCompile(`(^|\.)attn\.(masked_)?bias$`), regexp.MustCompile(`(^|\.)rotary_emb\.inv_freq$`),
}

func load(src *checkpoint.Source, m spago.Model, l loading) (checkpoint.Report, error) {
	weights := nn.Weights(m)
	skip := slices.Clone(otherParts)
	misfits := l.misfits(src, weights)
	for _, h := range misfits {
		head := regexp.QuoteMeta(h)
		skip = append(skip, regexp.MustCompile(`^`+head), regexp.MustCompile(`^`+regexp.QuoteMeta(l.prefix)+head))
	}
	wants := make([]checkpoint.Want, 0, len(weights))
	for _, w := range weights {
		if head := l.headOf(w.Name); head == "" || !slices.Contains(misfits, head) {
			wants = append(wants, checkpoint.Want{Name: w.Name, Shape: w.Weight.Shape(), Fresh: head != ""})
		}
	}
	found, report, err := src.Load(wants, checkpoint.LoadOptions{Prefix: l.prefix, Skip: skip, Tied: l.tied})
	if err != nil {
		return report, err
	}
	for _, w := range weights {
		if t, ok := found[w.Name]; ok {
			set := w.Weight.SetStored
			if src.Transposed(t.Name) {
				set = w.Weight.SetTransposed
			}
			if err := set(string(t.DType), t.Data); err != nil {
				return report, fmt.Errorf("models: %s: %w", w.Name, err)
			}
			continue
		}
		if err := nn.Normal(w.Weight, l.std, nn.NewRand(l.seed, w.Name)); err != nil {
			return report, err
		}
		if slices.Contains(misfits, l.headOf(w.Name)) { // a head that was not asked for is not in the report
			report.Fresh = append(report.Fresh, w.Name)
		}
	}
	return report, nil
}

// misfits returns the heads that the checkpoint has in another size than wanted.
func (l loading) misfits(src *checkpoint.Source, weights []nn.NamedWeight) (heads []string) {
	for _, w := range weights {
		head := l.headOf(w.Name)
		if head == "" || strings.HasSuffix(head, "pooler.") || slices.Contains(heads, head) { // a pooler's size is the model's, whatever the task
			continue
		}
		if t, ok := src.Tensor(w.Name); ok && fmt.Sprint(t.Shape) != fmt.Sprint(w.Weight.Shape()) {
			heads = append(heads, head)
		}
	}
	return heads
}
