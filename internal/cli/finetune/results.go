package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// results is results.json.
type results struct {
	Task        string         `json:"task"`
	Model       string         `json:"model"`
	Fingerprint string         `json:"base_fingerprint"`
	Problem     string         `json:"problem_type"`
	Labels      int            `json:"num_labels"`
	Adapter     lora.Config    `json:"adapter"`
	Train       train.Report   `json:"train"`
	Test        *train.Metrics `json:"test,omitempty"`
	Platform    string         `json:"platform"`
}

func (r *seqClsRun) results(dir string, base *cli.Base, set *lora.Set, labels *data.Labels, report train.Report, test *train.Metrics) error {
	text, err := json.MarshalIndent(results{
		Task: "seq-cls", Model: base.Name, Fingerprint: set.Fingerprint(), Problem: labels.Problem.String(), Labels: len(labels.Names),
		Adapter: set.Config(), Train: report, Test: test, Platform: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(),
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("results.json: %w", err)
	}
	return files.WriteFile(filepath.Join(dir, "results.json"), files.Bytes(append(text, '\n')))
}

// finish scores the test rows with the best adapter, writes results.json and says where everything is.
func (r *seqClsRun) finish(ctx context.Context, dir string, base *cli.Base, set *lora.Set, labels *data.Labels, task *tasks.SeqCls, t tables, report train.Report) error {
	var test *train.Metrics
	if t.test != nil {
		m, err := task.Evaluate(ctx, data.Test)
		if err != nil {
			return errors.Join(err, r.results(dir, base, set, labels, report, nil))
		}
		test = &m
	}
	if err := r.results(dir, base, set, labels, report, test); err != nil {
		return err
	}
	out := r.env.Out
	fmt.Fprintf(out, "trained %d steps (%.2f epochs) in %.1f s: %.0f tokens/s, mean loss %.4f\n", report.Steps, report.Epochs, report.Runtime, report.TokensPerSecond, report.TrainLoss)
	if report.Best != nil {
		fmt.Fprintf(out, "best evaluation, step %d: %s\n", report.Best.Step, cli.MetricsText(report.Best.Metrics))
	}
	if test != nil {
		fmt.Fprintf(out, "test, %d rows: %s\n", len(t.test.Examples), cli.MetricsText(*test))
	}
	fmt.Fprintf(out, "adapter: %s\n", dir)
	return nil
}
