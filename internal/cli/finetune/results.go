package finetune

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/train"
)

const resultsName = "results.json"

// results is results.json.
type results struct {
	Task        string         `json:"task"`
	Model       string         `json:"model"`
	Fingerprint string         `json:"base_fingerprint"`
	Problem     string         `json:"problem_type,omitempty"`    // of a classifier
	Labels      *int           `json:"num_labels,omitempty"`      // of a classifier
	Chance      *float64       `json:"chance_accuracy,omitempty"` // of multiple choice: what guessing reaches on the test rows
	Adapter     *lora.Config   `json:"adapter,omitempty"`         // nil: all weights were trained
	Train       train.Report   `json:"train"`
	Test        *train.Metrics `json:"test,omitempty"`
	EvalTypes   []typeScore    `json:"eval_types,omitempty"` // of the best evaluation, for token classification
	TestTypes   []typeScore    `json:"test_types,omitempty"`
	Platform    string         `json:"platform"`
}

// newResults returns what is known before training.
func newResults(task string, base *cli.Base, fingerprint string, set *lora.Set) results {
	r := results{Task: task, Model: base.Name, Fingerprint: fingerprint, Platform: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version()}
	if set != nil {
		c := set.Config()
		r.Adapter = &c
	}
	return r
}

func (r results) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", resultsName, err)
	}
	return files.WriteFile(filepath.Join(dir, resultsName), files.Bytes(append(text, '\n')))
}
