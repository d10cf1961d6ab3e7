package causallm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/generation"
	"github.com/spalora/spalora/tasks/causallm"
)

// predicting is one run of "predict causal-lm".
type predicting struct {
	head     cli.HeadFlags
	settings causallm.Settings
	data     document.Options
	log      cli.LogFlags

	prompts             []string
	input, system       string
	chat                bool
	logits              bool
	output, metricsFile string
	overwrite           bool
	blockSize           *int
	threads             int

	env     cli.Env
	given   func(flag string) bool
	console *cli.Console
	models  *task.Models
}

const predictExamples = `  # continue a text; on a terminal it appears as it is written
  predict causal-lm --model DIR --adapter runs/mine --prompt "Once upon a time"

  # talk to a chat model; one answer for each line of a file
  predict causal-lm --model DIR --chat --system "Answer in one sentence."
  predict causal-lm --model DIR --chat --input questions.txt --output answers.jsonl --temperature 0.7 --top-p 0.9

  # how well a text is predicted; the logits of texts
  predict causal-lm --model DIR --input test.txt --metrics-file metrics.json
  predict causal-lm --model DIR --input rows.jsonl --logits --output logits.jsonl`

func predict(env cli.Env) *cobra.Command {
	r := &predicting{env: env}
	cmd := &cobra.Command{
		Use:   "causal-lm",
		Short: "Texts generated after prompts, or in a chat",
		Long: `Let a causal language model continue prompts, or answer in a chat.

The answer to one --prompt on a terminal is printed while it is generated. In all other cases the output is one JSON
object for each sequence:
  adapter        with --adapters: name of the adapter that served the row, null for the base model
  prompt         the prompt (of a chat the last message)
  text           the generated text, without special tokens
  finish_reason  stop (an end token), stop_string, length, or time (max_time of generation_config.json)
  tokens         ids of the generated tokens, including the end token
  score          with --num-beams: log-probability, divided by a power of the length
--input has a prompt in each line of plain text, or rows with text, prompt or messages. With --logits texts are not
continued; each gives
  ids            its token ids
  logits         the logits of the next token after each of them
--metrics-file scores the input instead: loss, perplexity and accuracy of texts, of completions after prompts, or of the
assistant's turns.
With --chat and no prompt, the lines of standard input are turns of one chat; on a terminal Ctrl-D ends it.
` + task.ExitCodes + ". After an error nothing is written.",
		Example: predictExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", func(fs *pflag.FlagSet) {
		r.head.Add(fs, cli.GPT(), "`directory` of an adapter, of finetune or of PEFT; default: none")
	})
	cli.Section(fs, "Input", r.addInput)
	cli.Section(fs, "Generation", func(fs *pflag.FlagSet) {
		generation.AddFlags(fs, &r.settings.Generation, generation.Prompts)
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.output, "output", "", "`file` of JSON lines; default, or -: standard output")
		fs.BoolVar(&r.logits, "logits", false, "write the logits of the input's texts instead of continuing them")
		fs.StringVar(&r.metricsFile, "metrics-file", "",
			"`file` for loss, perplexity and accuracy of --input, JSON; nothing is generated")
		fs.BoolVar(&r.overwrite, "overwrite", false, "replace --output and --metrics-file if they exist")
	})
	cli.Section(fs, "Speed", func(fs *pflag.FlagSet) {
		fs.IntVar(&r.threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
	})
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *predicting) addInput(fs *pflag.FlagSet) {
	fs.StringArrayVar(&r.prompts, "prompt", nil, "a `text` to continue; may be given several times")
	fs.StringVar(&r.input, "input", "",
		"`file` of prompts or texts, or - for standard input; default: standard input, if something is piped into it")
	fs.BoolVar(&r.chat, "chat", false, "prompts are messages of a user, rendered with the checkpoint's chat template")
	fs.StringVar(&r.system, "system", "", "`text` of the system message of a --chat")
	addReading(fs, &r.data)
	fs.IntVar(&r.settings.MaxLength, "max-length", 0,
		"tokens of a text for --logits and --metrics-file; longer ones are cut and counted; 0: what the checkpoint allows")
	cli.Optional(fs, &r.blockSize, "block-size", causallm.StandardBlock,
		"tokens of the windows that --metrics-file cuts plain text into; 0: no windows")
}

