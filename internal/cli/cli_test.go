package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/train"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{cli.UsageError(errors.New("x")), 2},
		{cli.InputError(errors.New("x")), 3},
		{fmt.Errorf("a: %w", cli.InputError(errors.New("x"))), 3},
		{errors.Join(cli.UsageError(errors.New("x")), errors.New("y")), 2},
		{&data.Error{File: "f", Msg: "m"}, 3},
		{fmt.Errorf("a: %w", &audio.Error{File: "f", Msg: "m"}), 3},
		{fmt.Errorf("a: %w", data.ErrOption), 2},
		{fmt.Errorf("a: %w", train.ErrConfig), 2},
		{fmt.Errorf("a: %w", train.ErrCheckpoint), 3},
		{fmt.Errorf("a: %w", train.ErrStopped), 4},
		{fmt.Errorf("a: %w", context.Canceled), 4},
		{errors.Join(train.ErrStopped, errors.New("x")), 4},
	} {
		if got := cli.ExitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	if cli.UsageError(nil) != nil || cli.InputError(nil) != nil {
		t.Error("no error has become one")
	}
}

// failing is a command that calls run.
func failing(run func() error) clitest.Command {
	return func(cli.Env) *cobra.Command {
		cmd := &cobra.Command{Use: "do", RunE: func(*cobra.Command, []string) error { return run() }}
		cli.Leaf(cmd)
		return cmd
	}
}

func TestMessages(t *testing.T) {
	clitest.Run(t, failing(func() error { return errors.New("a\nb\r\nc") })).Refused(t, 1, "do: a; b; c\n")
	clitest.Run(t, failing(func() error { return cli.UsageError(errors.New("a")) })).Refused(t, 2,
		"do: a (see 'do --help')\n")
	clitest.Run(t, failing(func() error { return fmt.Errorf("writing: %w", syscall.ENOSPC) })).Refused(t,
		1, "the disk is full")
	clitest.Run(t, failing(func() error { return fmt.Errorf("tasks: a:3: %w", context.Canceled) })).Refused(t, 4,
		"do: stopped by a signal before the end\n")
	saved := fmt.Errorf("%w after step 3: %w; go on from there", train.ErrStopped, context.Canceled)
	clitest.Run(t, failing(func() error { return saved })).Refused(t, 4, "do: stopped after step 3", "go on from there")
	r := clitest.Run(t, failing(func() error { panic("oh") }))
	if r.Code != cli.Failure || !strings.HasPrefix(r.Err, "do: internal error: oh (this is a bug") ||
		!strings.Contains(r.Err, "cli_test.go") {
		t.Errorf("a panic gives exit code %d and\n%s", r.Code, r.Err)
	}
}

// full is a device without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestUnwrittenResults: results that could not be written are a failure, although the command went on and did the
// rest of its work.
func TestUnwrittenResults(t *testing.T) {
	var log clitest.Buffer
	done := false
	build := func(env cli.Env) *cobra.Command {
		cmd := &cobra.Command{Use: "do", RunE: func(*cobra.Command, []string) error {
			fmt.Fprint(env.Out, "result")
			done = true
			return nil
		}}
		cli.Leaf(cmd)
		return cmd
	}
	code := cli.Run(t.Context(), cli.Env{Out: full{}, Err: &log}, build, nil)
	const want = "do: the results could not be written to standard output: "
	if code != cli.Failure || !done || !strings.HasPrefix(log.String(), want) {
		t.Errorf("exit code %d, done %v: %s", code, done, log.String())
	}
}

// TestConsole shows every line of a run, on a terminal (where a bar is below them) and elsewhere.
func TestConsole(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var err clitest.Buffer
		env := clitest.Env(nil, new(clitest.Buffer), &err)
		env.Terminal = terminal
		c, e := cli.NewConsole(env, cli.LogFlags{Format: "text"}, pflag.NewFlagSet("", pflag.ContinueOnError))
		if e != nil {
			t.Fatal(e)
		}
		c.Start(train.Plan{Steps: 3, Rows: 5})
		for step := 1; step <= 3; step++ {
			c.Step(train.StepInfo{Step: step, Steps: 3, Loss: 1.5})
			metrics := train.Metrics{Values: []train.Metric{{Name: "accuracy", Value: 0.25}}}
			c.Evaluation(train.Evaluation{Step: step, Metrics: metrics})
		}
		c.Stop()
		c.Stop()
		c.Log.Warn().Msg("done")
		for _, want := range []string{"3 steps", "step 1 evaluation: accuracy 0.2500",
			"step 3 evaluation: accuracy 0.2500", "WARN:", "done"} {
			if !strings.Contains(err.String(), want) {
				t.Errorf("terminal %v: lacks %q:\n%s", terminal, want, err.String())
			}
		}
		if !terminal && !strings.Contains(err.String(), "step 3/3 epoch 0.00 loss 1.5000") {
			t.Errorf("no line for the last step:\n%s", err.String())
		}
	}
	if _, err := cli.NewConsole(cli.Env{}, cli.LogFlags{Format: "x"},
		pflag.NewFlagSet("", pflag.ContinueOnError)); cli.ExitCode(err) != cli.Usage {
		t.Error(err)
	}
}

func TestResult(t *testing.T) {
	var out clitest.Buffer
	env := clitest.Env(nil, &out, new(clitest.Buffer))
	for _, path := range []string{"", "-"} {
		r := cli.Result{Flag: "--output", Path: path}
		if err := r.Check("-"); err != nil {
			t.Error(err)
		}
		if err := r.Write(env, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }); err != nil {
			t.Error(err)
		}
	}
	if out.String() != "xx" {
		t.Errorf("standard output has %q", out.String())
	}
}
