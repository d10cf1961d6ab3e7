package checkpoint

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// source returns a checkpoint with the given tensors.
func source(t testing.TB, tensors ...safetensors.Tensor) *Source {
	t.Helper()
	s, err := FromBytes(map[string][]byte{"config.json": []byte(config), "model.safetensors": pack(t, tensors...)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func want(name string, shape ...int) Want { return Want{Name: name, Shape: shape} }

func fresh(name string, shape ...int) Want { return Want{Name: name, Shape: shape, Fresh: true} }

// bertOptions returns the options of a BERT classifier.
func bertOptions() LoadOptions {
	return LoadOptions{
		Prefix: "bert.",
		Skip:   []*regexp.Regexp{regexp.MustCompile(`^cls\.`), regexp.MustCompile(`(^|\.)position_ids$`)},
		Tied:   map[string]string{"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight"},
	}
}

func TestLoad(t *testing.T) {
	ids := safetensors.Tensor{
		Name: "bert.embeddings.position_ids", DType: safetensors.I64, Shape: []int{1, 1}, Data: make([]byte, 8),
	}
	for _, c := range []struct {
		name    string
		tensors []safetensors.Tensor
		wants   []Want
		found   string // wanted names with their first elements, as name=value
		report  string
	}{
		{
			"as they are",
			[]safetensors.Tensor{tensor("bert.w", 1, 2, 3), tensor("classifier.weight", 2, 2)},
			[]Want{want("bert.w", 2, 3), fresh("classifier.weight", 2)},
			"bert.w=1 classifier.weight=2",
			"2 tensors loaded",
		}, {
			"without prefix in the checkpoint",
			[]safetensors.Tensor{tensor("w", 1, 2), tensor("encoder.v", 2, 2)},
			[]Want{want("bert.w", 2), want("bert.encoder.v", 2), fresh("classifier.weight", 2), fresh("classifier.bias", 1)},
			"bert.encoder.v=2 bert.w=1",
			"2 tensors loaded\nnot in the checkpoint, made fresh: classifier.weight, classifier.bias",
		}, {
			"without prefix in the model",
			[]safetensors.Tensor{tensor("bert.w", 1, 2)},
			[]Want{want("w", 2)},
			"w=1",
			"1 tensors loaded",
		}, {
			"old names",
			[]safetensors.Tensor{tensor("bert.LayerNorm.gamma", 1, 2), tensor("LayerNorm.beta", 2, 2)},
			[]Want{want("bert.LayerNorm.weight", 2), want("bert.LayerNorm.bias", 2)},
			"bert.LayerNorm.bias=2 bert.LayerNorm.weight=1",
			"2 tensors loaded\n2 tensors renamed from gamma, beta to weight, bias",
		}, {
			"a parameter that is called gamma",
			[]safetensors.Tensor{tensor("bert.scale.gamma", 1, 2)},
			[]Want{want("bert.scale.gamma", 2)},
			"bert.scale.gamma=1",
			"1 tensors loaded",
		}, {
			"other heads and buffers",
			[]safetensors.Tensor{
				tensor("bert.w", 1, 2), tensor("cls.predictions.bias", 9, 2), tensor("cls.seq_relationship.bias", 9, 2), ids,
			},
			[]Want{want("bert.w", 2)},
			"bert.w=1",
			"1 tensors loaded\nin the checkpoint, not needed: bert.embeddings.position_ids, cls.predictions.bias, " +
				"cls.seq_relationship.bias",
		}, {
			"tied, stored twice",
			[]safetensors.Tensor{
				tensor("bert.embeddings.word_embeddings.weight", 1, 2), tensor("cls.predictions.decoder.weight", 1, 2),
			},
			[]Want{want("bert.embeddings.word_embeddings.weight", 2)},
			"bert.embeddings.word_embeddings.weight=1",
			"1 tensors loaded\nin the checkpoint, not needed: cls.predictions.decoder.weight",
		}, {
			"tied and different",
			[]safetensors.Tensor{
				tensor("bert.embeddings.word_embeddings.weight", 1, 2), tensor("cls.predictions.decoder.weight", 2, 2),
			},
			[]Want{want("bert.embeddings.word_embeddings.weight", 2)},
			"bert.embeddings.word_embeddings.weight=1 cls.predictions.decoder.weight=2",
			"2 tensors loaded\nwarning: cls.predictions.decoder.weight is not equal to the word table, to which config.json " +
				"ties it; both are used, as in transformers; write \"tie_word_embeddings\": false into config.json",
		}, {
			"tied, equal in another type",
			[]safetensors.Tensor{
				tensor("bert.embeddings.word_embeddings.weight", 1, 2),
				{Name: "cls.predictions.decoder.weight", DType: safetensors.BF16, Shape: []int{2},
					Data: []byte{0x80, 0x3f, 0x80, 0x3f}},
			},
			[]Want{want("bert.embeddings.word_embeddings.weight", 2)},
			"bert.embeddings.word_embeddings.weight=1",
			"1 tensors loaded\nin the checkpoint, not needed: cls.predictions.decoder.weight",
		}, {
			"tied, only the repetition stored",
			[]safetensors.Tensor{tensor("cls.predictions.decoder.weight", 1, 2)},
			[]Want{want("bert.embeddings.word_embeddings.weight", 2)},
			"bert.embeddings.word_embeddings.weight=1",
			"1 tensors loaded",
		}, {
			"the same twice",
			[]safetensors.Tensor{tensor("bert.w", 1, 2), tensor("w", 1, 2)},
			[]Want{want("bert.w", 2)},
			"bert.w=1",
			"1 tensors loaded\nin the checkpoint, not needed: w",
		}, {
			"not finite",
			[]safetensors.Tensor{tensor("bert.w", float32(math.NaN()), 2), tensor("bert.v", float32(math.Inf(1)), 3)},
			[]Want{want("bert.w", 2), want("bert.v", 3)},
			"bert.v=+Inf bert.w=NaN",
			"2 tensors loaded\nwarning: bert.w holds 2 NaN or infinite values\nwarning: bert.v holds 3 NaN or infinite values",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, report, err := source(t, c.tensors...).Load(c.wants, bertOptions())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for name, x := range found {
				got = append(got, fmt.Sprintf("%s=%v", name, safetensors.Float32s(x.Data)[0]))
			}
			slices.Sort(got)
			if strings.Join(got, " ") != c.found {
				t.Errorf("found %v, want %s", got, c.found)
			}
			if report.String() != c.report {
				t.Errorf("report\n%s\nwant\n%s", report, c.report)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	long := tensor("F64", 0)
	long.DType, long.Data = safetensors.F64, make([]byte, 8)
	for _, c := range []struct {
		name    string
		tensors []safetensors.Tensor
		wants   []Want
		want    []string
	}{
		{
			"everything at once",
			[]safetensors.Tensor{
				tensor("bert.w", 1, 2, 3), tensor("bert.extra", 1), tensor("stray\n", 1), long, tensor("v", 1, 1),
				tensor("bert.v", 2, 1),
			},
			[]Want{
				want("bert.w", 3, 2), want("bert.v", 1), want("bert.lost", 1), want("bert.gone", 1), {Name: "F64", Shape: []int{}},
			},
			[]string{
				"2 missing: bert.lost, bert.gone", `2 unexpected: bert.extra, "stray\n"`,
				"1 of another shape: bert.w is [2 3], want [3 2]",
				"1 of a type that is not supported", "F64 has dtype F64", "1 stored twice with different values: bert.v and v",
			},
		},
		{"tied and of another size", []safetensors.Tensor{
			tensor("bert.embeddings.word_embeddings.weight", 1, 2), tensor("cls.predictions.decoder.weight", 1, 3),
		},
			[]Want{want("bert.embeddings.word_embeddings.weight", 2)},
			[]string{"1 of another shape: cls.predictions.decoder.weight is [3], want [2]"}},
		{"a fresh tensor of another shape", []safetensors.Tensor{tensor("classifier.weight", 1, 2, 3)},
			[]Want{fresh("classifier.weight", 5, 3)}, []string{"classifier.weight is [2 3], want [5 3]"}},
		{"scalar against vector", []safetensors.Tensor{tensor("s", 1)}, []Want{want("s", 1)}, []string{"s is [], want [1]"}},
		{
			"adapter", []safetensors.Tensor{tensor("base_model.model.bert.w.lora_A.weight", 1, 2)}, []Want{want("bert.w", 2)},
			[]string{"base_model.model.", "adapter"},
		},
		{
			"prefix twice", []safetensors.Tensor{tensor("bert.bert.w", 1)}, []Want{want("bert.w")},
			[]string{"1 missing: bert.w", "1 unexpected: bert.bert.w"},
		},
		{
			"value head of a reward model", []safetensors.Tensor{tensor("bert.w", 1), tensor("v_head.summary.weight", 1)},
			[]Want{want("bert.w")},
			[]string{"1 unexpected: v_head.summary.weight; if they are not needed, load the checkpoint with transformers and " +
				"save it with save_pretrained"},
		},
		{
			"head that is tied elsewhere", []safetensors.Tensor{tensor("bert.w", 1)},
			[]Want{want("bert.w"), want("lm_head.weight", 2)},
			[]string{`1 missing: lm_head.weight; if the head shares the word table, write "tie_word_embeddings": true`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, _, err := source(t, c.tensors...).Load(c.wants, bertOptions())
			if err == nil || found != nil {
				t.Fatalf("loaded %v, error %v", found, err)
			}
			for _, want := range append(c.want, "checkpoint: (in memory)") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not contain %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has several lines", err)
			}
		})
	}
}

func TestLoadWithoutOptions(t *testing.T) {
	found, report, err := source(t, tensor("w", 1, 2)).Load([]Want{want("w", 2)}, LoadOptions{})
	if err != nil || len(found) != 1 || report.Loaded != 1 {
		t.Errorf("%v, %v, %v", found, report, err)
	}
	if _, _, err := source(t, tensor("bert.w", 1, 2)).Load([]Want{want("w", 2)}, LoadOptions{}); err == nil {
		t.Error("a prefix was dropped although the options do not allow it")
	}
}

// The error for a checkpoint of a completely different model has counts, not thousands of names.
func TestLongLists(t *testing.T) {
	var tensors []safetensors.Tensor
	var wants []Want
	for i := range 500 {
		tensors = append(tensors, tensor(fmt.Sprintf("t%03d", i), 0))
		wants = append(wants, want(fmt.Sprintf("w%03d", i)))
	}
	_, _, err := source(t, tensors...).Load(wants, LoadOptions{})
	if err == nil || !strings.Contains(err.Error(), "500 missing: w000") ||
		!strings.Contains(err.Error(), "500 unexpected: t000") || len(err.Error()) > 600 {
		t.Error(err)
	}
}

func TestWantedTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_, _, _ = source(t, tensor("w", 1)).Load([]Want{want("w"), want("w")}, LoadOptions{})
}
