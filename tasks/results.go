package tasks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/train"
)

// ResultsName is the file of an output directory that sums up its run.
const ResultsName = "results.json"

// Results is the content of results.json.
type Results struct {
	Dir      string // output directory; not in the file
	Kind     string // what the directory holds: adapter or model; not in the file
	TestRows int    // rows that Test is about; not in the file

	Task        string // command of the task type
	Model       string
	Fingerprint string       // of the base model, see [base.Model.Fingerprint]
	Facts       []Fact       // what the task knows before training: problem_type, num_labels …
	Adapter     *lora.Config // nil: all weights were trained
	Train       train.Report
	Test        *train.Metrics // nil: no test rows
	Scores      []Fact         // further scores of the task
	Platform    string
}

// Fact is a key of results.json that belongs to a task type.
type Fact struct {
	Key   string
	Value any
}

// MarshalJSON writes the keys in the order of the fields.
func (r Results) MarshalJSON() ([]byte, error) {
	list := []Fact{{"task", r.Task}, {"model", r.Model}, {"base_fingerprint", r.Fingerprint}}
	list = append(list, r.Facts...)
	if r.Adapter != nil {
		list = append(list, Fact{"adapter", r.Adapter})
	}
	list = append(list, Fact{"train", r.Train})
	if r.Test != nil {
		list = append(list, Fact{"test", r.Test})
	}
	list = append(append(list, r.Scores...), Fact{"platform", r.Platform})
	var b bytes.Buffer
	for i, f := range list {
		b.WriteByte("{,"[min(i, 1)])
		key, err := json.Marshal(f.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// newResults returns the results that are known before training.
func (s *Session) newResults(command, fingerprint, dir string) *Results {
	r := &Results{
		Dir: dir, Kind: "model", Task: command, Model: s.Base.Name, Fingerprint: fingerprint,
		Platform: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(),
	}
	if custom := s.Base.CustomTokenizer(); custom != "" {
		r.Facts = append(r.Facts, Fact{"tokenizer", custom})
	}
	if s.Set != nil {
		c := s.Set.Config()
		r.Kind, r.Adapter = "adapter", &c
	}
	return r
}

func (r *Results) write() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", ResultsName, err)
	}
	return files.WriteFile(filepath.Join(r.Dir, ResultsName), files.Bytes(append(text, '\n')))
}
