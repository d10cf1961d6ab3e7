package predict

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/train"
)

// job is what runs that predict something for each row of an input have in common.
type job struct {
	log                 cli.LogFlags
	output, metricsFile string
	overwrite           bool
	tokensPerBatch      int
	threads             int

	env     cli.Env
	given   func(flag string) bool // by somebody, or by the adapter
	typed   func(flag string) bool // by somebody
	console *cli.Console
}

// addOutput defines the flags of what is written; own are those of the task.
func (j *job) addOutput(fs *pflag.FlagSet, own func(fs *pflag.FlagSet)) {
	fs.StringVar(&j.output, "output", "", "`file` of JSON lines; default, or -: standard output")
	own(fs)
	fs.StringVar(&j.metricsFile, "metrics-file", "", "`file` for the metrics, JSON")
	fs.BoolVar(&j.overwrite, "overwrite", false, "replace --output and --metrics-file if they exist")
}

// addSpeed defines the flags that change nothing but time and memory.
func (j *job) addSpeed(fs *pflag.FlagSet) {
	fs.IntVar(&j.tokensPerBatch, "tokens-per-batch", 4096, "tokens that are computed at once. Results do not depend on it")
	fs.IntVar(&j.threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
}

// start makes the console, and takes over what the adapter was trained with.
func (j *job) start(cmd *cobra.Command) (err error) {
	j.given, j.typed = cmd.Flags().Changed, cli.Typed(cmd.Flags())
	if j.console, err = cli.NewConsole(j.env, j.log); err != nil {
		return err
	}
	return cli.Recall(cmd.Flags(), cmd.Flag("adapter").Value.String(), j.console.Log)
}

// results returns where predictions and metrics go.
func (j *job) results() (result, scores cli.Result) {
	return cli.Result{Flag: "--output", Path: j.output, Overwrite: j.overwrite}, cli.Result{Flag: "--metrics-file", Path: j.metricsFile, Overwrite: j.overwrite}
}

// checkFlags reports flags that have no meaning.
func (j *job) checkFlags() []error {
	var errs []error
	if j.given("metrics-file") && (j.metricsFile == "" || j.metricsFile == "-" || filepath.Clean(j.metricsFile) == filepath.Clean(j.output)) {
		errs = append(errs, errors.New("--metrics-file wants a file of its own"))
	}
	if j.given("tokens-per-batch") && j.tokensPerBatch < 1 {
		errs = append(errs, fmt.Errorf("--tokens-per-batch is %d; want 1 or more", j.tokensPerBatch))
	}
	return errs
}

// warnReplaced tells in how many lines of a file bytes were replaced, if in any.
func (j *job) warnReplaced(file string, lines int) {
	if lines > 0 {
		j.console.Log.Warn().Msgf("%s: %d lines held bytes that are not UTF-8; they were replaced", file, lines)
	}
}

// portion is how many rows are tokenised and computed between two lines about progress.
const portion = 2048

// inPortions calls f with the numbers of rows, some at a time, and logs how far it is. what names the rows' file.
func (j *job) inPortions(what string, rows int, f func(lo, hi int) error) error {
	began := time.Now()
	told := began
	for lo := 0; lo < rows; lo += portion {
		hi := min(lo+portion, rows)
		if err := f(lo, hi); err != nil {
			return err
		}
		if hi < rows && time.Since(told) > 5*time.Second {
			told = time.Now()
			j.console.Log.Info().Msgf("%d of %d rows", hi, rows)
		}
	}
	j.console.Log.Info().Msgf("%s: %d rows in %.2f s", what, rows, time.Since(began).Seconds())
	return nil
}

// write writes the rows and then, if that went well, logs the metrics of those with labels, if there are any, and writes their file, if one
// is asked for.
func (j *job) write(result, scores cli.Result, rows func(w io.Writer) error, what string, labelled int, m train.Metrics) error {
	if err := result.Write(j.env, rows); err != nil {
		return err
	}
	if len(m.Values) == 0 {
		return nil
	}
	j.console.Log.Info().Msgf("%s, %d labelled rows: %s", what, labelled, cli.MetricsText(m))
	if scores.Path == "" {
		return nil
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("--metrics-file: %w", err)
	}
	return scores.Write(j.env, files.Bytes(append(text, '\n')))
}
