package models

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// toyConfig is the config.json of an architecture that only this file knows.
type toyConfig struct {
	Words int     `json:"vocab_size"`
	Width int     `json:"width"`
	Std   float64 `json:"initializer_range"`
}

func (c toyConfig) Check() error {
	if c.Words < 1 || c.Width < 1 {
		return fmt.Errorf("toy: vocab_size %d, width %d", c.Words, c.Width)
	}
	return nil
}

func (c toyConfig) Facts() arch.Facts {
	return arch.Facts{Vocabulary: c.Words, Width: c.Width, WidthField: "width", Std: c.Std}
}

// toyBody is a word table.
type toyBody struct {
	spago.Module
	Words *nn.Embedding `hf:"words"`
}

// toy labels tokens by their words.
type toy struct {
	spago.Module
	nn.Limits `hf:"-"`
	Body      *toyBody   `hf:"toy"`
	Tagger    *nn.Linear `hf:"tagger"`
}

func newToy(c toyConfig, labels int) *toy {
	return &toy{
		Limits: nn.Limits{Positions: 8, Words: c.Words},
		Body:   &toyBody{Words: nn.NewEmbedding(c.Words, c.Width, op.NoPadding)}, Tagger: nn.NewLinear(c.Width, labels, true),
	}
}

func (m *toy) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return m.Tagger.Forward(p, m.Body.Words.Forward(p, b.IDs))
}

func (m *toy) Labels() int    { return m.Tagger.Weight.Rows }
func (m *toy) String() string { return nn.Tree(m, nil) }

var toyArch = arch.Arch{
	Types: []string{"toy"}, Prefix: "toy.", Words: "words.weight", Targets: []string{"words"}, Unused: []string{"puzzle"},
	Buffers: []string{"clock"},
	Config: arch.ReadOver(func(string) (toyConfig, error) {
		return toyConfig{Words: 5, Width: 3, Std: 0.1}, nil
	}),
	Heads: []arch.Head{
		{Kind: arch.Token, Build: arch.Labelled(newToy), Parts: []string{"tagger"}, Outputs: "tagger.weight"},
	},
}

