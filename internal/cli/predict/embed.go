package predict

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
)

// embedRun is one run of "predict embed".
type embedRun struct {
	job
	head  cli.HeadFlags
	input cli.InputFlags
	data  cli.DataFlags

	pooling   string
	normalize bool
	format    string
	noLabels  bool
	maxScore  float64
	maxLength int
}

const embedExamples = `  # two vectors of the embedded sentence encoder
  predict embed --text "Where is my card?" --text "I lost my PIN"

  # how near two texts are, with an adapter that finetune wrote
  predict embed --adapter runs/embed-20260101-120000 --text "Where is my card?" --text-pair "My card has not come."

  # a vector for each line of a file, as an array for numpy.load
  predict embed --input texts.txt --output-format npy --output vectors.npy

  # the correlation with scores (STS-B), without training
  predict embed --input test.csv --no-header --text-column 0 --text-pair-column 1 --label-column 2 --max-score 5 --output similarities.jsonl`

func embed(env cli.Env) *cobra.Command {
	r := &embedRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:     "embed",
		Aliases: []string{"feature-extraction"},
		Short:   "Vectors of texts, and how near two texts are",
		Long: `Turn texts into vectors whose cosine says how near their meanings are, with a sentence encoder and perhaps an adapter.

It writes one JSON object for each row, in the order of the input:
  embedding   of a text: its vector
  similarity  of a pair of texts: the cosine of their vectors, from -1 to 1
If pairs have scores, their correlations with the similarities go to standard error and, with --metrics-file, to a file.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal. After an error nothing is written.`,
		Example: embedExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", r.addModel)
	cli.Section(fs, "Input", func(fs *pflag.FlagSet) {
		r.input.Add(fs)
		r.data.AddTexts(fs)
		fs.StringVar(&r.data.Label, "label-column", "", "`name` of the column with the score of a pair; default: score, label and other usual names, if there is one")
		fs.BoolVar(&r.noLabels, "no-labels", false, "do not read scores, even if the input has some")
		cli.AddMaxScore(fs, &r.maxScore)
		cli.AddMaxLength(fs, &r.maxLength, "a text")
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		r.addOutput(fs, func(fs *pflag.FlagSet) {
			fs.StringVar(&r.format, "output-format", "jsonl", "jsonl, or npy: an array of float32, a row for each text, as numpy.load reads it")
			fs.BoolVar(&r.normalize, "normalize", false, "divide each vector by its length; default: as modules.json of the checkpoint says; true for the embedded MiniLM")
		})
	})
	cli.Section(fs, "Speed", r.addSpeed)
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *embedRun) addModel(fs *pflag.FlagSet) {
	fs.StringVar(&r.head.Model, "model", "", "`directory` of a Hugging Face checkpoint, or GGUF file; default: the embedded MiniLM")
	fs.StringVar(&r.head.Adapter, "adapter", "", "`directory` of an adapter, of finetune or of PEFT; default: none, the checkpoint itself")
	fs.BoolVar(&r.head.OtherBase, "allow-other-base", false, "use an adapter that was trained on another base model")
	fs.StringVar(&r.pooling, "pooling", "", "how the tokens of a text become one vector: mean or cls (the first token); default: the adapter's, else that of 1_Pooling/config.json, else mean")
}

func (r *embedRun) run(cmd *cobra.Command) (err error) {
	if err := r.start(cmd); err != nil {
		return err
	}
	result, scores := r.results()
	if err := r.checkFlags(result, scores); err != nil {
		return err
	}
	base, err := cli.OpenBase(r.head.Model, cli.MiniLM())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	task, close, err := r.newTask(base)
	if err != nil {
		return err
	}
	defer close()
	table, err := r.read()
	if err != nil {
		return err
	}
	vectors, err := r.embed(cmd.Context(), task, table)
	if err != nil {
		return err
	}
	if !table.At(0).HasPair {
		return r.writeVectors(result, vectors, task.Width())
	}
	cosines := tasks.Cosines(vectors, task.Width())
	metrics, err := task.Score(table, cosines)
	if err != nil {
		return err
	}
	r.console.Undefined(metrics)
	rows := func(w io.Writer) error {
		return eachLine(w, "row", len(cosines), func(i int) any { return similarityRow{cosines[i]} })
	}
	return r.write(result, scores, rows, table.Name, table.Labelled(), metrics)
}

func (r *embedRun) checkFlags(result, scores cli.Result) error {
	if err := r.input.Check(r.env, r.typed); err != nil {
		return err
	}
	errs := append(r.job.checkFlags(), r.head.Check(r.given)...)
	if r.format != "jsonl" && r.format != "npy" {
		errs = append(errs, fmt.Errorf("--output-format is %q; want jsonl or npy", r.format))
	}
	if r.noLabels && r.data.Label != "" {
		errs = append(errs, errors.New("--no-labels excludes --label-column"))
	}
	if r.metricsFile != "" && (r.noLabels || len(r.input.Texts) > 0) {
		errs = append(errs, errors.New("--metrics-file needs an input of pairs with scores"))
	}
	if !(r.maxScore > 0) {
		errs = append(errs, fmt.Errorf("--max-score is %g; want more than 0", r.maxScore))
	}
	if r.typed("max-score") && (r.noLabels || len(r.input.Texts) > 0) {
		errs = append(errs, errors.New("--max-score needs an input of pairs with scores"))
	}
	if r.pooling != "" {
		if _, err := tasks.ParsePooling(r.pooling); err != nil {
			errs = append(errs, fmt.Errorf("--pooling: %w", err))
		}
	}
	if err := cli.UsageError(errors.Join(errs...)); err != nil {
		return err
	}
	return errors.Join(result.Check(r.input.Input), scores.Check(r.input.Input))
}

