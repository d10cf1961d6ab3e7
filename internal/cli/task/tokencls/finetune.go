package finetune

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// tokenClsRun is one run of "finetune token-cls".
type tokenClsRun struct {
	job
	labels       []string
	maxLength    int
	stride       int
	labelAll     bool
	seqevalMode  string
	smoothing    float32
	classWeights []string
	data         cli.TokenDataFlags

	tables parts[*tagged.File]
	found  *data.Labels
	scheme tagged.Scheme
	opened models.TokenClassifier

	evaluations []*tasks.TokenScores
	test        *tasks.TokenScores
}

const tokenClsExamples = `  # the model and the data that are compiled in: MiniLM on the times, dates, names and numbers of people of restaurant8k
  finetune token-cls

  # your own checkpoint and data: a word and its tag in every line
  finetune token-cls --model bert-base-cased --train-file train.conll --eval-file dev.conll --test-file test.conll \
      --output-dir runs/ner

  # JSON Lines with lists of words and tags under names of their own
  finetune token-cls --train-file train.jsonl --tokens-column words --tags-column ner --validation-split 0.1

  # parts of speech from CoNLL-U
  finetune token-cls --train-file en_atis-ud-train.conllu --eval-file en_atis-ud-dev.conllu --tags-column UPOS

  # the settings in a file, one of them overridden
  finetune token-cls --config run.yaml --learning-rate 5e-4`

func tokenCls(env cli.Env) *cobra.Command {
	r := &tokenClsRun{job: job{env: env}}
	cmd := &cobra.Command{
		Use:   "token-cls",
		Short: "Token classification: named entities, slots, parts of speech",
		Long: `Fine-tune a LoRA adapter that gives each word of a sentence a tag: named entities, slots, parts of speech.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (the best adapter; without evaluation the
last), labels.json, metrics.jsonl (a line for each step and evaluation), results.json (with the scores of each type) and checkpoints.

Entities are scored as seqeval does, over all types: f1, precision, recall; accuracy is that of the tags of words. Tags that spell no entities are
scored by accuracy and macro_f1.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal with the adapter saved.`,
		Example: tokenClsExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.adapt(cmd, r) },
	}
	return r.addFlags(cmd, sections{
		models: directoriesOrGGUF, formats: "CoNLL, CoNLL-U or JSON Lines", builtIn: "restaurant8k",
		reading: r.data.Add, task: r.addTask, adapter: tokenClsAdapter(), head: headTrains, training: tokenClsTraining(),
	})
}

func (r *tokenClsRun) addTask(fs *pflag.FlagSet) {
	fs.StringSliceVar(&r.labels, "labels", nil, "`names` of the tags, in order; default: the adapter's, else the checkpoint's id2label, else those found, sorted")
	fs.BoolVar(&r.labelAll, "label-all-tokens", false, "give a label to all tokens of a word, not to the first one only")
	r.data.AddScheme(fs, &r.seqevalMode, "guessed from the tags to train on")
	cli.AddMaxLength(fs, &r.maxLength, "a sentence")
	cli.AddStride(fs, &r.stride)
	fs.Float32Var(&r.smoothing, "label-smoothing-factor", 0, "label smoothing")
	fs.StringSliceVar(&r.classWeights, "class-weights", nil, "`weight` of each tag in the loss, in order, or balanced")
}

// tokenClsAdapter returns the adapter that a run has by default.
func tokenClsAdapter() lora.Config {
	c := lora.DefaultConfig()
	c.R, c.Alpha = 16, 16
	return c
}

// tokenClsTraining returns the settings of the loop that a run has by default.
func tokenClsTraining() train.Config {
	c := train.Defaults()
	c.BatchSize, c.NumTrainEpochs = 16, 3
	c.LearningRate, c.Schedule = 1e-3, train.Linear
	return c
}

func (r *tokenClsRun) name() string { return "token-cls" }

func (r *tokenClsRun) defaults() {}

// checkFlags reports flags that contradict each other before anything is opened.
func (r *tokenClsRun) checkFlags() error {
	errs := append(r.job.checkFlags(cli.TokenDataFlagNames()), r.data.Check())
	if r.seqevalMode != "default" && r.seqevalMode != "strict" {
		errs = append(errs, fmt.Errorf("--seqeval-mode is %q; want default or strict", r.seqevalMode))
	}
	errs = append(errs, cli.CheckStride(r.stride))
	return cli.UsageError(errors.Join(errs...))
}

func (r *tokenClsRun) openModel(base *cli.Base, seed uint64) (models.TextModel, cli.Task, checkpoint.Report, error) {
	m, report, err := base.TokenClassifier(len(r.found.Names), seed, r.console.Log)
	r.opened = m
	return m, cli.TokenClassification(), report, err
}

func (r *tokenClsRun) newTask(ctx context.Context, base *cli.Base, set *lora.Set, pool *op.Pool) (train.Task, error) {
	if err := cli.CheckMaxLength(base.Tokenizer, r.maxLength, false); err != nil {
		return nil, err
	}
	set.SetNote(cli.SchemeFlag, string(r.scheme)) // names of classes alone do not tell
	weights, err := classWeights(r.classWeights, len(r.found.Names), func() ([]int32, error) { return r.allClasses() })
	if err != nil {
		return nil, err
	}
	task, err := tasks.NewTokenCls(r.opened, base.Tokenizer, tasks.TokenClsConfig{
		Labels: r.found, Scheme: r.scheme, Strict: r.seqevalMode == "strict", MaxLength: r.maxLength, Stride: r.stride, LabelAllTokens: r.labelAll,
		Smoothing: r.smoothing, ClassWeights: weights, Pool: pool, Adapter: set,
		OnScores: r.scored,
	})
	if err != nil {
		return nil, cli.UsageError(err)
	}
	return task, r.tables.each(func(s batch.Split, table *tagged.File) error {
		if err := task.Add(ctx, s, table); err != nil {
			return err
		}
		cli.TokenWarnings(r.console.Log, table, task.Counts(s), task.Limit())
		return nil
	})
}

// scored keeps the scores of an evaluation and says what is odd about them.
func (r *tokenClsRun) scored(s batch.Split, scores *tasks.TokenScores) {
	if s == batch.Test {
		r.test = scores
	} else {
		r.evaluations = append(r.evaluations, scores)
	}
	r.remark(s, scores)
}

// allClasses returns the classes of all words to train on.
func (r *tokenClsRun) allClasses() ([]int32, error) {
	list, err := r.tables.train.Classes(r.found)
	var all []int32
	for _, classes := range list {
		all = append(all, classes...)
	}
	return all, err
}

func (r *tokenClsRun) classes() *data.Labels { return r.found }

func (r *tokenClsRun) describe(t *training) {
	n := len(r.found.Names)
	t.results.Problem, t.results.Labels = r.found.Problem.String(), &n
	t.complete = r.complete
	if r.tables.test != nil {
		t.testRows = r.tables.test.Len()
	}
}

func (r *tokenClsRun) identity(id map[string]string) {
	r.tables.identity(id)
	id["labels"] = string(r.found.Encode())
	id["max_length"], id["stride"], id["label_all_tokens"] = fmt.Sprint(r.maxLength), fmt.Sprint(r.stride), fmt.Sprint(r.labelAll)
	id["label_smoothing_factor"], id["class_weights"] = fmt.Sprint(r.smoothing), strings.Join(r.classWeights, ",")
	id["scheme"], id["seqeval_mode"] = string(r.scheme), r.seqevalMode
}
