package predict

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
)

// seqClsRun is one run of "predict seq-cls".
type seqClsRun struct {
	job
	classifier cli.ClassifierFlags
	input      cli.InputFlags
	data       cli.DataFlags

	logits, allScores bool
	noLabels          bool
	maxLength         int
	truncation        string
}

const seqClsExamples = `  # two texts, with an adapter that finetune wrote on the embedded model
  predict seq-cls --adapter runs/seq-cls-20260101-120000 --text "Where is my card?" --text "I lost my PIN"

  # a file, with the probabilities of all classes; metrics too, if it has labels
  predict seq-cls --model DIR --adapter D --input test.csv --output predictions.jsonl --all-scores --metrics-file metrics.json

  # a checkpoint that has a trained head (adapter merge writes one), as a filter
  cat texts.txt | predict seq-cls --model DIR --quiet | jq -r .label`

func seqCls(env cli.Env) *cobra.Command {
	r := &seqClsRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:   "seq-cls",
		Short: "Classes or values of texts and text pairs",
		Long: `Predict the class (or classes, or value) of texts and text pairs.

It writes one JSON object for each row, in the order of the input:
  label   name of the most probable class; multi-label: list of those with a probability above 0.5; regression: null
  score   probability of the label; multi-label: list of them; regression: the predicted value
  logits  with --logits: the raw outputs, one for each class
  scores  with --all-scores: {name: probability} for all classes
If the input has labels, metrics go to standard error and, with --metrics-file, to a file.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal. After an error nothing is written.`,
		Example: seqClsExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", r.classifier.Add)
	cli.Section(fs, "Input", func(fs *pflag.FlagSet) {
		r.input.Add(fs)
		r.data.Add(fs)
		fs.BoolVar(&r.noLabels, "no-labels", false, "do not read labels, even if the input has some")
		cli.AddMaxLength(fs, &r.maxLength, "a text or pair")
		cli.AddTruncation(fs, &r.truncation)
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		r.addOutput(fs, func(fs *pflag.FlagSet) {
			fs.BoolVar(&r.logits, "logits", false, "write the logits too")
			fs.BoolVar(&r.allScores, "all-scores", false, "write the probabilities of all classes too")
		})
	})
	cli.Section(fs, "Speed", r.addSpeed)
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *seqClsRun) run(cmd *cobra.Command) (err error) {
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
	c, err := base.OpenClassifier(r.classifier, r.console.Log)
	if err != nil {
		return err
	}
	if r.allScores && c.Labels.Problem == data.Regression {
		return cli.UsageError(errors.New("--all-scores: a regression has no classes"))
	}
	table, err := r.read(c)
	if err != nil {
		return err
	}
	if err := cli.CheckMaxLength(base.Tokenizer, r.maxLength, table.HasPairs()); err != nil {
		return err
	}
	task, close, err := r.newTask(base, c)
	if err != nil {
		return err
	}
	defer close()
	logits, err := r.predict(cmd.Context(), task, c, table)
	if err != nil {
		return err
	}
	metrics, err := task.Score(table, logits)
	if err != nil {
		return err
	}
	r.console.Undefined(metrics)
	rows := func(w io.Writer) error { return r.writeRows(w, c, logits) }
	return r.write(result, scores, rows, table.Name, table.Labelled(), metrics)
}

func (r *seqClsRun) checkFlags(result, scores cli.Result) error {
	if err := r.input.Check(r.env, r.typed); err != nil {
		return err
	}
	errs := append(r.job.checkFlags(), r.classifier.Check(r.given)...)
	if r.noLabels && (r.data.Label != "" || r.data.LabelSeparator != "") {
		errs = append(errs, errors.New("--no-labels excludes --label-column and --label-separator"))
	}
	if r.metricsFile != "" && (r.noLabels || len(r.input.Texts) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input with labels"))
	}
	if _, err := cli.ParseTruncation(r.truncation); err != nil {
		errs = append(errs, err)
	}
	if err := cli.UsageError(errors.Join(errs...)); err != nil {
		return err
	}
	return errors.Join(result.Check(r.input.Input), scores.Check(r.input.Input))
}