// toySource is a checkpoint with float32 tensors of zeros.
func toySource(t *testing.T, config string, shapes map[string][]int) *checkpoint.Source {
	t.Helper()
	var tensors []safetensors.Tensor
	for name, shape := range shapes {
		n := 4
		for _, d := range shape {
			n *= d
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: shape, Data: make([]byte, n)})
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, nil); err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.FromBytes(map[string][]byte{"config.json": []byte(config), "model.safetensors": b.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// TestNewArchitecture opens an architecture of which only its descriptor is known.
func TestNewArchitecture(t *testing.T) {
	list := append(slices.Clone(architectures), toyArch)
	const config = `{"model_type": "toy"}`
	for _, c := range []struct {
		name   string
		shapes map[string][]int
		fresh  []string
		skips  int
	}{
		{"with its head", map[string][]int{"toy.words.weight": {5, 3}, "tagger.weight": {2, 3}, "tagger.bias": {2}}, nil, 0},
		{"without prefix and head", map[string][]int{"words.weight": {5, 3}}, []string{"tagger.weight", "tagger.bias"}, 0},
		{"a head of another size", map[string][]int{"toy.words.weight": {5, 3}, "tagger.weight": {4, 3}, "tagger.bias": {4}},
			[]string{"tagger.weight", "tagger.bias"}, 2},
		{"other heads and buffers", map[string][]int{"toy.words.weight": {5, 3}, "tagger.weight": {2, 3}, "tagger.bias": {2},
			"puzzle.weight": {1}, "toy.deep.clock": {1}, "qa_outputs.bias": {2}}, nil, 3},
	} {
		m, r, err := open[TokenClassifier](list, toySource(t, config, c.shapes), arch.Token, 2, 1)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.Labels() != 2 || !slices.Equal(r.Fresh, c.fresh) || len(r.Skipped) != c.skips {
			t.Errorf("%s: %d labels, %+v", c.name, m.Labels(), r)
		}
		for _, w := range nn.Weights(m) {
			if !w.Weight.Filled() {
				t.Errorf("%s: %s has no values", c.name, w.Name)
			}
		}
	}
	words := map[string][]int{"toy.words.weight": {5, 3}}
	for _, c := range []struct {
		config string
		kind   arch.Kind
		want   string
	}{
		{config, arch.Question, `there is no question-answering head for model_type "toy"; want bert, roberta, ` +
			`xlm-roberta, distilbert, electra, t5, mt5, bart or mbart`},
		{config, arch.Causal, `model_type "toy" does not predict the next token; want gpt2, llama, mistral, qwen2 or qwen3`},
		{`{"model_type": "toy", "width": 4}`, arch.Token,
			"config.json says vocab_size 5 and width 4, but toy.words.weight is 5×3"},
		{`{"model_type": "toy", "width": 0}`, arch.Token, "toy: vocab_size 5, width 0"},
		{`{"model_type": "jigsaw"}`, arch.Token, `model_type "jigsaw" is not supported; want bert, roberta, xlm-roberta, ` +
			`distilbert, electra, gpt2, llama, mistral, qwen2, qwen3, t5, mt5, ` +
			`bart, mbart, marian, pegasus, whisper, vit, deit or toy`},
	} {
		_, _, err := open[TokenClassifier](list, toySource(t, c.config, words), c.kind, 2, 1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

// TestDescriptors: every head of every architecture is built as the type that its kind is opened as, and its names are
// names of its weights.
func TestDescriptors(t *testing.T) {
	var types []string
	for _, a := range architectures {
		for _, modelType := range a.Types {
			if slices.Contains(types, modelType) {
				t.Errorf("two architectures have the model type %s", modelType)
			}
			types = append(types, modelType)
			c, err := a.Config(modelType, func(any) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Check(); err != nil {
				t.Errorf("%s: the defaults: %v", modelType, err)
			}
			if modelType == a.Types[0] {
				checkHeads(t, a, c)
			}
		}
	}
}

func checkHeads(t *testing.T, a arch.Arch, c arch.Config) {
	for _, h := range a.Heads {
		m := h.Build(c, 3)
		var ok bool
		switch h.Kind {
		case arch.Sequence:
			_, ok = m.(SequenceClassifier)
		case arch.Token:
			_, ok = m.(TokenClassifier)
		case arch.Question:
			_, ok = m.(QuestionAnswerer)
		case arch.Choice:
			_, ok = m.(MultipleChoice)
		case arch.Features:
			_, ok = m.(Encoder)
		case arch.Causal:
			_, ok = m.(CausalLM)
		case arch.Seq2Seq:
			_, ok = m.(Seq2SeqLM)
		case arch.Speech:
			_, ok = m.(SpeechSeq2SeqLM)
		case arch.Image, arch.ImageTeacher:
			_, ok = m.(ImageClassifier)
		case arch.ImageFeatures:
			_, ok = m.(ImageEncoder)
		}
		if !ok {
			t.Errorf("%s: the %v head is a %T", a.Types[0], h.Kind, m)
		}
		var names, table []string
		for _, w := range nn.Weights(m) {
			names = append(names, w.Name)
			if f := c.Facts(); slices.Equal(w.Weight.Shape(), []int{f.Vocabulary, f.Width}) {
				table = append(table, w.Name)
			}
		}
		want := a.Prefix + a.Words
		if h.Kind == arch.Features || h.Bare {
			want = a.Words
		}
		if a.Words != "" && !slices.Contains(table, want) {
			t.Errorf("%s, %v: tables %v, want %s", a.Types[0], h.Kind, table, want)
		}
		if h.Outputs != "" && !slices.Contains(names, h.Outputs) {
			t.Errorf("%s, %v: no weight %s", a.Types[0], h.Kind, h.Outputs)
		}
		for _, part := range append(slices.Clone(h.Parts), h.Inner...) {
			in := func(name string) bool {
				return strings.HasPrefix(name, part+".") || strings.HasPrefix(name, a.Prefix+part+".")
			}
			if tied := !h.Kind.Trained() && c.Facts().Tied; !tied && !slices.ContainsFunc(names, in) {
				t.Errorf("%s, %v: no weight of %s", a.Types[0], h.Kind, part)
			}
		}
	}
}

// TestNamesOfHeads holds what is derived from the descriptors.
func TestNamesOfHeads(t *testing.T) {
	for weight, want := range map[string]struct {
		kinds []arch.Kind
		in    bool
	}{
		"classifier.weight":               {[]arch.Kind{arch.Sequence, arch.Token, arch.Choice, arch.Image}, true},
		"classifier.out_proj.weight":      {[]arch.Kind{arch.Sequence, arch.Token, arch.Choice, arch.Image}, true},
		"pre_classifier.weight":           {[]arch.Kind{arch.Sequence, arch.Choice}, true},
		"score.weight":                    {[]arch.Kind{arch.Sequence, arch.Token}, true},
		"qa_outputs.bias":                 {[]arch.Kind{arch.Question}, true},
		"sequence_summary.summary.bias":   {[]arch.Kind{arch.Choice}, true},
		"classification_head.dense.bias":  {[]arch.Kind{arch.Sequence}, true},
		"lm_head.weight":                  {[]arch.Kind{arch.Causal, arch.Seq2Seq}, false},
		"bert.pooler.dense.weight":        {nil, false},
		"bert.encoder.layer.0.classifier": {nil, false},
	} {
		if got := HeadsWith(weight); !slices.Equal(got, want.kinds) || InHead(weight) != want.in {
			t.Errorf("%s: got %v, %v", weight, got, InHead(weight))
		}
	}
	if got := OutputWeights(); !slices.Equal(got, []string{
		"classifier.weight", "classifier.out_proj.weight", "score.weight", "classification_head.out_proj.weight",
		"cls_classifier.weight",
	}) {
		t.Errorf("got %v", got)
	}
	for modelType, want := range map[string][]string{
		"bert": {"classifier"}, "roberta": {"classifier"}, "distilbert": {"classifier"},
		"electra": {"classifier", "sequence_summary"},
		"gpt2":    nil,
	} {
		a, ok := ArchOf(modelType)
		if h, _ := a.Head(arch.Choice); !ok || !slices.Equal(h.Saves(), want) {
			t.Errorf("%s: got %v, want %v", modelType, h.Saves(), want)
		}
	}
	skipped := func(name string) bool {
		for _, part := range architectures.otherParts() {
			if part.MatchString(name) {
				return true
			}
		}
		return false
	}
	for name, want := range map[string]bool{
		"cls.predictions.bias": true, "qa_outputs.weight": true, "embeddings.position_ids": true, "position_ids": true,
		"embeddings.token_type_ids": true, "pooler.dense.bias": true, "other.pooler.dense.bias": true, "lm_head.weight": true,
		"score.weight": true, "classifier.bias": true, "pre_classifier.bias": true, "sequence_summary.summary.bias": true,
		"vocab_transform.bias": true, "vocab_layer_norm.bias": true, "vocab_projector.bias": true,
		"discriminator_predictions.dense.bias": true, "generator_predictions.dense.bias": true,
		"generator_lm_head.bias": true,
		"h.0.attn.bias":          true, "h.0.attn.masked_bias": true, "layers.1.rotary_emb.inv_freq": true,
		"attn.bias.more": false, "h.0.cross_attn.bias": false, "encoder.classifier.bias": false, "classifier": false,
		"encoder.layer.0.output.dense.bias": false, "xpooler.dense": false, "embeddings.position_ids.weight": false,
	} {
		if skipped(name) != want {
			t.Errorf("%s is skipped: %v, want %v", name, skipped(name), want)
		}
	}
}
