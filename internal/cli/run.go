package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/train"
)

// The exit codes, which scripts rely on.
const (
	Done      = 0
	Failure   = 1
	Usage     = 2 // wrong flags or configuration
	BadInput  = 3 // a file that was read is missing or damaged
	Cancelled = 4 // stopped by a signal; the adapter is saved
)

// Env is where a command reads and writes.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // Err is a terminal: progress may redraw its line
	Width    int  // of the terminal
}

// System is the process's own environment.
func System() Env {
	e := Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	fd := int(os.Stderr.Fd())
	if e.Terminal = term.IsTerminal(fd); e.Terminal {
		e.Width, _, _ = term.GetSize(fd)
	}
	return e
}

// coded is an error with its exit code.
type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

// UsageError marks an error as the user's flags or configuration.
func UsageError(err error) error { return mark(err, Usage) }

// InputError marks an error as that of a file that was read.
func InputError(err error) error { return mark(err, BadInput) }

func mark(err error, code int) error {
	if err == nil {
		return nil
	}
	return coded{err, code}
}

// ExitCode returns the code for an error: an explicit mark decides, then the errors that packages declare.
func ExitCode(err error) int {
	var c coded
	var d *data.Error
	switch {
	case err == nil:
		return Done
	case errors.Is(err, train.ErrStopped), errors.Is(err, context.Canceled):
		return Cancelled
	case errors.As(err, &c):
		return c.code
	case errors.As(err, &d):
		return BadInput
	case errors.Is(err, data.ErrOption), errors.Is(err, train.ErrConfig):
		return Usage
	}
	return Failure
}

// Main runs a command with the process's arguments and returns its exit code. The first SIGINT or SIGTERM cancels the
// command's context, so that it can save; the second ends the process.
func Main(build func(Env) *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, System(), build, os.Args[1:])
}

// Run runs a command and returns its exit code. An error is printed as one line.
func Run(ctx context.Context, env Env, build func(Env) *cobra.Command, args []string) int {
	cmd := build(env)
	cmd.SetIn(env.In)
	cmd.SetOut(env.Out)
	cmd.SetErr(env.Err)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return UsageError(err) })
	cmd.SetArgs(args)
	ran, err := cmd.ExecuteContextC(ctx)
	if err == nil {
		return Done
	}
	code := ExitCode(err)
	if code == Failure && !ran.HasParent() { // cobra's own complaint about the subcommand
		code = Usage
	}
	fmt.Fprintf(env.Err, "%s: %s\n", ran.CommandPath(), OneLine(err))
	if code == Usage {
		fmt.Fprintf(env.Err, "See '%s --help'.\n", ran.CommandPath())
	}
	return code
}

// OneLine returns the text of an error without line breaks.
func OneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, "; ")
}

// Leaf sets what all subcommands have in common: no positional arguments, HF's spellings of flags, --config.
func Leaf(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return UsageError(fmt.Errorf("unexpected argument %q; everything is given by flags", args[0]))
		}
		return nil
	}
	AddConfig(cmd)
}
