package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/lora"
)

// InputFlags say which texts a command reads: a file, standard input, or texts on the command line.
type InputFlags struct {
	Input string
	Texts []string
	Pairs []string
	// Reading lists the flags that say how files are read; nil: those of DataFlags.
	Reading []string
}

// Add defines the flags.
func (f *InputFlags) Add(fs *pflag.FlagSet) {
	f.AddTexts(fs)
	fs.StringArrayVar(&f.Pairs, "text-pair", nil, "the second `text` of the --text in the same place")
}

// AddTexts defines the flags of a command that reads no pairs.
func (f *InputFlags) AddTexts(fs *pflag.FlagSet) {
	fs.StringVar(&f.Input, "input", "", "`file` of texts, or - for standard input; default: standard input, if something is piped into it")
	fs.StringArrayVar(&f.Texts, "text", nil, "a `text`, instead of a file; may be given several times")
}

// Check reports contradictions. given tells whether a flag was set. Without any flag the input is standard input.
func (f *InputFlags) Check(env Env, given func(string) bool) error {
	reading := f.Reading
	if reading == nil {
		reading = DataFlagNames()
	}
	switch {
	case f.Input != "" && len(f.Texts) > 0:
		return UsageError(errors.New("--input and --text exclude each other"))
	case len(f.Pairs) > 0 && len(f.Pairs) != len(f.Texts):
		return UsageError(fmt.Errorf("%d times --text-pair for %d times --text; give one for each", len(f.Pairs), len(f.Texts)))
	case len(f.Texts) > 0:
		if i := slices.IndexFunc(reading, given); i >= 0 {
			return UsageError(fmt.Errorf("--%s is for files, not for --text", reading[i]))
		}
		return nil
	}
	return DefaultInput(&f.Input, env, given, "give --input FILE or --text TEXT, or pipe texts into standard input")
}

// DefaultInput makes standard input the --input if there is none. On a terminal that is an error, which says what to do instead.
func DefaultInput(input *string, env Env, given func(string) bool, instead string) error {
	switch {
	case given("input") && *input == "":
		return UsageError(errors.New("--input is empty; give a file, or - for standard input"))
	case *input == "" && env.InTerminal:
		return UsageError(errors.New("there is nothing to read; " + instead))
	case *input == "":
		*input = "-"
	}
	return nil
}

// Table returns the texts of the command line as a table, or nil if the input is a file.
func (f *InputFlags) Table() *text.File {
	if len(f.Texts) == 0 {
		return nil
	}
	t := text.New("--text")
	for i, s := range f.Texts {
		e := text.Example{Text: s, Line: i + 1}
		if len(f.Pairs) > 0 {
			e.Pair, e.HasPair = f.Pairs[i], true
		}
		t.Append(e)
	}
	return t
}

// ReadInput returns the content of a file, or of standard input for "-".
func ReadInput(path string, in io.Reader) ([]byte, error) {
	if path == "-" {
		content, err := io.ReadAll(in)
		if err != nil {
			return nil, InputError(fmt.Errorf("standard input: %w", err))
		}
		return content, nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, missingFile(path)
	case err != nil:
		return nil, InputError(err)
	case info.IsDir():
		return nil, InputError(fmt.Errorf("%s: this is a directory; give a file in it", path))
	case !info.Mode().IsRegular():
		return nil, InputError(fmt.Errorf("%s: this is not a regular file; pipe it into standard input (--input -)", path))
	}
	content, err := os.ReadFile(path)
	return content, InputError(err)
}

func missingFile(path string) error { return InputError(fmt.Errorf("%s: there is no such file", path)) }

// CheckAdapterDir explains an adapter directory that does not exist, or is none.
func CheckAdapterDir(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return InputError(fmt.Errorf("--adapter %s: there is no such directory", dir))
	}
	_, _, err := lora.ReadConfig(dir)
	return InputError(err)
}

// CheckModelPath explains a model that does not exist.
func CheckModelPath(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return InputError(fmt.Errorf("--model %s: there is no such directory; give one that holds a Hugging Face checkpoint (hf download ID --local-dir %s gets one from the hub), or a GGUF file", path, path))
	}
	return nil
}
