package predict

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// tokenizeRun is one run of "predict tokenize".
type tokenizeRun struct {
	model      string
	input      cli.InputFlags
	data       text.Options
	log        cli.LogFlags
	output     string
	overwrite  bool
	maxLength  int
	truncation string
	noSpecial  bool
	threads    int

	env   cli.Env
	given func(flag string) bool
}

const tokenizeExamples = `  predict tokenize --text "Where is my card?"

  # a text in every line; or JSON rows with text and, if it is a pair, text_pair
  predict tokenize --model DIR --input texts.txt --output ids.jsonl
  predict tokenize --model DIR --input rows.jsonl --output ids.jsonl --max-length 128`

func tokenizeTexts(env cli.Env) *cobra.Command {
	r := &tokenizeRun{env: env}
	cmd := &cobra.Command{
		Use:   "tokenize",
		Short: "Token ids and offsets of texts and text pairs",
		Long: `Turn texts and text pairs into token ids, as Hugging Face tokenizers does.

It writes one JSON object for each line of plain text or each row of JSON Lines (text, text_pair), CSV or TSV:
  ids      token ids, with the special tokens that the checkpoint adds
  offsets  for each token [from, to): the code points of the text (or pair) that it covers; [0, 0] for added tokens
Special tokens spelled out in a text, such as [SEP], become that token, as in Hugging Face tokenizers. Nothing is cut
unless --max-length is given; then texts lose their end, or their beginning if tokenizer_config.json has
"truncation_side": "left". --model needs the tokenizer's files only.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal. After an error nothing is
written.`,
		Example: tokenizeExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Tokenizer", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.model, "model", "",
			"`directory` with tokenizer.json, vocab.json and merges.txt, vocab.txt or a SentencePiece model, or a GGUF "+
				"file; default: the embedded MiniLM")
		fs.IntVar(&r.maxLength, "max-length", 0, "cut to this number of tokens, special ones included; 0: do not cut")
		cli.AddTruncation(fs, &r.truncation)
		fs.BoolVar(&r.noSpecial, "no-special-tokens", false, "do not add [CLS], [SEP] and the like")
	})
	cli.Section(fs, "Input", func(fs *pflag.FlagSet) {
		r.input.Add(fs)
		cli.AddTextReading(fs, &r.data)
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.output, "output", "", "`file` of JSON lines; default, or -: standard output")
		fs.BoolVar(&r.overwrite, "overwrite", false, "replace --output if it exists")
		fs.IntVar(&r.threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
	})
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *tokenizeRun) run(cmd *cobra.Command) error {
	r.given = func(flag string) bool { return cmd.Flags().Changed(flag) }
	console, err := cli.NewConsole(r.env, r.log, cmd.Flags())
	if err != nil {
		return err
	}
	result := cli.Result{Flag: "--output", Path: r.output, Overwrite: r.overwrite}
	o, err := r.options()
	if err != nil {
		return err
	}
	if err := result.Check(r.input.Input); err != nil {
		return err
	}
	tok, err := r.open()
	if err != nil {
		return err
	}
	for _, w := range tok.Warnings() {
		console.Log.Warn().Msg(w)
	}
	inputs, err := r.read()
	if err != nil {
		return err
	}
	if !r.noSpecial {
		pair := slices.ContainsFunc(inputs, func(i tokenize.Input) bool { return i.HasPair })
		if err := tasks.CheckRoom(tok, r.maxLength, pair); err != nil {
			return cli.UsageError(err)
		}
	}
	cut := 0
	err = result.Write(r.env, func(w io.Writer) error {
		cut, err = r.encode(cmd.Context(), w, tok, inputs, o)
		return err
	})
	if err == nil && cut > 0 {
		console.Log.Warn().Msgf("%d of %d texts are longer than %d tokens and were cut", cut, len(inputs), o.MaxLength)
	}
	return err
}

