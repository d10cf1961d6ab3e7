package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/train"
)

// The exit codes, which scripts rely on.
const (
	Done      = 0
	Failure   = 1
	Usage     = 2 // wrong flags or configuration
	BadInput  = 3 // a file that was read is missing or damaged
	Cancelled = 4 // stopped by a signal; what was trained so far is saved
)

// Env is where a command reads and writes.
type Env struct {
	In          io.Reader
	Out, Err    io.Writer
	InTerminal  bool // In is a terminal, not a pipe or a file
	Terminal    bool // Err is a terminal: progress may redraw its line
	OutTerminal bool // Out is a terminal: a person reads it
	Colour      bool // Out takes colours
	Width       int  // of the terminal
}

// System is the process's own environment.
func System() Env {
	e := Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, InTerminal: term.IsTerminal(int(os.Stdin.Fd()))}
	e.OutTerminal = term.IsTerminal(int(os.Stdout.Fd()))
	e.Colour = e.OutTerminal && os.Getenv("NO_COLOR") == "" // https://no-color.org
	fd := int(os.Stderr.Fd())
	if e.Terminal = term.IsTerminal(fd); e.Terminal {
		e.Width, _, _ = term.GetSize(fd)
	}
	return e
}

// UsageError marks an error as the user's flags or configuration; nil stays nil.
func UsageError(err error) error { return base.Settings(err) }

// InputError marks an error as that of a file that was read; nil stays nil.
func InputError(err error) error { return base.Input(err) }

// ExitCode returns the code for an error: an explicit mark decides, then the errors that packages declare.
func ExitCode(err error) int {
	var d *data.Error
	var a *audio.Error
	switch blame := base.Blame(err); {
	case err == nil:
		return Done
	case errors.Is(err, train.ErrStopped), errors.Is(err, context.Canceled):
		return Cancelled
	case blame == base.ErrSettings:
		return Usage
	case blame == base.ErrInput:
		return BadInput
	case errors.As(err, &d), errors.As(err, &a), errors.Is(err, train.ErrCheckpoint):
		return BadInput
	case errors.Is(err, data.ErrOption), errors.Is(err, train.ErrConfig), errors.Is(err, generate.ErrConfig):
		return Usage
	}
	return Failure
}

// gcPercent is how much garbage a command may make, in percent of what is in use, before it is collected. Data and
// weights are large and hold few pointers, so collecting costs little, while Go's 100 would double their memory.
const gcPercent = 50

// Main runs a command with the process's arguments and returns its exit code. The first SIGINT or SIGTERM cancels the
// command's context, so that it can save; the second ends the process.
func Main(build func(Env) *cobra.Command) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log.SetOutput(io.Discard) // only libraries log there: the FLAC decoder does, for every frame of 24 kHz
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, System(), build, os.Args[1:])
}

// results is the standard output of a command. It remembers that something could not be written, so that a command
// may print its results at the end of its work without stopping there.
type results struct {
	io.Writer
	err error
}

func (r *results) Write(p []byte) (int, error) {
	n, err := r.Writer.Write(p)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

// Run runs a command and returns its exit code. An error is printed as one line; a panic, which is a bug, with its
// stack. Results that could not be written to standard output are an error, too.
func Run(ctx context.Context, env Env, build func(Env) *cobra.Command, args []string) (code int) {
	out := &results{Writer: env.Out}
	env.Out = out
	cmd := build(env)
	cmd.SetIn(env.In)
	cmd.SetOut(env.Out)
	cmd.SetErr(env.Err)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SetUsageFunc(func(c *cobra.Command) error { return usage(c.OutOrStderr(), c, env.Width) })
	cmd.SetArgs(args)
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintf(env.Err, "%s: internal error: %v (this is a bug; please report it with what follows)\n%s",
				cmd.Name(), v, debug.Stack())
			code = Failure
		}
	}()
	ran, err := cmd, UsageError(kernel.CheckEnvironment())
	if err == nil {
		ran, err = cmd.ExecuteContextC(ctx)
	}
	if err == nil && out.err != nil {
		err = fmt.Errorf("the results could not be written to standard output: %w", out.err)
	}
	if err == nil {
		return Done
	}
	code = ExitCode(err)
	text, hint := OptionsAsFlags(ran.Flags(), OneLine(err)), ""
	if code == Cancelled && !errors.Is(err, train.ErrStopped) { // which says what was saved
		text = "stopped by a signal before the end"
	}
	if errors.Is(err, syscall.ENOSPC) {
		hint = " (the disk is full: free some space, or choose another directory)"
	}
	if code == Usage {
		hint = fmt.Sprintf(" (see '%s --help')", ran.CommandPath())
	}
	fmt.Fprintf(env.Err, "%s: %s%s\n", ran.CommandPath(), text, hint)
	return code
}

// flagError explains a flag that does not exist.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		err = fmt.Errorf("%w%s", err, didYouMean(cmd.Flags(), unknown.GetSpecifiedName()))
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok && errors.Is(err, errZero) {
		f, got, want := invalid.GetFlag(), invalid.GetValue(), "want more than 0"
		if f.Value.Type() == "string" {
			got, want = strconv.Quote(got), "want a value"
		}
		err = fmt.Errorf("--%s is %s; %s, or leave the flag out for %s", f.Name, got, want, f.DefValue)
	}
	return UsageError(err)
}

// OneLine returns the text of an error without line breaks.
func OneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, "; ")
}

// Group adds commands to a command without an action of its own, which returns an error if it is called without one of
// them or with an unknown one, whatever flags follow.
func Group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(commands...)
	var names []string
	for _, c := range commands {
		names = append(names, c.Name())
	}
	list := strings.Join(names, ", ")
	noCommand := func(name string) error {
		if near := nn.Nearest(name, names); len(near) > 0 {
			return UsageError(fmt.Errorf("there is no command %q; did you mean %s? The commands are %s", name,
				strings.Join(near, ", "), list))
		}
		return UsageError(fmt.Errorf("there is no command %q; want one of %s", name, list))
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return UsageError(fmt.Errorf("a command is missing; want one of %s", list))
		}
		return noCommand(args[0])
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { // of an unknown flag, since a group has only --help
		if cmd.Flags().NArg() > 0 {
			return noCommand(cmd.Flags().Arg(0))
		}
		return UsageError(fmt.Errorf("%w; begin with the name of a command, one of %s", err, list))
	})
	return cmd
}

// Leaf sets what all subcommands have in common: no positional arguments, HF's spellings of flags, --config.
func Leaf(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return UsageError(fmt.Errorf("unexpected argument %q; everything is given by flags", args[0]))
		}
		return nil
	}
	cmd.SetFlagErrorFunc(flagError)
	AddConfig(cmd)
}
