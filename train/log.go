package train

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/spalora/spalora/internal/files"
)

const metricsName = "metrics.jsonl"

// metricsLog writes metrics.jsonl line by line. A nil log writes nothing.
type metricsLog struct {
	file files.File
	mark logMark
	sum  hash.Hash
}

// logMark describes the beginning of metrics.jsonl that belongs to a state: its length and SHA-256 sum.
type logMark struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// openLog opens the log in dir, truncates it to its first keep bytes and appends to them.
func openLog(dir string, keep int64) (*metricsLog, error) {
	path := filepath.Join(dir, metricsName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	l := &metricsLog{file: f, sum: sha256.New()}
	err = f.Truncate(keep)
	if err == nil {
		l.mark.Bytes, err = io.Copy(l.sum, f)
	}
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", path, also(err, f.Close()))
	}
	return l, nil
}

// fits reports whether the log in dir begins with the bytes that the mark describes.
func (m logMark) fits(dir string) bool {
	f, err := os.Open(filepath.Join(dir, metricsName))
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.CopyN(h, f, m.Bytes)
	return err == nil && n == m.Bytes && hex.EncodeToString(h.Sum(nil)) == m.SHA256
}

// copyLog makes the log in dir the first bytes of the one in from.
func copyLog(dir, from string, m logMark, opts ...files.Option) error {
	b, err := os.ReadFile(filepath.Join(from, metricsName))
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return files.WriteFile(filepath.Join(dir, metricsName), files.Bytes(b[:m.Bytes]), opts...)
}

// stepLine is a line of a step. Numbers have all their digits.
type stepLine struct {
	Step            int     `json:"step"`
	Epoch           float64 `json:"epoch"`
	Loss            float64 `json:"loss"`
	GradNorm        float64 `json:"grad_norm"`
	LearningRate    float64 `json:"learning_rate"`
	TokensPerSecond float64 `json:"tokens_per_second"`
}

func (l *metricsLog) step(i StepInfo) error {
	return l.write(stepLine{i.Step, i.Epoch, i.Loss, i.GradNorm, i.LearningRate, i.TokensPerSecond})
}

// evaluation writes a line with step, epoch and every metric, with the prefix "eval_".
func (l *metricsLog) evaluation(e Evaluation) error {
	line := Metrics{Values: []Metric{{Name: "step", Value: float64(e.Step)}, {Name: "epoch", Value: e.Epoch}}}
	for _, m := range e.Metrics.Values {
		line.Values = append(line.Values, Metric{Name: "eval_" + m.Name, Value: m.Value})
	}
	return l.write(line)
}

// write appends a line with one write, so that a reader never sees a part of a number.
func (l *metricsLog) write(line any) error {
	if l == nil {
		return nil
	}
	b, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("train: %s: %w", metricsName, err)
	}
	b = append(b, '\n')
	if _, err := l.file.Write(b); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	l.mark.Bytes += int64(len(b))
	_, _ = l.sum.Write(b) // a hash never returns an error
	return nil
}

// sync syncs the log to disk and returns the mark of its content.
func (l *metricsLog) sync() (logMark, error) {
	if l == nil {
		return logMark{}, nil
	}
	if err := l.file.Sync(); err != nil {
		return logMark{}, fmt.Errorf("train: %w", err)
	}
	return logMark{l.mark.Bytes, hex.EncodeToString(l.sum.Sum(nil))}, nil
}

func (l *metricsLog) close() error {
	if l == nil {
		return nil
	}
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}
