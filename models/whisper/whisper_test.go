package whisper_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/whisper"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

func config(t *testing.T, text string) whisper.Config {
	t.Helper()
	c := whisper.DefaultConfig()
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		name, config string
		want         []string // none: accepted
	}{
		{"tiny", `{}`, nil},
		{"large-v3-turbo", `{"d_model": 1280, "num_mel_bins": 128, "encoder_layers": 32, "encoder_attention_heads": 20,
			"encoder_ffn_dim": 5120, "decoder_attention_heads": 20, "decoder_ffn_dim": 5120, "vocab_size": 51866}`, nil},
		{"odd width", `{"d_model": 9, "encoder_attention_heads": 3, "decoder_attention_heads": 3}`, []string{"d_model 9"}},
		{"width of 2", `{"d_model": 2, "encoder_attention_heads": 1, "decoder_attention_heads": 1}`, []string{"d_model 2"}},
		{"not divisible", `{"decoder_attention_heads": 7}`,
			[]string{"d_model 384 is not a multiple of decoder_attention_heads 7"}},
		{"bins", `{"num_mel_bins": 0}`, []string{"num_mel_bins is 0"}},
		{"positions", `{"max_source_positions": -1, "max_target_positions": 1000000000}`,
			[]string{"max_source_positions is -1", "max_target_positions is 1000000000"}},
		{"layer drop", `{"encoder_layerdrop": 0.1}`, []string{"encoder_layerdrop 0.1"}},
		{"augmentation", `{"apply_spec_augment": true}`, []string{"apply_spec_augment is not supported; write false"}},
		{"padding", `{"pad_token_id": 51865}`, []string{"pad_token_id 51865"}},
		{"start", `{"decoder_start_token_id": -1}`, []string{"decoder_start_token_id -1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := config(t, c.config).Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "whisper: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
}

// TestParameterCount holds the number of values to those of openai/whisper-tiny.en and whisper-large-v3-turbo.
func TestParameterCount(t *testing.T) {
	for text, want := range map[string]int{
		`{"vocab_size": 51864}`: 37760256,
		`{"d_model": 1280, "num_mel_bins": 128, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120,
			"decoder_attention_heads": 20, "decoder_ffn_dim": 5120, "vocab_size": 51866}`: 808878080,
	} {
		if got := nn.Count(whisper.NewForConditionalGeneration(config(t, text))); got != want {
			t.Errorf("%s: %d values, want %d", text, got, want)
		}
	}
}

// TestShift: the decoder's inputs start with decoder_start_token_id; an ignored label becomes padding.
func TestShift(t *testing.T) {
	m := whisper.NewForConditionalGeneration(config(t, `{}`))
	got := m.Shift([]int32{5, batch.Ignore, 6, 50256})
	if want := []int32{50257, 5, 50256, 6}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := m.Shift(nil); len(got) != 0 {
		t.Errorf("no labels become %v", got)
	}
}

func small(t *testing.T) *whisper.ForConditionalGeneration {
	t.Helper()
	m := whisper.NewForConditionalGeneration(config(t, `{"vocab_size": 9, "d_model": 8, "num_mel_bins": 3,
		"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 4, "decoder_ffn_dim": 4, "encoder_attention_heads": 2,
		"decoder_attention_heads": 2, "max_source_positions": 4, "max_target_positions": 6, "pad_token_id": 7,
		"decoder_start_token_id": 8}`))
	if err := m.Init(1); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestInit: a fresh model has the positions that transformers computes, and convolutions of N(0, init_std²). Training
// all weights leaves the positions alone.
func TestInit(t *testing.T) {
	m := small(t)
	got := m.Base.Encoder.Positions.Weight.Float32()
	for i, want := range map[int]float64{0: 0, 4: 1, 8: math.Sin(1), 9: math.Sin(0.046415888), 11: math.Sin(1e-4),
		12: math.Cos(1), 24: math.Sin(3), 30: math.Cos(3 * 0.0021544347)} {
		if math.Abs(float64(got[i])-want) > 1e-6 {
			t.Errorf("value %d is %g, want %g", i, got[i], want)
		}
	}
	square := 0.0
	for _, v := range m.Base.Encoder.Conv2.Weight.Float32() {
		square += float64(v) * float64(v) / 192
	}
	if math.Abs(math.Sqrt(square)/0.02-1) > 0.2 {
		t.Errorf("the second convolution has the deviation %g, want 0.02", math.Sqrt(square))
	}
	for _, p := range nn.Train(m) {
		if p.Name == "model.encoder.embed_positions.weight" {
			t.Error("the positions train")
		}
	}
}

// TestEncodeChecks: a batch that does not fit the model is a mistake of the program, and named.
func TestEncodeChecks(t *testing.T) {
	m := small(t)
	for _, c := range []struct {
		frames, values int
		want           string
	}{
		{8, 24, ""}, {2, 6, ""}, {10, 30, "a clip of 10 frames; want an even number of 2 to 8"}, {3, 9, "a clip of 3 frames"},
		{0, 0, "a clip of 0 frames"}, {4, 16, "16 values of features for 4 frames of 3 bins"},
	} {
		got := ""
		func() {
			defer func() { got, _ = recover().(string) }()
			tape := op.NewEvalTape(nil)
			defer tape.Close()
			b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, c.frames}}, Features: make([]float32, c.values)}
			memory := m.Encode(&nn.Pass{Tape: tape}, b)
			if rows, cols := op.Size(memory.X); rows != c.frames/2 || cols != 8 || memory.Seqs.Rows() != rows {
				t.Errorf("%d frames: %d×%d", c.frames, rows, cols)
			}
		}()
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%d frames, %d values: %q, want %q", c.frames, c.values, got, c.want)
		}
	}
}
