package seq2seq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/generation"
	"github.com/spalora/spalora/tasks"
	settings "github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/train"
)

// predicting is one run of "predict seq2seq-lm" or "predict translation".
type predicting struct {
	variant
	settings   seq2seq.Settings
	input      cli.InputFlags
	targetFile string
	data       pair.Options
	logits     bool
	noStemmer  bool
}

// part is the rows that one predictor serves.
type part = task.Part[*seq2seq.Opened, *pair.File]

// predict returns the subcommand of a variant.
func (v variant) predict(env cli.Env) *cobra.Command {
	r := &predicting{variant: v}
	t := &task.Predict{
		Kind: v.kind, BuiltIn: cli.T5(), Settings: &r.settings,
		AdapterUsage: "`directory` of an adapter, of finetune or of PEFT; default: none",
		Input:        r.addInput, Output: r.addOutput, Check: r.check, Run: r.run,
		Sections: func(fs *pflag.FlagSet) {
			cli.Section(fs, "Generation", func(fs *pflag.FlagSet) { addGeneration(fs, &r.settings.Generation) })
		},
	}
	return t.Command(env, &cobra.Command{
		Use:     v.kind.Command,
		Short:   v.short,
		Long:    v.predictLong + predictLong + task.ExitCodes + ". After an error nothing is written.",
		Example: v.predictExamples,
	})
}

const predictLong = `
It writes one JSON object for each sequence, in the order of the input:
  adapter        with --adapters: name of the adapter that served the row, null for the base model
  source         the source
  sequence       with --num-return-sequences: number of the sequence among those of the source, from 0
  text           the generated text, without special tokens
  finish_reason  stop (an end token), stop_string, length, or time (max_time of generation_config.json)
  tokens         ids of the generated tokens, including the end token
  score          with --num-beams: log-probability, divided by a power of the length
If rows have targets, the texts (of several for a source the first) are scored: rouge1, rouge2, rougeL and rougeLsum
(F1), bleu (sacreBLEU, tokenizer 13a), chrf, chrf++ and exact_match, from 0 to 100. The scores go to standard error
and, with --metrics-file, to a file, together with loss, perplexity and accuracy of the first targets, each token given
those before it.
With --logits nothing is generated; each row gives
  ids            the token ids of its first target, none if it has no target
  logits         the logits of each of them, given the source and those before it
and the metrics are loss, perplexity and accuracy only.
`

func addGeneration(fs *pflag.FlagSet, s *settings.Settings) {
	generation.AddFlags(fs, s, generation.Sources)
}

func (r *predicting) addInput(fs *pflag.FlagSet) {
	r.input.AddTexts(fs)
	fs.StringVar(&r.targetFile, "target-file", "",
		"`file` whose lines are the targets of the lines of --input, both plain text")
	addReading(fs, &r.data)
	fs.BoolVar(&r.data.NoLabels, "no-labels", false, "do not read targets, even if the input has some")
	addTexts(fs, &r.settings.Texts)
	fs.Lookup(maxTarget).Usage = "tokens of a target of the input, likewise; --max-new-tokens limits what is generated"
}

func (r *predicting) addOutput(fs *pflag.FlagSet) {
	fs.BoolVar(&r.logits, "logits", false, "write the logits of the targets instead of generating some")
	fs.BoolVar(&r.noStemmer, "no-stemmer", false, "let ROUGE compare words, not their stems")
}

func (r *predicting) check(p *task.Predicting) []error {
	p.Input = &r.input.Input
	reading := cli.FlagNames(func(fs *pflag.FlagSet) { addReading(fs, new(pair.Options)) })
	errs := []error{r.input.Check(p.Env, p.Given, append(reading, "target-file")), r.settings.Generation.Check()}
	add := func(bad bool, message string) {
		if bad {
			errs = append(errs, errors.New(message))
		}
	}
	add(r.data.NoLabels && (r.data.TargetColumn != "" || r.targetFile != ""),
		"--no-labels excludes --target-column and --target-file")
	unlabelled := r.data.NoLabels || len(r.input.Texts) > 0
	add(p.Scored && unlabelled, "--metrics-file needs an input with targets")
	add(r.logits && unlabelled, "--logits needs an input with targets")
	add(r.noStemmer && r.logits, "--no-stemmer is for generated texts, not for --logits")
	if r.logits {
		for _, flag := range cli.FlagNames(func(fs *pflag.FlagSet) { addGeneration(fs, new(settings.Settings)) }) {
			add(p.Given(flag), fmt.Sprintf("--%s is for generating, not for --logits", flag))
		}
	}
	return errs
}

func (r *predicting) run(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
	if p.Given(maxTarget) && !r.logits && !p.Scored {
		p.Console.Log.Warn().Msg("--max-target-length is for --logits and --metrics-file; --max-new-tokens limits what is " +
			"generated")
	}
	f, err := r.read(p)
	if err != nil {
		return nil, err
	}
	parts, err := task.Parts[*seq2seq.Opened](p.Models, f.Name, f)
	if err != nil {
		return nil, err
	}
	out := &task.Predictions{Name: f.Name}
	if r.logits {
		out.Rows = func(w io.Writer) error { return r.writeLogits(cmd.Context(), w, p, f, parts) }
		return out, r.score(cmd.Context(), p, parts, out)
	}
	out.Rows = func(w io.Writer) error { return r.generate(cmd.Context(), w, p, f, parts, out) }
	return out, nil
}