// options checks the flags.
func (r *tokenizeRun) options() (tokenize.Options, error) {
	o := tokenize.Options{MaxLength: r.maxLength, NoSpecial: r.noSpecial, Offsets: true}
	reading := cli.FlagNames(func(fs *pflag.FlagSet) { cli.AddTextReading(fs, new(text.Options)) })
	if err := r.input.Check(r.env, r.given, reading); err != nil {
		return o, cli.UsageError(err)
	}
	var errs []error
	var err error
	if o.Truncation, err = tasks.ParseTruncation(r.truncation); err != nil {
		errs = append(errs, err)
	}
	if r.given("max-length") && r.maxLength < 0 {
		errs = append(errs, fmt.Errorf("--max-length is %d; want 1 or more, or 0 for no limit", r.maxLength))
	}
	if r.given("truncation") && r.maxLength == 0 {
		errs = append(errs, errors.New("--truncation needs --max-length"))
	}
	if r.threads < 0 {
		errs = append(errs, cli.ThreadsError(r.threads))
	}
	if r.threads == 0 {
		r.threads = runtime.GOMAXPROCS(0)
	}
	return o, cli.UsageError(errors.Join(errs...))
}

func (r *tokenizeRun) open() (*tokenize.Tokenizer, error) {
	if r.model != "" {
		if err := base.CheckModelPath(r.model); err != nil {
			return nil, err
		}
		tok, err := tokenize.Load(func(name string) ([]byte, error) { return checkpoint.ReadFile(r.model, name) })
		if err != nil {
			err = fmt.Errorf("`model %s`: %w", r.model, err)
		}
		return tok, cli.InputError(err)
	}
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	if err != nil {
		return nil, err
	}
	tok, err := tokenize.Load(src.File)
	return tok, errors.Join(err, src.Close())
}

// read returns the texts. In JSON Lines every row may be a text or a pair.
func (r *tokenizeRun) read() ([]tokenize.Input, error) {
	if f := r.input.File(); f != nil {
		return inputs(f), nil
	}
	o := r.data
	o.NoLabels = true
	content, err := cli.ReadInput(r.input.Input, r.env.In)
	if err != nil {
		return nil, err
	}
	list, err := readTexts(r.input.Input, content, o)
	return list, tasks.NameStdin(err)
}

func inputs(f *text.File) []tokenize.Input {
	list := make([]tokenize.Input, f.Len())
	for i, e := range f.All() {
		list[i] = tokenize.Input{Text: e.Text, Pair: e.Pair, HasPair: e.HasPair}
	}
	return list
}

// chunk is the number of texts that are encoded at once.
const chunk = 4096

// encode writes a line for each text and returns how many were cut.
func (r *tokenizeRun) encode(
	ctx context.Context, w io.Writer, tok *tokenize.Tokenizer, inputs []tokenize.Input, o tokenize.Options,
) (cut int, err error) {
	var b bytes.Buffer
	for lo := 0; lo < len(inputs); lo += chunk {
		list, err := tok.EncodeBatch(ctx, inputs[lo:min(lo+chunk, len(inputs))], o, r.threads)
		if err != nil {
			return 0, r.inputError(err, lo)
		}
		for _, e := range list {
			if e.Truncated > 0 {
				cut++
			}
			b.Reset()
			if err := task.AppendJSON(&b, encoded{e.IDs, e.Offsets}); err != nil {
				return 0, err
			}
			b.WriteByte('\n')
			if _, err := w.Write(b.Bytes()); err != nil {
				return 0, err
			}
		}
	}
	return cut, nil
}

// inputError returns an error that names the text that could not be encoded; before is the number of texts in earlier
// chunks.
func (r *tokenizeRun) inputError(err error, before int) error {
	at, ok := errors.AsType[*tokenize.InputError](err)
	if !ok {
		return err
	}
	name := r.input.Input
	if len(r.input.Texts) > 0 {
		name = "--text"
	}
	return tasks.NameStdin(&data.Error{File: name,
		Msg: fmt.Sprintf("text %d cannot be tokenised", before+at.Index+1), Err: at.Err})
}

// encoded is the output for one text.
type encoded struct {
	IDs     []int32  `json:"ids"`
	Offsets [][2]int `json:"offsets"`
}