// newTask opens the model with the adapter, if one is given. A pooler that the checkpoint lacks does no harm: nothing reads it.
func (r *embedRun) newTask(base *cli.Base) (*tasks.Embedding, func(), error) {
	trained, err := cli.OpenTrained(base, r.head, func(models.Encoder) cli.Task { return cli.FeatureExtraction() },
		func(log zerolog.Logger) (models.Encoder, checkpoint.Report, error) {
			m, report, err := base.Encoder(0, log)
			report.Fresh = nil
			return m, report, err
		}, r.console.Log)
	if err != nil {
		return nil, nil, err
	}
	sentences, err := cli.ReadSentenceEncoder(r.head.Model)
	if err != nil {
		return nil, nil, err
	}
	pooling, err := sentences.Pooling(r.pooling, r.head.Adapter)
	if err != nil {
		return nil, nil, err
	}
	if !r.given("normalize") {
		r.normalize = sentences.Normalize
	}
	limit := sentences.Limit(r.maxLength, trained.Model.MaxLength())
	if err := cli.CheckMaxLength(base.Tokenizer, limit, false); err != nil {
		return nil, nil, err
	}
	pool, err := cli.NewPool(r.threads)
	if err != nil {
		return nil, nil, err
	}
	task, err := tasks.NewEmbedding(trained.Model, base.Tokenizer, tasks.EmbeddingConfig{
		Pooling: pooling, MaxScore: r.maxScore, MaxLength: limit, EvalTokens: r.tokensPerBatch, Pool: pool, Adapter: trained.Adapter(),
	})
	if err != nil {
		pool.Close()
		return nil, nil, cli.UsageError(err)
	}
	r.console.Log.Info().Msgf("model %s: vectors of %d values, pooling %v", base.Name, task.Width(), pooling)
	return task, pool.Close, nil
}

// read returns the texts or pairs.
func (r *embedRun) read() (*text.File, error) {
	t := r.input.Table()
	if t == nil {
		o, err := r.data.Options()
		if err != nil {
			return nil, err
		}
		o.NoLabels = r.noLabels
		if t, err = cli.ReadPairs(r.input.Input, r.env.In, o); err != nil {
			return nil, err
		}
		r.warnReplaced(t.Name, t.Replaced)
	}
	pairs := t.At(0).HasPair
	switch {
	case pairs && r.format == "npy":
		return nil, cli.UsageError(errors.New("--output-format npy is for vectors of texts, but the input has pairs of texts, whose similarity is written"))
	case !pairs && (r.metricsFile != "" || r.data.Label != ""):
		return nil, cli.InputError(fmt.Errorf("%s: the rows are single texts, so there are no scores and no metrics (--text-pair-column names the second texts)", t.Name))
	case (r.metricsFile != "" || r.data.Label != "") && t.Labelled() == 0:
		return nil, cli.InputError(fmt.Errorf("%s: no pair has a score, so there are no metrics", t.Name))
	case r.typed("max-score") && t.Labelled() == 0:
		return nil, cli.UsageError(fmt.Errorf("--max-score is for pairs with scores, but %s has none", t.Name))
	}
	return t, nil
}

// embed computes the vectors of all texts, some at a time.
func (r *embedRun) embed(ctx context.Context, task *tasks.Embedding, t *text.File) ([]float32, error) {
	var all []float32
	cut, texts, width := 0, 0, task.Width()
	err := r.inPortions(t.Name, t.Len(), func(lo, hi int) error {
		part := t.Part(lo, hi)
		vectors, n, err := task.Embed(ctx, part)
		if err != nil {
			return err
		}
		cut += n
		each := len(vectors) / width / (hi - lo) // 2 for pairs
		texts += each * (hi - lo)
		for i, e := range part.All() {
			if err := finite(t.Name, e.Line, vectors[i*each*width:(i+1)*each*width]); err != nil {
				return err
			}
		}
		all = append(all, vectors...)
		return nil
	})
	if err == nil && cut > 0 {
		r.console.Log.Warn().Msgf("%s: %d of %d texts are longer than %d tokens and were cut", t.Name, cut, texts, task.Limit())
	}
	if err == nil && r.normalize {
		err = tasks.Normalize(all, width)
	}
	return all, err
}

// vectorRow is what is written for a text.
type vectorRow struct {
	Embedding []float32 `json:"embedding"`
}

// similarityRow is what is written for a pair of texts.
type similarityRow struct {
	Similarity float32 `json:"similarity"`
}

func (r *embedRun) writeVectors(to cli.Result, vectors []float32, width int) error {
	n := len(vectors) / width
	return to.Write(r.env, func(w io.Writer) error {
		if r.format == "npy" {
			return writeNPY(w, vectors, width)
		}
		return eachLine(w, "row", n, func(i int) any { return vectorRow{vectors[i*width : (i+1)*width]} })
	})
}

// writeNPY writes rows of float32 in the format NPY 1.0 of NumPy: a header whose length is a multiple of 64, then the values,
// little-endian.
func writeNPY(w io.Writer, v []float32, width int) error {
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", len(v)/width, width)
	const before = 10 // magic, version and the length
	for (before+len(header)+1)%64 != 0 {
		header += " "
	}
	header += "\n"
	head := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	if _, err := w.Write(append(head, header...)); err != nil {
		return err
	}
	for lo := 0; lo < len(v); lo += width {
		if err := binary.Write(w, binary.LittleEndian, v[lo:lo+width]); err != nil {
			return err
		}
	}
	return nil
}
