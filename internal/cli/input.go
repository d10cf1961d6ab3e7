package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/tasks"
)

// InputFlags choose the texts that a command reads: a file, standard input, or texts on the command line.
type InputFlags struct {
	Input string
	Texts []string
	Pairs []string
}

// Add defines the flags.
func (f *InputFlags) Add(fs *pflag.FlagSet) {
	f.AddTexts(fs)
	fs.StringArrayVar(&f.Pairs, "text-pair", nil, "the second `text` of the --text in the same place")
}

// AddTexts defines the flags of a command that reads no pairs.
func (f *InputFlags) AddTexts(fs *pflag.FlagSet) {
	fs.StringVar(&f.Input, "input", "",
		"`file` of texts, or - for standard input; default: standard input, if something is piped into it")
	fs.StringArrayVar(&f.Texts, "text", nil, "a `text`, instead of a file; may be given several times")
}

// Check returns an error if flags contradict each other. given reports whether a flag was given; reading lists those
// that say how files are read. Without any flag the input is standard input.
func (f *InputFlags) Check(env Env, given func(string) bool, reading []string) error {
	switch {
	case f.Input != "" && len(f.Texts) > 0:
		return errors.New("--input and --text exclude each other")
	case len(f.Pairs) > 0 && len(f.Pairs) != len(f.Texts):
		return fmt.Errorf("--text-pair is given %d times for %d times --text; give one for each", len(f.Pairs), len(f.Texts))
	case len(f.Texts) > 0:
		if i := slices.IndexFunc(reading, given); i >= 0 {
			return fmt.Errorf("--%s is for files, not for --text", reading[i])
		}
		return nil
	}
	return DefaultInput(&f.Input, env, given, "give --input FILE or --text TEXT, or pipe texts into standard input")
}

// MoreInputs lets arguments follow --input, as a shell makes them of --input *.wav: they are added to its values. what
// names them in the error about arguments without --input.
func MoreInputs(cmd *cobra.Command, inputs *[]string, what string) {
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 && len(*inputs) == 0 {
			return UsageError(fmt.Errorf("unexpected argument %q; give %s as --input", args[0], what))
		}
		*inputs = append(*inputs, args...)
		return nil
	}
}

// DefaultInput makes standard input the --input if there is none. On a terminal that is an error, which says what to
// do instead.
func DefaultInput(input *string, env Env, given func(string) bool, instead string) error {
	switch {
	case given("input") && *input == "":
		return errors.New("--input is empty; give a file, or - for standard input")
	case *input == "" && env.InTerminal:
		return errors.New("there is nothing to read; " + instead)
	case *input == "":
		*input = "-"
	}
	return nil
}

// File returns the texts of the command line as a file, or nil if the input is a file.
func (f *InputFlags) File() *text.File {
	if len(f.Texts) == 0 {
		return nil
	}
	file := text.New("--text")
	for i, t := range f.Texts {
		e := text.Example{Text: t, Line: i + 1}
		if len(f.Pairs) > 0 {
			e.Pair, e.HasPair = f.Pairs[i], true
		}
		file.Append(e)
	}
	return file
}

// ReadInput returns the content of a file, unpacked if it is compressed with gzip, or of standard input for "-".
func ReadInput(path string, in io.Reader) ([]byte, error) {
	if path != "-" {
		packed, err := base.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r, err := data.Unzip(bytes.NewReader(packed), path)
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, InputError(fmt.Errorf("%s: %w", path, err))
		}
		return content, nil
	}
	content, err := io.ReadAll(in)
	if err != nil {
		return nil, InputError(fmt.Errorf("%s: %w", tasks.StdinName, err))
	}
	return content, nil
}

// HeadFlags choose the trained model that a command opens.
type HeadFlags struct {
	Model     string
	Adapter   string
	Adapters  []NamedAdapter // which rows name, in place of Adapter
	OtherBase bool
}

// Add defines the flags. adapter is the usage of --adapter, "" for that of a task with a head.
func (f *HeadFlags) Add(fs *pflag.FlagSet, builtIn BuiltIn, adapter string) {
	if adapter == "" {
		adapter = "`directory` of an adapter, of finetune or of PEFT; may be left out if the checkpoint has a trained head"
	}
	fs.StringVar(&f.Model, "model", "",
		"`directory` of a Hugging Face checkpoint, or GGUF file"+builtIn.Usage())
	fs.StringVar(&f.Adapter, "adapter", "", adapter)
	addAdapters(fs, &f.Adapters)
	fs.BoolVar(&f.OtherBase, "allow-other-base", false, "use an adapter that was trained on another base model")
}

// Check returns the errors about contradictions. given reports whether a flag was given.
func (f *HeadFlags) Check(given func(string) bool) []error {
	var errs []error
	if f.OtherBase && f.Adapter == "" && len(f.Adapters) == 0 {
		errs = append(errs, errors.New("--allow-other-base needs --adapter or --adapters"))
	}
	if given("adapter") && len(f.Adapters) > 0 {
		errs = append(errs, errors.New("--adapter and --adapters exclude each other"))
	}
	if given("adapter") && f.Adapter == "" {
		errs = append(errs, errors.New("--adapter is empty; give a directory"))
	}
	return errs
}
