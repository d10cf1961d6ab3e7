package spalora_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/tasks/tokencls"
)

// crfDir holds an adapter with a CRF and what PEFT makes of it (reference/crf_adapter_fixture.py).
var crfDir = filepath.Join("testdata", "crf")

// TestTagWordsWithCRF compares tags and scores with Viterbi's path and the marginals, in float64, over PEFT's logits.
func TestTagWordsWithCRF(t *testing.T) {
	var want struct {
		Warnings []string
		Kept     []string `json:"kept_when_saved_again"`
		Listed   bool     `json:"listed_when_saved_again"`

		Sentences []struct {
			Words, Tags []string
			Scores      []float64
		}
	}
	text, err := os.ReadFile(filepath.Join(crfDir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Warnings)+len(want.Kept) > 0 || !want.Listed { // what docs/commands.md says
		t.Errorf("PEFT warns of %v, keeps %v and lists crf: %v", want.Warnings, want.Kept, want.Listed)
	}
	m, err := spalora.Open(filepath.Join(crfDir, "adapter"),
		spalora.WithBase(filepath.Join("testdata", "bert", "save_pooler", "base")))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var sentences [][]string
	for _, s := range want.Sentences {
		sentences = append(sentences, s.Words)
	}
	got, err := m.TagWords(t.Context(), sentencesOf(sentences...))
	if err != nil {
		t.Fatal(err)
	}
	entities := 0
	for i, s := range want.Sentences {
		for j, tag := range got[i] {
			if tag.Label != s.Tags[j] || math.Abs(float64(tag.Score)-s.Scores[j]) > 2e-6 {
				t.Errorf("%q in %q: %+v, want %s, %g", s.Words[j], s.Words, tag, s.Tags[j], s.Scores[j])
			}
			if strings.HasPrefix(tag.Label, "B-") {
				entities++
			}
		}
		found, err := m.Tag(t.Context(), strings.Join(s.Words, " "))
		if err != nil {
			t.Fatal(err)
		}
		entities -= len(found[0])
	}
	if entities != 0 {
		t.Errorf("Tag finds %d entities less than TagWords", entities)
	}
	_, err = spalora.Open(filepath.Join(crfDir, "adapter"),
		spalora.WithSettings(&tokencls.Settings{AggregationStrategy: "max"}))
	if err == nil || !strings.Contains(err.Error(), "aggregation_strategy max") {
		t.Errorf("aggregation by token scores: %v", err)
	}
}
