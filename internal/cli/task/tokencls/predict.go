package predict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// tokenClsRun is one run of "predict token-cls".
type tokenClsRun struct {
	job
	classifier cli.ClassifierFlags
	input      cli.InputFlags
	data       cli.TokenDataFlags

	aggregation       string
	words             bool
	noLabels          bool
	seqevalMode       string
	maxLength, stride int
}

const tokenClsExamples = `  # two texts, with an adapter that finetune wrote on the embedded model
  predict token-cls --adapter runs/token-cls-20260101-120000 --text "A table for five at 7 pm" --text "I am Anna Berg"

  # a file of tagged sentences: entities, tags and metrics
  predict token-cls --model DIR --adapter D --input test.conll --output predictions.jsonl --metrics-file metrics.json

  # raw texts, one in a line, as a filter; each entity of words whose scores were averaged
  cat texts.txt | predict token-cls --model DIR --aggregation-strategy average --quiet | jq -c '.entities[]'`

func tokenCls(env cli.Env) *cobra.Command {
	r := &tokenClsRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:   "token-cls",
		Short: "Entities in texts, tags of words",
		Long: `Predict the entities in texts, or a tag for each word of sentences.

It writes one JSON object for each row, in the order of the input:
  entities  list of {"entity_group", "score", "word", "start", "end"}: type, score, and the part of the text, in code points; as transformers' pipeline has them. With
            --aggregation-strategy none one for each token: {"entity", "score", "index", "word", "start", "end"}
  words     with --words: where each word stands, [start, end]
  tags      for rows that came as words, and with --words: the tag of each word; null for a word without a token
  scores    the probability of each of these tags
Offsets of rows that came as words are those in the words joined by one space. If the input has tags, metrics go to standard error and, with --metrics-file, to a file.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal. After an error nothing is written.`,
		Example: tokenClsExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", func(fs *pflag.FlagSet) {
		r.classifier.HeadFlags.Add(fs)
		r.classifier.AddLabels(fs)
	})
	cli.Section(fs, "Input", func(fs *pflag.FlagSet) {
		r.input.AddTexts(fs)
		r.data.Add(fs)
		fs.BoolVar(&r.noLabels, "no-labels", false, "do not read tags, even if the input has some")
		cli.AddMaxLength(fs, &r.maxLength, "a sentence")
		cli.AddStride(fs, &r.stride)
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		r.addOutput(fs, func(fs *pflag.FlagSet) {
			fs.StringVar(&r.aggregation, "aggregation-strategy", string(tasks.AggregateFirst), "what entities are made of: words, with the tag of their first token (first), of the token with the largest score (max), or of their averaged scores (average); tokens (simple); or none: each token on its own")
			fs.BoolVar(&r.words, "words", false, "write words, tags and scores of raw texts too")
			r.data.AddScheme(fs, &r.seqevalMode, "the adapter's, else guessed from the names of the classes")
		})
	})
	cli.Section(fs, "Speed", r.addSpeed)
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *tokenClsRun) run(cmd *cobra.Command) (err error) {
	if err := r.start(cmd); err != nil {
		return err
	}
	result, scores := r.results()
	if err := r.checkFlags(result, scores); err != nil {
		return err
	}
	base, err := cli.OpenBase(r.classifier.Model, cli.MiniLM())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	c, err := base.OpenTokenClassifier(r.classifier, r.console.Log)
	if err != nil {
		return err
	}
	scheme, err := r.scheme(c)
	if err != nil {
		return err
	}
	table, err := r.read(c, scheme)
	if err != nil {
		return err
	}
	task, close, err := r.newTask(base, c, scheme)
	if err != nil {
		return err
	}
	defer close()
	predictions, err := r.predict(cmd.Context(), task, table)
	if err != nil {
		return err
	}
	found, err := task.Score(table, predictions)
	if err != nil {
		return err
	}
	metrics := train.Metrics{}
	if found != nil {
		metrics = found.Metrics()
	}
	rows := func(w io.Writer) error { return r.writeRows(w, base.Tokenizer, task, table, predictions) }
	return r.write(result, scores, rows, table.Name, table.Labelled(), metrics)
}

func (r *tokenClsRun) checkFlags(result, scores cli.Result) error {
	r.input.Reading = cli.TokenDataFlagNames()
	if err := r.input.Check(r.env, r.typed); err != nil {
		return err
	}
	errs := append(r.job.checkFlags(), r.classifier.Check(r.given)...)
	errs = append(errs, r.data.Check(), cli.CheckStride(r.stride))
	if !slices.Contains(tasks.Aggregations, tasks.Aggregation(r.aggregation)) {
		errs = append(errs, fmt.Errorf("--aggregation-strategy is %q; want none, simple, first, average or max", r.aggregation))
	}
	if r.seqevalMode != "default" && r.seqevalMode != "strict" {
		errs = append(errs, fmt.Errorf("--seqeval-mode is %q; want default or strict", r.seqevalMode))
	}
	if r.noLabels && r.data.Tags != "" {
		errs = append(errs, errors.New("--no-labels excludes --tags-column"))
	}
	if r.metricsFile != "" && (r.noLabels || len(r.input.Texts) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input with tags"))
	}
	if err := cli.UsageError(errors.Join(errs...)); err != nil {
		return err
	}
	return errors.Join(result.Check(r.input.Input), scores.Check(r.input.Input))
}