// read returns the rows.
func (r *predicting) read(p *task.Predicting) (*pair.File, error) {
	if len(r.input.Texts) > 0 {
		var list []pair.Pair
		for i, text := range r.input.Texts {
			list = append(list, pair.Pair{Source: text, Line: i + 1})
		}
		return pair.New("--text", list...), nil
	}
	o := r.data
	o.OptionalLabels, o.Adapter = true, p.Models.Adapter()
	o.SourceLang, o.TargetLang = r.settings.SourceLang, r.settings.TargetLang
	open := func(path string, o pair.Options) (*pair.File, error) { return pair.ReadWith(path, r.targetFile, o) }
	stream := func(in io.Reader, name string, o pair.Options) (*pair.File, error) {
		return pair.ReadFromWith(in, name, r.targetFile, o)
	}
	f, err := tasks.ReadFile(r.input.Input, p.Env.In, o, open, stream)
	if err != nil {
		return nil, err
	}
	p.WarnRead(f.ReadWarnings())
	if (p.Scored || r.logits) && f.Labelled() == 0 {
		return nil, base.Input(fmt.Errorf("%s: no row has a target (`target_column` names their column)", f.Name))
	}
	return f, nil
}

// sequence is the output for one generated sequence.
type sequence struct {
	Source string `json:"source"`
	generation.Row
}

// generate writes a line for each sequence, and scores the texts.
func (r *predicting) generate(
	ctx context.Context, w io.Writer, p *task.Predicting, f *pair.File, parts []part, out *task.Predictions,
) error {
	began, tokens := time.Now(), 0
	logged := began
	c := parts[0].Predictor.Decoding
	sources := make([]string, 0, f.Len())
	for row := range f.Values() {
		sources = append(sources, row.Source)
	}
	by := task.ByRow(parts)
	all, each := seq2seq.NewMeasures(!r.noStemmer), make([]*seq2seq.Measures, len(parts))
	of := map[string]*seq2seq.Measures{}
	for i, s := range parts {
		each[i] = seq2seq.NewMeasures(!r.noStemmer)
		of[s.Adapter] = each[i]
	}
	cut, err := seq2seq.GenerateEach(ctx, sources, func(i int) *seq2seq.Predictor { return by[i].Predictor }, c,
		func(i int, list []generate.Sequence) error {
			row := f.At(i)
			for _, s := range list {
				tokens += len(s.IDs)
				line := sequence{row.Source, generation.RowOf(s, c)}
				if err := task.WriteLine(w, p.Models.Row(f.AdapterOf(i), line)); err != nil {
					return err
				}
			}
			if len(row.Targets) > 0 {
				all.Add(list[0].Text, row.Targets)
				of[f.AdapterOf(i)].Add(list[0].Text, row.Targets)
			}
			if i+1 < f.Len() && time.Since(logged) > 5*time.Second {
				logged = time.Now()
				p.Console.Log.Info().Msgf("%d of %d sources", i+1, f.Len())
			}
			return nil
		})
	if err != nil {
		return err
	}
	limit, _ := task.Limits(parts)
	tasks.WarnCut(p.Console.Log, f.Name, cut, f.Len(), limit)
	spent := time.Since(began).Seconds()
	p.Console.Log.Info().Msgf("%d sources, %d tokens in %.2f s: %.1f tokens/s", f.Len(), tokens, spent,
		float64(tokens)/spent)
	if out.Labelled = all.Len(); out.Labelled == 0 {
		return nil
	}
	for i, s := range parts {
		if each[i].Len() > 0 {
			out.Add(s.Adapter, r.metrics(each[i]), each[i].Len(), each[i].Len())
		}
	}
	given := &task.Predictions{} // the metrics of the targets given those before it
	if p.Scored {
		if err := r.score(ctx, p, parts, given); err != nil {
			return err
		}
	}
	for i, s := range given.Each {
		out.Each[i].Metrics.Values = append(out.Each[i].Metrics.Values, s.Metrics.Values...)
	}
	if out.Metrics = r.metrics(all); len(out.Each) == 1 { // one adapter served all rows with a target
		out.Each = nil
	}
	out.Metrics.Values = append(out.Metrics.Values, given.Metrics.Values...)
	return nil
}

func (r *predicting) metrics(m *seq2seq.Measures) train.Metrics {
	values := m.Metrics(r.main)
	return train.Metrics{Main: values[0].Name, Values: values}
}

// writeLogits writes a line for each row.
func (r *predicting) writeLogits(
	ctx context.Context, w io.Writer, p *task.Predicting, f *pair.File, parts []part,
) error {
	by := task.ByRow(parts)
	for i, pairs := range f.All() { // rows are computed one by one: in turn, in their order
		write := func(_ int, ids []int32, logits []float32) error {
			row, err := generation.LogitsOf(f.Name, pairs.Line, ids, logits)
			if err != nil {
				return err
			}
			return task.WriteLine(w, p.Models.Row(f.AdapterOf(i), row))
		}
		var err error
		if len(pairs.Targets) == 0 {
			err = write(i, nil, nil)
		} else {
			_, err = by[i].Logits(ctx, pair.New(f.Name, pairs), write)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// score adds the metrics of the targets, each token given those before it, and warns of texts that were cut.
func (r *predicting) score(ctx context.Context, p *task.Predicting, parts []part, out *task.Predictions) error {
	for _, s := range parts {
		if s.File.Labelled() == 0 {
			continue
		}
		scores, counts, err := s.Predictor.Score(ctx, s.File.WithTargets())
		if err != nil {
			return err
		}
		if !r.logits {
			counts.CutSources = 0 // generating has reported them
		}
		s.Predictor.WarnCut(p.Console.Log, s.File.Name, counts)
		values := scores.Metrics()
		out.Add(s.Adapter, train.Metrics{Main: values[0].Name, Values: values}, counts.Rows, counts.TargetTokens)
	}
	out.Average("loss", "accuracy")
	return nil
}