// read returns the rows to predict. Labels that they have are checked.
func (r *seqClsRun) read(c *cli.Classifier[models.SequenceClassifier]) (*text.File, error) {
	if t := r.input.Table(); t != nil {
		return t, nil
	}
	o, err := r.data.Options()
	if err != nil {
		return nil, err
	}
	o.NoLabels, o.OptionalLabels = r.noLabels, true
	t, err := cli.ReadTable(r.input.Input, r.env.In, o)
	if err != nil {
		return nil, err
	}
	if r.data.Label != "" || r.metricsFile != "" {
		if t.Labelled() == 0 {
			return nil, cli.InputError(fmt.Errorf("%s: no row has a label, so there are no metrics", t.Name))
		}
	}
	if t.Labelled() > 0 {
		if t, err = r.checkLabels(c, t); err != nil {
			return nil, err
		}
	}
	r.warnReplaced(t.Name, t.Replaced)
	return t, nil
}

// checkLabels holds the labels of t to the classes. Where the adapter does not tell whether a row may have several, the labels do.
// Names are no error if the adapter has none for its classes: there are no metrics then.
func (r *seqClsRun) checkLabels(c *cli.Classifier[models.SequenceClassifier], t *text.File) (*text.File, error) {
	problem := c.Labels.Problem
	if guess, _, err := text.GuessProblem(t); !c.Told && err == nil && guess == data.MultiLabel && problem == data.SingleLabel {
		problem = guess
	}
	labels, err := text.FindLabels(problem, data.LabelSource{Saved: c.Labels.Names}, t)
	switch {
	case err == nil:
		c.Labels = labels
		return t, nil
	case c.Named || r.metricsFile != "":
		return nil, cli.InputError(fmt.Errorf("%w (--no-labels predicts without looking at labels)", err))
	}
	r.console.Log.Warn().Msgf("%s: labels are left alone, for the adapter does not name its classes (--labels does)", t.Name)
	return t.WithoutLabels(), nil
}

func (r *seqClsRun) newTask(base *cli.Base, c *cli.Classifier[models.SequenceClassifier]) (*tasks.SeqCls, func(), error) {
	pool, err := cli.NewPool(r.threads)
	if err != nil {
		return nil, nil, err
	}
	truncation, _ := cli.ParseTruncation(r.truncation) // checked before
	cfg := tasks.SeqClsConfig{
		Labels: c.Labels, MaxLength: r.maxLength, Truncation: truncation, EvalTokens: r.tokensPerBatch, Pool: pool, Adapter: c.Adapter(),
	}
	task, err := tasks.NewSeqCls(c.Model, base.Tokenizer, cfg)
	if err != nil {
		pool.Close()
		return nil, nil, cli.UsageError(err)
	}
	return task, pool.Close, nil
}

// predict computes the logits of all rows, some at a time.
func (r *seqClsRun) predict(ctx context.Context, task *tasks.SeqCls, c *cli.Classifier[models.SequenceClassifier], t *text.File) ([]float32, error) {
	var all []float32
	cut := 0
	err := r.inPortions(t.Name, t.Len(), func(lo, hi int) error {
		part := t.Part(lo, hi)
		logits, n, err := task.Predict(ctx, part)
		if err != nil {
			return err
		}
		cut += n
		all = append(all, logits...)
		return checkFinite(part, logits, c.Model.Labels())
	})
	if err != nil {
		return nil, err
	}
	if cut > 0 {
		r.console.Log.Warn().Msgf("%s: %d of %d texts are longer than %d tokens and were cut", t.Name, cut, t.Len(), task.Limit())
	}
	return all, nil
}

func (r *seqClsRun) writeRows(w io.Writer, c *cli.Classifier[models.SequenceClassifier], logits []float32) error {
	k := c.Model.Labels()
	return eachLine(w, "row", len(logits)/k, func(i int) any { return r.rowOf(c.Labels, logits[i*k:(i+1)*k]) })
}
