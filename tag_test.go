package spalora_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tasks/tokencls"
)

// tagger opens the fixture of reference/minilm_tokens_fixtures.py.
func tagger(t *testing.T, s *tokencls.Settings) *spalora.Model {
	t.Helper()
	dir := filepath.Join("testdata", "minilm_tokens", "adapter_init")
	m, err := spalora.Open(dir, spalora.WithBaseFiles("MiniLM", embedded.MiniLM()), spalora.WithSettings(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestTag compares entities with those of transformers' pipeline.
func TestTag(t *testing.T) {
	var f struct {
		Texts      []string
		Strategies map[string]struct{ Texts [][][]any }
	}
	text, err := os.ReadFile(filepath.Join("testdata", "minilm_tokens", "pipeline.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	for strategy, expected := range map[string]string{"": "first", "average": "average"} {
		m := tagger(t, &tokencls.Settings{AggregationStrategy: strategy})
		list, err := m.TagAll(t.Context(), spalora.Texts(f.Texts...))
		if err != nil {
			t.Fatal(err)
		}
		for i, found := range list {
			want := f.Strategies[expected].Texts[i]
			if len(found) != len(want) {
				t.Errorf("%s %q: %d entities, want %d", expected, f.Texts[i], len(found), len(want))
				continue
			}
			for j, e := range found {
				w := want[j]
				same := e.Type == w[0] && e.From == int(w[2].(float64)) && e.To == int(w[3].(float64))
				if !same || math.Abs(e.Score-w[1].(float64)) > 2e-6 || e.Text != string([]rune(f.Texts[i])[e.From:e.To]) {
					t.Errorf("%s %q: %+v, the pipeline's %v", expected, f.Texts[i], e, w)
				}
			}
		}
	}
}

// TestTagWords tags the words of several sentences at once and of one after another, from several goroutines.
func TestTagWords(t *testing.T) {
	m := tagger(t, &tokencls.Settings{})
	if m.Task() != "token-cls" {
		t.Errorf("task %s", m.Task())
	}
	sentences := [][]string{{"Anna", "Featherston", "at", "7:30", "pm"}, {"no", "\u200b"}, nil}
	all, err := m.TagWords(t.Context(), sentencesOf(sentences...))
	if err != nil {
		t.Fatal(err)
	}
	var w sync.WaitGroup
	for i, words := range sentences {
		for j, tag := range all[i] {
			if hollow := words[j] == "\u200b"; hollow != (tag.Label == "") || hollow != (tag.Score == 0) {
				t.Errorf("%q: %+v", words[j], tag)
			}
		}
		w.Go(func() {
			one, err := m.TagWords(t.Context(), sentencesOf(words))
			if err != nil || len(one[0]) != len(words) || !slices.Equal(one[0], all[i]) {
				t.Errorf("%q: %v, %v; among others %v", words, one, err, all[i])
			}
		})
	}
	w.Wait()
	if _, err := m.Classify(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "call Tag or TagWords") {
		t.Errorf("a call of another task: %v", err)
	}
}

// sentencesOf returns sentences of these words.
func sentencesOf(words ...[]string) []spalora.Sentence {
	list := make([]spalora.Sentence, len(words))
	for i, w := range words {
		list[i].Words = w
	}
	return list
}