func (r *predicting) run(cmd *cobra.Command) (err error) {
	r.given = cmd.Flags().Changed
	if r.console, err = cli.NewConsole(r.env, r.log, cmd.Flags()); err != nil {
		return err
	}
	result := cli.Result{Flag: "--output", Path: r.output, Overwrite: r.overwrite}
	scores := cli.Result{Flag: "--metrics-file", Path: r.metricsFile, Overwrite: r.overwrite}
	if err := r.checkFlags(result, scores); err != nil {
		return err
	}
	if r.models, err = task.OpenModels(causallm.Kind, cli.GPT(), r.head, r.threads, &r.settings, r.console); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.models.Close()) }()
	opened, err := task.All[*causallm.Opened](r.models)
	if err != nil {
		return err
	}
	m := opened[0]
	cfg := m.Decoding
	if r.chat && m.Template() == nil {
		return base.Input(fmt.Errorf("`chat`: %s has no chat template; put a chat_template.jinja beside its "+
			"tokenizer.json, or leave it out",
			m.Base.Name))
	}
	if r.chat {
		for _, w := range m.TemplateWarnings() {
			r.console.Log.Warn().Msgf("%s: %s", m.Base.Name, w)
		}
	}
	switch {
	case r.metricsFile != "":
		return r.score(cmd.Context(), scores)
	case r.logits:
		return r.writeLogits(cmd.Context(), m, result)
	case r.talks():
		return r.talk(cmd.Context(), m, cfg)
	}
	prompts, err := r.readPrompts(m)
	if err != nil {
		return err
	}
	if len(prompts) == 1 && len(r.prompts) == 1 && cfg.NumReturnSequences == 1 && r.output == "" && r.env.OutTerminal {
		return r.stream(cmd.Context(), m, prompts[0], cfg)
	}
	return r.generate(cmd.Context(), prompts, cfg, result)
}

// talks reports whether the run is an interactive chat.
func (r *predicting) talks() bool { return r.chat && r.input == "" && len(r.prompts) == 0 }

func (r *predicting) checkFlags(result, scores cli.Result) error {
	errs := r.head.Check(r.given)
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	errs = append(errs, r.settings.Generation.Check())
	add(r.input != "" && len(r.prompts) > 0, "--input and --prompt exclude each other")
	add(r.given("input") && r.input == "", "--input is empty; give a file, or - for standard input")
	add(r.system != "" && !r.chat, "--system needs --chat")
	add(r.chat && (r.logits || r.metricsFile != ""), "--chat is for generating, not for --logits or --metrics-file")
	add(r.logits && r.metricsFile != "", "--logits and --metrics-file exclude each other")
	add(len(r.prompts) > 0 && r.metricsFile != "", "--metrics-file needs --input")
	add(r.given("metrics-file") && (r.metricsFile == "" || r.metricsFile == "-"), "--metrics-file needs a file")
	add(r.metricsFile != "" && r.output != "", "--metrics-file generates nothing for --output")
	add(r.talks() && r.output != "", "--output needs --prompt or --input")
	add(r.given("max-length") && !r.logits && r.metricsFile == "",
		"--max-length is for --logits and --metrics-file; --max-new-tokens limits what is generated")
	add(r.given("block-size") && r.metricsFile == "", "--block-size is for --metrics-file")
	if r.blockSize != nil {
		add(*r.blockSize < 0, "--block-size is %d; want 2 or more, or 0 for no windows", *r.blockSize)
	}
	add(r.talks() && r.given("num-return-sequences"), "--num-return-sequences needs --prompt or --input")
	add(r.threads < 0, "%v", cli.ThreadsError(r.threads))
	if len(r.head.Adapters) > 0 && (len(r.prompts) > 0 || r.talks()) {
		errs = append(errs, task.ErrNoRows)
	}
	if len(r.prompts) > 0 || r.talks() {
		for _, flag := range cli.FlagNames(func(fs *pflag.FlagSet) { addReading(fs, new(document.Options)) }) {
			add(r.given(flag), "--%s is for --input", flag)
		}
	}
	if r.input == "" && len(r.prompts) == 0 && !r.chat {
		add(r.env.InTerminal,
			"there is nothing to continue; give --prompt TEXT or --input FILE, or pipe prompts into standard "+
				"input (or --chat to talk)")
		r.input = "-"
	}
	if err := cli.UsageError(errors.Join(errs...)); err != nil {
		return err
	}
	return errors.Join(result.Check(r.input), scores.Check(r.input))
}

// stream writes the answer to one prompt while it is generated.
func (r *predicting) stream(ctx context.Context, m *causallm.Opened, p prompt, cfg generate.Config) error {
	out := writer{w: r.env.Out}
	began := time.Now()
	list, err := m.Generate(ctx, []generate.Prompt{p.tokens}, cfg, func(_ int, text string) { out.write(text) })
	out.write("\n")
	if err := errors.Join(err, out.err); err != nil {
		return err
	}
	r.console.Log.Info().Msgf("%d tokens in %.2f s (%s)", len(list[0].IDs), time.Since(began).Seconds(), list[0].Finish)
	return nil
}

// writer remembers the first error of writing, for callbacks that cannot return it.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) write(text string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.w, text)
	}
}

// atOnce is the number of sequences that are generated in one batch. Up to 8 a result does not depend on their number,
// to the bit.
const atOnce = 8

// sequence is the output for one generated sequence.
type sequence struct {
	Prompt string `json:"prompt"`
	generation.Row
}

