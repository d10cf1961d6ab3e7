package lora_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// TestHeads: classifiers on causal models print as Python's, and an adapter that is loaded and saved again has PEFT's tensors and
// settings (reference/causal_heads_fixtures.py).
func TestHeads(t *testing.T) {
	files, err := filepath.Glob("../testdata/causal_heads/*/case.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var c struct {
				Labels        int           `json:"num_labels"`
				Task          lora.TaskType `json:"task_type"`
				HeadInBase    bool          `json:"head_in_base"`
				TrainableLine string        `json:"trainable_line"`
			}
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
			var m interface {
				spago.Model
				fmt.Stringer
			}
			var report checkpoint.Report
			if c.Task == lora.TokenCls {
				m, report, err = models.OpenTokenClassifier(src, c.Labels, 1)
			} else {
				m, report, err = models.OpenSequenceClassifier(src, c.Labels, 1)
			}
			if err != nil {
				t.Fatal(err)
			}
			if fresh := len(report.Fresh) > 0; fresh == c.HeadInBase {
				t.Errorf("the file has a head: %v, made fresh: %v", c.HeadInBase, report.Fresh)
			}
			nn.SetDropout(m, 0)
			s, _, err := lora.Load(filepath.Join(dir, "adapter_final"), m)
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
			compareFiles(t, saved, filepath.Join(dir, "adapter_final"))
			compareConfigs(t, saved, filepath.Join(dir, "adapter_final"))
		})
	}
}
