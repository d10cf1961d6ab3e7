package models_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
)

// TestTagger opens checkpoints with transition scores, with those of another number of labels, and without.
func TestTagger(t *testing.T) {
	const dir = "../testdata/encoder/bert_token_cls/base"
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	const labels = 5
	with := func(rows int, values ...float32) *checkpoint.Source {
		t.Helper()
		var tensors []safetensors.Tensor
		plain, _, err := models.OpenTokenClassifier(src, labels, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range nn.Weights(plain) {
			tensors = append(tensors, safetensors.Tensor{
				Name: w.Name, DType: safetensors.F32, Shape: w.Weight.Shape(), Data: safetensors.Bytes(w.Weight.Float32()),
			})
		}
		v := append(slices.Repeat([]float32{0.5}, rows*rows-len(values)), values...)
		tensors = append(tensors, safetensors.Tensor{
			Name: "crf.TransitionScores", DType: safetensors.F32, Shape: []int{rows, rows}, Data: safetensors.Bytes(v),
		})
		var file strings.Builder
		if err := safetensors.Write(&file, tensors, nil); err != nil {
			t.Fatal(err)
		}
		s, err := checkpoint.FromBytes(map[string][]byte{
			"config.json": src.Config(), "model.safetensors": []byte(file.String()),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	inf := float32(1)
	for range 200 {
		inf *= 2
	}
	for _, c := range []struct {
		name   string
		src    *checkpoint.Source
		has    bool
		value  float32
		broken int
	}{
		{"without", src, false, 0, 0},
		{"with", with(labels + 1), true, 0.5, 0},
		{"infinite", with(labels+1, inf), true, 0.5, 1},
		{"of other labels", with(labels), false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if models.HasCRF(c.src, labels) != c.has {
				t.Errorf("HasCRF is %v", !c.has)
			}
			m, report, err := models.OpenTagger(c.src, labels, 1)
			if err != nil {
				t.Fatal(err)
			}
			if v := m.CRF.TransitionScores.Float32(); len(v) != 36 || v[7] != c.value || len(report.NonFinite) != c.broken {
				t.Errorf("transitions %v, report %+v", v, report)
			}
			if skipped := slices.Contains(report.Skipped, "crf.TransitionScores"); skipped != (c.name == "of other labels") {
				t.Errorf("skipped %v", report.Skipped)
			}
			if m.Class() != "BertForTokenClassification" || !strings.Contains(m.String(), "(crf): CRF(size=5)") {
				t.Errorf("printed as %s", m)
			}
			list := nn.Weights(m)
			if last := list[len(list)-1].Name; last != "crf.TransitionScores" {
				t.Errorf("the last weight is %s", last)
			}
			if _, report, err := models.OpenSequenceClassifier(c.src, 2, 1); err != nil ||
				slices.Contains(report.Skipped, "crf.TransitionScores") != (c.name != "without") {
				t.Errorf("for another task: %+v, %v", report.Skipped, err)
			}
		})
	}
	if !models.InHead("crf.TransitionScores") ||
		!slices.Equal(models.HeadsWith("crf.TransitionScores"), []arch.Kind{arch.Token}) {
		t.Error("the CRF does not belong to the head for tokens")
	}
	if _, _, err := models.OpenTagger(src, 0, 1); err == nil {
		t.Error("a tagger without labels")
	}
}
