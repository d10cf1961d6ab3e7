package finetune

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nlpodyssey/spago/mat"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// embedRun is one run of "finetune embed".
type embedRun struct {
	job
	pooling, lossName string
	scale             float32
	maxScore          float64
	maxLength         int
	data              cli.DataFlags

	tables    tables
	loss      tasks.PairLoss
	opened    models.Encoder
	sentences *cli.SentenceEncoder // what the checkpoint says about vectors
	pooled    tasks.Pooling
	limit     int                           // tokens of a text; 0: what the checkpoint allows
	before    func() (train.Metrics, error) // scores the test rows
}

const embedExamples = `  # the model and the data that are compiled in: MiniLM on pairs of questions of banking77 that ask the same
  finetune embed

  # pairs with scores from 0 to 5, without a header, as STS-B has them
  finetune embed --train-file train.csv --eval-file dev.csv --test-file test.csv --no-header \
      --text-column 0 --text-pair-column 1 --label-column 2 --max-score 5

  # pairs that belong together, say questions with their answers: the other answers of a batch are the wrong ones
  finetune embed --train-file pairs.jsonl --text-column question --text-pair-column answer --batch-size 64 --output-dir runs/search`

func embed(env cli.Env) *cobra.Command {
	r := &embedRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:     "embed",
		Aliases: []string{"feature-extraction"},
		Short:   "Sentence embeddings from pairs of texts",
		Long: `Fine-tune a LoRA adapter of a sentence encoder on pairs of texts, so that the cosine of two vectors says how near the meanings are.

Pairs with a score are learned with the loss cosine, pairs without one with multiple_negatives, for which the second texts of the
other pairs in a batch are wrong: the larger --batch-size, the harder, and --gradient-accumulation-steps does not make it larger.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the last),
pooling.json, metrics.jsonl (a line for each step and evaluation), results.json and checkpoints.

With the embedded data each step has 64 pairs, and they are gone through once, unless flags say otherwise.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal with the adapter saved.`,
		Example: embedExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.adapt(cmd, r) },
	}
	return r.addFlags(cmd, sections{
		models: directoriesOrGGUF, formats: "CSV, TSV or JSON Lines with pairs of texts", builtIn: "pairs of banking77",
		reading: r.addReading, task: r.addTask, adapter: seqClsAdapter(), training: embedTraining(),
	})
}

func (r *embedRun) addReading(fs *pflag.FlagSet) {
	r.data.AddTexts(fs)
	fs.StringVar(&r.data.Label, "label-column", "", "`name` of the column with the score of a pair; default: score, label and other usual names, if there is one")
}

func (r *embedRun) addTask(fs *pflag.FlagSet) {
	fs.StringVar(&r.pooling, "pooling", "", "how the tokens of a text become one vector: mean or cls (the first token); default: the adapter's, else that of 1_Pooling/config.json, else mean")
	fs.StringVar(&r.lossName, "loss", "", "cosine or multiple_negatives; default: cosine if the pairs to train on have scores")
	fs.Float32Var(&r.scale, "similarity-scale", 20, "factor of the cosines in multiple_negatives")
	cli.AddMaxScore(fs, &r.maxScore)
	cli.AddMaxLength(fs, &r.maxLength, "a text")
}

// embedTraining returns the settings of the loop that a run has by default.
func embedTraining() train.Config {
	c := seqClsTraining()
	c.WarmupRatio = 0.1
	return c
}

func (r *embedRun) name() string { return "embed" }

// defaults changes defaults, where no flag says otherwise, for what is compiled in.
func (r *embedRun) defaults() {
	if r.files.train != "" {
		return
	}
	if !r.given("batch-size") && !r.given("tokens-per-batch") {
		r.train.cfg.BatchSize = 64
	}
	if !r.given("num-train-epochs") {
		r.train.cfg.NumTrainEpochs = 1
	}
}

