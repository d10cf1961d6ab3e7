package lora_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// printed is a model that prints its tree.
type printed interface {
	spago.Model
	fmt.Stringer
}

// headCase is case.json of a model with the head of a task.
type headCase struct {
	Labels        int           `json:"num_labels"`
	Task          string        `json:"task"` // of encoders
	TaskType      lora.TaskType `json:"task_type"`
	HeadInBase    bool          `json:"head_in_base"`
	TrainableLine string        `json:"trainable_line"`
}

func (c headCase) open(src *checkpoint.Source) (m printed, r checkpoint.Report, err error) {
	switch {
	case c.Task == "question_answering":
		return models.OpenQuestionAnswerer(src, 1)
	case c.Task == "multiple_choice":
		return models.OpenMultipleChoice(src, 1)
	case c.Task == "feature_extraction":
		return models.OpenEncoder(src, 1)
	case c.TaskType == lora.TokenCls:
		return models.OpenTokenClassifier(src, c.Labels, 1)
	}
	return models.OpenSequenceClassifier(src, c.Labels, 1)
}

// TestHeads: models with heads print as in Python, and an adapter that is loaded and saved again has PEFT's tensors and
// settings (reference/causal_heads_fixtures.py, reference/encoder_fixtures.py,
// reference/seq2seq_heads_fixtures.py).
func TestHeads(t *testing.T) {
	causal, err := filepath.Glob("../testdata/causal_heads/*/case.json")
	if err != nil || len(causal) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	encoders, err := filepath.Glob("../testdata/encoder/*/case.json")
	if err != nil || len(encoders) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	both, err := filepath.Glob("../testdata/seq2seq_heads/*/case.json")
	if err != nil || len(both) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range slices.Concat(causal, encoders, both) {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var c headCase
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &c); err != nil {
				t.Fatal(err)
			}
			src, err := checkpoint.Open(filepath.Join(dir, "base"))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			m, report, err := c.open(src)
			if err != nil {
				t.Fatal(err)
			}
			// The output of the pooler has no use.
			fresh := slices.DeleteFunc(report.Fresh, func(name string) bool { return strings.HasPrefix(name, "pooler.") })
			if len(fresh) > 0 == c.HeadInBase {
				t.Errorf("the file has a head: %v, made fresh: %v", c.HeadInBase, fresh)
			}
			compareWithPEFT(t, dir, m, c)
		})
	}
}

// compareWithPEFT loads PEFT's trained adapter for a model and compares the printed trees and the saved files.
func compareWithPEFT(t *testing.T, dir string, m printed, c headCase) {
	t.Helper()
	nn.SetDropout(m, 0)
	final := filepath.Join(dir, "adapter_final")
	s, _, err := lora.Load(final, m)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Summary(m); got != c.TrainableLine {
		t.Errorf("summary is %q, PEFT's %q", got, c.TrainableLine)
	}
	for name, got := range map[string]string{"print_base.txt": m.String(), "print_lora.txt": s.Tree(m)} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
			t.Errorf("%s: %s", name, firstDifference(got, string(want)))
		}
	}
	saved := t.TempDir()
	if err := s.Save(saved); err != nil {
		t.Fatal(err)
	}
	compareFiles(t, saved, final)
	compareConfigs(t, saved, final)
}