// scheme returns how the classes spell entities.
func (r *tokenClsRun) scheme(c *cli.Classifier[models.TokenClassifier]) (tagged.Scheme, error) {
	names := tagged.New("the labels of the model")
	for _, name := range c.Labels.Names {
		names.Append(tagged.Sentence{Tags: []string{name}})
	}
	s, _, err := r.data.FindScheme(names)
	if err != nil {
		return "", cli.InputError(err)
	}
	if s == tagged.Plain && r.seqevalMode == "strict" {
		return "", cli.UsageError(errors.New("--seqeval-mode strict is for entities, but the labels of the model spell none"))
	}
	return s, nil
}

// read returns the sentences to predict. Tags that they have are checked.
func (r *tokenClsRun) read(c *cli.Classifier[models.TokenClassifier], scheme tagged.Scheme) (*tagged.File, error) {
	if len(r.input.Texts) > 0 {
		t := tagged.New("--text")
		for i, text := range r.input.Texts {
			t.Append(tagged.Raw(text, i+1))
		}
		return t, nil
	}
	o, err := r.data.Options()
	if err != nil {
		return nil, err
	}
	o.NoLabels, o.OptionalLabels = r.noLabels, true
	t, err := cli.ReadTokens(r.input.Input, r.env.In, o)
	if err != nil {
		return nil, err
	}
	r.warnReplaced(t.Name, t.Replaced)
	if t.Labelled() > 0 {
		return r.checkTags(c, t, scheme)
	}
	if r.data.Tags != "" || r.metricsFile != "" {
		return nil, cli.InputError(fmt.Errorf("%s: no sentence has tags, so there are no metrics", t.Name))
	}
	return t, nil
}

// checkTags holds the tags of t to the classes. Others are no error if the adapter has no names for its classes: there are no metrics then.
func (r *tokenClsRun) checkTags(c *cli.Classifier[models.TokenClassifier], t *tagged.File, scheme tagged.Scheme) (*tagged.File, error) {
	named, err := t.WithNames(c.Labels.Names)
	if err == nil {
		named, err = cli.RepairTags(named, scheme, r.data.Strict)
	}
	if err == nil {
		_, err = named.Classes(c.Labels)
	}
	switch {
	case err == nil:
		return named, nil
	case c.Named || r.metricsFile != "":
		return nil, cli.InputError(fmt.Errorf("%w (--no-labels predicts without looking at tags)", err))
	}
	r.console.Log.Warn().Msgf("%s: tags are left alone, for the adapter does not name its classes (--labels does)", t.Name)
	return t.WithoutTags(), nil
}

func (r *tokenClsRun) newTask(base *cli.Base, c *cli.Classifier[models.TokenClassifier], scheme tagged.Scheme) (*tasks.TokenCls, func(), error) {
	if err := cli.CheckMaxLength(base.Tokenizer, r.maxLength, false); err != nil {
		return nil, nil, err
	}
	pool, err := cli.NewPool(r.threads)
	if err != nil {
		return nil, nil, err
	}
	task, err := tasks.NewTokenCls(c.Model, base.Tokenizer, tasks.TokenClsConfig{
		Labels: c.Labels, Scheme: scheme, Strict: r.seqevalMode == "strict", MaxLength: r.maxLength, Stride: r.stride, EvalTokens: r.tokensPerBatch,
		Pool: pool, Adapter: c.Adapter(),
	})
	if err != nil {
		pool.Close()
		return nil, nil, cli.UsageError(err)
	}
	return task, pool.Close, nil
}

// predict computes the probabilities of all rows, some at a time.
func (r *tokenClsRun) predict(ctx context.Context, task *tasks.TokenCls, t *tagged.File) ([]tasks.TokenPrediction, error) {
	var all []tasks.TokenPrediction
	var counts tasks.TokenCounts
	err := r.inPortions(t.Name, t.Len(), func(lo, hi int) error {
		part := t.Part(lo, hi)
		list, c, err := task.Predict(ctx, part)
		if err != nil {
			return err
		}
		counts.Add(c)
		all = append(all, list...)
		return checkScores(part, list)
	})
	if err != nil {
		return nil, err
	}
	cli.TokenWarnings(r.console.Log, t, counts, task.Limit())
	return all, nil
}