// checkFlags reports flags that contradict each other before anything is opened.
func (r *embedRun) checkFlags() error {
	errs := r.job.checkFlags(cli.FlagNames(new(embedRun).addReading))
	if r.lossName != "" {
		if _, err := tasks.ParsePairLoss(r.lossName); err != nil {
			errs = append(errs, fmt.Errorf("--loss: %w", err))
		}
	}
	if r.pooling != "" {
		if _, err := tasks.ParsePooling(r.pooling); err != nil {
			errs = append(errs, fmt.Errorf("--pooling: %w", err))
		}
	}
	if !(r.scale > 0) {
		errs = append(errs, fmt.Errorf("--similarity-scale is %g; want more than 0", r.scale))
	}
	if !(r.maxScore > 0) {
		errs = append(errs, fmt.Errorf("--max-score is %g; want more than 0", r.maxScore))
	}
	return cli.UsageError(errors.Join(errs...))
}

func (r *embedRun) openModel(base *cli.Base, seed uint64) (models.TextModel, cli.Task, checkpoint.Report, error) {
	m, report, err := base.Encoder(seed, r.console.Log)
	r.opened = m
	return m, cli.FeatureExtraction(), report, err
}

func (r *embedRun) newTask(ctx context.Context, base *cli.Base, set *lora.Set, pool *op.Pool) (train.Task, error) {
	if err := checkPooler(set); err != nil {
		return nil, err
	}
	r.limit = r.sentences.Limit(r.maxLength, r.opened.MaxLength())
	if err := cli.CheckMaxLength(base.Tokenizer, r.limit, false); err != nil {
		return nil, err
	}
	task, err := tasks.NewEmbedding(r.opened, base.Tokenizer, tasks.EmbeddingConfig{
		Pooling: r.pooled, Loss: r.loss, Scale: r.scale, MaxScore: r.maxScore, MaxLength: r.limit, Pool: pool, Adapter: set,
	})
	if err != nil {
		return nil, cli.UsageError(err)
	}
	r.before = func() (train.Metrics, error) { return task.Evaluate(ctx, batch.Test) }
	return &pairTask{Embedding: task, loss: r.loss, log: r.console.Log}, r.tables.each(func(s batch.Split, table *text.File) error {
		if err := task.Add(ctx, s, table); err != nil {
			return err
		}
		if n, limit := task.Truncated(s); n > 0 {
			r.console.Log.Warn().Msgf("%s: %d of %d texts are longer than %d tokens and were cut", table.Name, n, 2*table.Len(), limit)
		}
		return nil
	})
}

// checkPooler errs if the adapter trains the pooler: vectors are made of the hidden states, so nothing reads it and no gradient reaches it.
func checkPooler(set *lora.Set) error {
	for _, p := range set.Params() {
		if strings.Contains(p.Name, ".pooler.") {
			return cli.UsageError(fmt.Errorf("the adapter trains %s, but sentence embeddings are made without the pooler, so it would learn nothing: leave it out of --target-modules and --modules-to-save "+
				"(output.dense and intermediate.dense are the other layers named dense)", p.Name))
		}
	}
	return nil
}

// pairTask is an embedding task that says so, once, if a batch has one pair only, of which multiple_negatives learns nothing.
type pairTask struct {
	*tasks.Embedding
	loss tasks.PairLoss
	log  zerolog.Logger
	told bool
}

// Loss warns and is that of the task.
func (t *pairTask) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	if t.loss == tasks.MultipleNegatives && len(b.Seqs.Index) == 2 && !t.told {
		t.told = true
		t.log.Warn().Msgf("a batch has one pair only, of which --loss %v learns nothing: there is no other to compare it with; larger batches, or another number of rows, leave no pair alone", t.loss)
	}
	return t.Embedding.Loss(p, b)
}

func (r *embedRun) classes() *data.Labels { return nil }

// saveBeside writes what an adapter needs beside its own files.
func (r *embedRun) saveBeside(dir string) error { return cli.SavePooling(dir, r.pooled) }

func (r *embedRun) describe(t *training) {
	if r.tables.test == nil {
		return
	}
	t.testRows = r.tables.test.Len()
	t.started = func() { // a sentence encoder knows something before it is trained
		if m, err := r.before(); err == nil {
			fmt.Fprintf(r.env.Out, "before training: test, %d rows: %s\n", t.testRows, cli.MetricsText(m))
		}
	}
}

func (r *embedRun) identity(id map[string]string) {
	r.tables.identity(id)
	id["max_length"], id["pooling"], id["loss"] = fmt.Sprint(r.limit), r.pooled.String(), r.loss.String()
	id["similarity_scale"], id["max_score"] = fmt.Sprint(r.scale), fmt.Sprint(r.maxScore)
}
