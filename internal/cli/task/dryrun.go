package task

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/tasks"
)

// forecast is "finetune TASK --dry-run": text on standard error, and a line of JSON on standard output.
func (j *finetuning) forecast(cmd *cobra.Command) error {
	f, err := spalora.DryRun(cmd.Context(), j.Config)
	if err != nil {
		return err
	}
	checkpointing := cmd.Flags().Lookup("gradient-checkpointing") != nil
	for _, line := range forecastText(f, checkpointing) {
		j.console.Log.Info().Msg(line)
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	fmt.Fprintf(j.env.Out, "%s\n", text)
	return nil
}

// forecastText returns the lines of a forecast. checkpointing says that the command has --gradient-checkpointing.
func forecastText(f *spalora.Forecast, checkpointing bool) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, m := range f.Modules {
		kind := "layers"
		if m.Table {
			kind = "tables"
		}
		add("adapted: %s: %d %s %d→%d, r %d, alpha %g", m.Pattern, m.Count, kind, m.In, m.Out, m.R, m.Alpha)
	}
	for _, m := range f.Saved {
		add("saved in full: %s", named(m))
	}
	for _, r := range f.Rows {
		add("rows that train: %s: %d×%d", r.Module, r.Rows, r.Cols)
	}
	for _, m := range f.Biases {
		add("biases that train: %s", named(m))
	}
	examples := fmt.Sprintf("examples: %d of %d tokens to train on", f.TrainRows, f.TrainTokens)
	if f.EvalRows > 0 {
		examples += fmt.Sprintf(", %d of %d to evaluate on", f.EvalRows, f.EvalTokens)
	}
	if f.TestRows > 0 {
		examples += fmt.Sprintf(", %d of %d to test on", f.TestRows, f.TestTokens)
	}
	add("%s", examples)
	done := ""
	if f.StepsDone > 0 {
		done = fmt.Sprintf(", %d of them done", f.StepsDone)
	}
	add("steps: %d%s, %d an epoch, %d of warm-up; %d batches of %d tokens, at most %d in one; %d evaluations",
		f.Steps, done, f.StepsPerEpoch, f.WarmupSteps, f.Batches, f.Tokens, f.LargestBatch, f.Evaluations)
	add("disk: %s at the end, at most: %s %s, %d checkpoints of %s", size(f.Disk.Total), f.Kind, size(f.Disk.Save),
		f.Disk.CheckpointKept, size(f.Disk.Checkpoint))
	return append(append(list, memoryText(f.Memory, checkpointing)...), timeText(f.Time))
}

// memoryText returns the lines about memory.
func memoryText(m tasks.MemoryForecast, checkpointing bool) []string {
	total := "memory: " + size(m.Peak) + " at most"
	if m.Available > 0 {
		total += " of " + size(m.Available)
	}
	var parts []string
	for _, p := range []struct {
		name string
		n    int64
	}{
		{"weights", m.Weights}, {"adapter", m.Adapter}, {"data", m.Data}, {"gradients", m.Gradients},
		{"optimiser", m.Optimizer}, {"best state", m.Best}, {"activations", m.Activations}, {"kernels", m.Kernels},
		{"evaluation", m.Evaluation}, {"test", m.Test}, {"saving", m.Saving},
		{"program", m.Program},
	} {
		if p.n > 0 {
			parts = append(parts, p.name+" "+size(p.n))
		}
	}
	list := []string{total + ": " + strings.Join(parts, ", ")}
	if checkpointing {
		list = append(list, fmt.Sprintf("activations: %s without --gradient-checkpointing, %s with it",
			size(m.Unchecked), size(m.Checkpointed)))
	}
	return list
}

// timeText returns the line about the time.
func timeText(t *tasks.TimeForecast) string {
	if t == nil {
		return "time: not measured, since the memory would not suffice"
	}
	d := func(seconds float64) time.Duration {
		v := time.Duration(seconds * float64(time.Second))
		if v >= 10*time.Second {
			return v.Round(time.Second)
		}
		return v.Round(10 * time.Millisecond)
	}
	return fmt.Sprintf("time: %v: training %v at %.0f tokens/s, evaluations %v; by %d batches with %d tokens, the "+
		"largest batch takes %v", d(t.Total), d(t.Training), t.TokensPerSecond, d(t.Evaluation), t.ProbeBatches,
		t.ProbeTokens, d(t.LongestBatch))
}

// size prints a number of bytes.
func size(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d MiB", (n+1<<19)>>20)
}

// named prints a pattern, with the number of modules if they are several.
func named(m tasks.Modules) string {
	if m.Count == 1 {
		return m.Pattern
	}
	return fmt.Sprintf("%s (%d)", m.Pattern, m.Count)
}