// generate continues all prompts and writes a line for each sequence.
func (r *predicting) generate(
	ctx context.Context, prompts []prompt, cfg generate.Config, result cli.Result,
) error {
	began, logged, tokens := time.Now(), time.Now(), 0
	err := result.Write(r.env, func(w io.Writer) error {
		step := max(1, atOnce/max(cfg.NumReturnSequences, cfg.NumBeams))
		for lo := 0; lo < len(prompts); lo += step {
			part := prompts[lo:min(lo+step, len(prompts))]
			list := make([]generate.Prompt, len(part))
			for i, p := range part {
				list[i] = p.tokens
			}
			out, err := causallm.GenerateEach(ctx, list,
				func(i int) *causallm.Predictor { return part[i].by.Predictor }, cfg, nil)
			if err != nil {
				return err
			}
			for _, s := range out {
				row := sequence{part[s.Prompt].shown, generation.RowOf(s, cfg)}
				tokens += len(s.IDs)
				if err := task.WriteLine(w, r.models.Row(part[s.Prompt].adapter, row)); err != nil {
					return err
				}
			}
			if done := lo + len(part); done < len(prompts) && time.Since(logged) > 5*time.Second {
				logged = time.Now()
				r.console.Log.Info().Msgf("%d of %d prompts", done, len(prompts))
			}
		}
		return nil
	})
	if err == nil {
		spent := time.Since(began).Seconds()
		r.console.Log.Info().Msgf("%d prompts, %d tokens in %.2f s: %.1f tokens/s",
			len(prompts), tokens, spent, float64(tokens)/spent)
	}
	return err
}

// prompt is one prompt with its text for display.
type prompt struct {
	shown   string
	tokens  generate.Prompt
	by      *causallm.Opened // who continues it
	adapter string           // which its row names, "" for none
}

// readPrompts returns the prompts of the command line or the input.
func (r *predicting) readPrompts(m *causallm.Opened) ([]prompt, error) {
	if len(r.prompts) > 0 {
		var list []prompt
		for i, text := range r.prompts {
			p, err := r.prompt(m, document.Document{Text: text}, document.Text, i)
			if err != nil {
				return nil, cli.UsageError(fmt.Errorf("--prompt %q: %w", text, err))
			}
			list = append(list, p)
		}
		return list, nil
	}
	docs, err := r.readInput()
	if err != nil {
		return nil, err
	}
	docs = m.WithInstructions(docs)
	if docs.Kind == document.Chat && m.Template() == nil {
		return nil, cli.InputError(fmt.Errorf("%s: the rows are chats, but %s has no chat template; put a "+
			"chat_template.jinja beside its tokenizer.json", docs.Name, m.Base.Name))
	}
	parts, err := task.Parts[*causallm.Opened](r.models, docs.Name, docs)
	if err != nil {
		return nil, err
	}
	by := task.ByRow(parts)
	var list []prompt
	for i, d := range docs.All() {
		p, err := r.prompt(by[i], d, docs.Kind, i)
		if err != nil {
			return nil, &data.Error{File: docs.Name, Line: d.Line, Msg: "the prompt cannot be used", Err: err}
		}
		p.adapter = docs.AdapterOf(i)
		list = append(list, p)
	}
	return list, nil
}

// prompt encodes a document as a prompt: its text or prompt, or its messages without an answer at the end.
func (r *predicting) prompt(m *causallm.Opened, d document.Document, kind document.Kind, number int) (prompt, error) {
	p := prompt{shown: d.Text, by: m}
	var messages []document.Message
	switch {
	case kind == document.Chat:
		messages = d.Messages
		if n := len(messages); n > 1 && messages[n-1].Role == "assistant" {
			messages = messages[:n-1]
		}
		p.shown = messages[len(messages)-1].Content
	case kind == document.Prompt:
		p.shown = d.Prompt
	}
	if r.chat && messages == nil {
		messages = []document.Message{{Role: "user", Content: p.shown}}
	}
	if r.system != "" && messages[0].Role != "system" {
		messages = append([]document.Message{{Role: "system", Content: r.system}}, messages...)
	}
	var err error
	if p.tokens, err = m.Prompt(p.shown, messages); err != nil {
		return p, err
	}
	p.tokens.Number = number
	return p, leavesRoom(m, "it", len(p.tokens.IDs))
}

// leavesRoom returns an error if a prompt of n tokens leaves no room for new ones. what names the prompt.
func leavesRoom(m *causallm.Opened, what string, n int) error {
	switch {
	case n >= m.Positions():
		return fmt.Errorf("%s has %d tokens; the model has %d positions, which leaves none for new ones", what, n,
			m.Positions())
	case n > m.Decoding.LongestPrompt(m.Positions()):
		return fmt.Errorf("%s has %d tokens; max_length of the checkpoint's settings is %d with the prompt counted, which "+
			"leaves none for new ones; give `max_new_tokens`", what, n, m.Decoding.MaxLength)
	}
	return nil
}
