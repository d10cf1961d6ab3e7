package tokencls

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/tokencls"
)

// predicting is one run of "predict token-cls".
type predicting struct {
	settings tokencls.Settings
	input    cli.InputFlags
	data     tagged.Options
	words    bool
}

const predictExamples = `  # two texts, with an adapter that finetune wrote on the embedded model
  predict token-cls --adapter runs/token-cls-20260101-120000 --text "A table for five at 7 pm" --text "I am Anna Berg"

  # a file of tagged sentences: entities, tags and metrics
  predict token-cls --model DIR --adapter D --input test.conll --output predictions.jsonl --metrics-file metrics.json

  # raw texts, one in a line, as a filter; each entity of words whose scores were averaged
  cat texts.txt | predict token-cls --model DIR --aggregation-strategy average --quiet | jq -c '.entities[]'`

func predict(env cli.Env) *cobra.Command {
	r := &predicting{}
	t := &task.Predict{
		Kind: tokencls.Kind, BuiltIn: cli.MiniLM(), Settings: &r.settings, Tokens: &r.settings.TokensPerBatch,
		Model: func(fs *pflag.FlagSet) { fs.StringSliceVar(&r.settings.Labels, "labels", nil, cli.LabelsUsage) },
		Input: r.addInput, Output: r.addOutput, Check: r.check, Run: r.run,
	}
	return t.Command(env, &cobra.Command{
		Use:   "token-cls",
		Short: "Entities in texts, tags of words",
		Long: `Predict the entities in texts, or a tag for each word of sentences.

It writes one JSON object for each row, in the order of the input:
  adapter   with --adapters: name of the adapter that served the row, null for the base model
  entities  list of {"entity_group", "score", "word", "start", "end"}: type, score, and the part of the text, in code
            points, as in transformers' pipeline. With --aggregation-strategy none one for each token:
            {"entity", "score", "index", "word", "start", "end"}
  words     with --words: the place of each word, [start, end]
  tags      for rows of words, and with --words: the tag of each word; null for a word without a token
  scores    the probability of each of these tags
Offsets of rows of words are those in the words joined by one space. If the input has tags, metrics go to
standard error and, with --metrics-file, to a file.
` + task.ExitCodes + ". After an error nothing is written.",
		Example: predictExamples,
	})
}

func (r *predicting) addInput(fs *pflag.FlagSet) {
	r.input.AddTexts(fs)
	addReading(fs, &r.data)
	fs.BoolVar(&r.data.NoLabels, "no-labels", false, "do not read tags, even if the input has some")
	addWindows(fs, &r.settings.MaxLength, &r.settings.Stride)
}

func (r *predicting) addOutput(fs *pflag.FlagSet) {
	cli.Default(fs, &r.settings.AggregationStrategy, "aggregation-strategy", string(tokencls.AggregateFirst),
		"what entities are made of: words, with the tag of their first token (first), of the token with the largest score "+
			"(max), or of their averaged scores (average); tokens (simple); or none: each token on its own")
	fs.BoolVar(&r.words, "words", false, "write words, tags and scores of raw texts too")
	addScheme(fs, &r.settings.Scheme, &r.settings.SeqevalMode, "the adapter's, else guessed from the names of the classes")
}

func (r *predicting) check(p *task.Predicting) []error {
	p.Input = &r.input.Input
	reading := cli.FlagNames(func(fs *pflag.FlagSet) { addReading(fs, new(tagged.Options)) })
	errs := append(r.settings.Check(), r.input.Check(p.Env, p.Given, reading))
	if r.data.NoLabels && r.data.TagsColumn != "" {
		errs = append(errs, errors.New("--no-labels excludes --tags-column"))
	}
	if p.Scored && (r.data.NoLabels || len(r.input.Texts) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input with tags"))
	}
	return errs
}

func (r *predicting) run(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
	f, err := r.read(p)
	if err != nil {
		return nil, err
	}
	parts, err := task.Parts[*tokencls.Opened](p.Models, f.Name, f)
	if err != nil {
		return nil, err
	}
	for i, s := range parts {
		if parts[i].File, err = r.checkTags(p, s.Predictor, s.File); err != nil {
			return nil, err
		}
	}
	var counts tokencls.Counts
	predictions, err := task.PredictEach(p, f.Name, f, parts,
		func(rows *tagged.File, of func(row int) *tokencls.Opened) ([]tokencls.Prediction, tokencls.Counts, error) {
			return tokencls.PredictEach(cmd.Context(), rows, func(i int) *tokencls.Predictor { return of(i).Predictor })
		}, counts.Add)
	if err != nil {
		return nil, err
	}
	limit, _ := task.Limits(parts)
	counts.Log(p.Console.Log, f.Name, limit)
	predictors := task.ByRow(parts)
	out := &task.Predictions{Name: f.Name, Rows: func(w io.Writer) error {
		return task.EachRow(w, p.Models, "row", f, func(i int) any { return r.row(predictors[i], f.At(i), predictions[i]) })
	}}
	for _, s := range parts {
		scores, err := s.Predictor.Score(s.File, task.Pick(predictions, s.Rows))
		if err != nil {
			return nil, err
		}
		if scores != nil {
			out.Add(s.Adapter, scores.Metrics(), s.File.Labelled(), scores.Words)
		}
	}
	out.Average("accuracy")
	return out, nil
}

// read returns the sentences to predict.
func (r *predicting) read(p *task.Predicting) (*tagged.File, error) {
	if len(r.input.Texts) > 0 {
		f := tagged.New("--text")
		for i, text := range r.input.Texts {
			f.Append(tagged.Raw(text, i+1))
		}
		return f, nil
	}
	o := r.data
	o.OptionalLabels, o.Adapter = true, p.Models.Adapter()
	f, err := tasks.ReadFile(r.input.Input, p.Env.In, o, tagged.Read, tagged.ReadFrom)
	if err != nil {
		return nil, err
	}
	p.WarnRead(append(f.ReadWarnings(), f.RowWarnings()...))
	if f.Labelled() == 0 && (r.data.TagsColumn != "" || p.Scored) {
		return nil, base.Input(fmt.Errorf("%s: no sentence has tags, so there are no metrics", f.Name))
	}
	return f, nil
}

// checkTags compares the tags of sentences with the classes of their predictor. Other tags are accepted if the adapter
// has no names for its classes: there are no metrics then.
func (r *predicting) checkTags(p *task.Predicting, c *tokencls.Opened, f *tagged.File) (*tagged.File, error) {
	if f.Labelled() == 0 {
		return f, nil
	}
	checked, err := c.CheckTags(f, r.data.Strict)
	switch {
	case err == nil:
		return checked, nil
	case c.LabelsNamed || p.Scored:
		return nil, base.Input(fmt.Errorf("%w (`no_labels` predicts without reading tags)", err))
	}
	p.Console.Log.Warn().Msgf("%s: tags are not compared, since the adapter does not name its classes (`labels` does)",
		f.Name)
	return f.WithoutTags(), nil
}
