package models_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// opened is a model of a checkpoint with the head of a task.
type opened struct {
	models.TextModel
	forward func(p *nn.Pass, b *batch.Batch) mat.Tensor
	report  checkpoint.Report
}

// openers open a checkpoint for each task.
var openers = map[string]func(src *checkpoint.Source) (opened, error){
	"seq_cls": func(src *checkpoint.Source) (opened, error) {
		m, r, err := models.OpenSequenceClassifier(src, 3, 1)
		if err != nil {
			return opened{}, err
		}
		return opened{m, m.Logits, r}, nil
	},
	"token_cls": func(src *checkpoint.Source) (opened, error) {
		m, r, err := models.OpenTokenClassifier(src, 5, 1)
		if err != nil {
			return opened{}, err
		}
		return opened{m, m.Logits, r}, nil
	},
	"question_answering": func(src *checkpoint.Source) (opened, error) {
		m, r, err := models.OpenQuestionAnswerer(src, 1)
		if err != nil {
			return opened{}, err
		}
		return opened{m, m.Logits, r}, nil
	},
	"multiple_choice": func(src *checkpoint.Source) (opened, error) {
		m, r, err := models.OpenMultipleChoice(src, 1)
		if err != nil {
			return opened{}, err
		}
		return opened{m, m.Logits, r}, nil
	},
	"feature_extraction": func(src *checkpoint.Source) (opened, error) {
		m, r, err := models.OpenEncoder(src, 1)
		if err != nil {
			return opened{}, err
		}
		return opened{m, m.Forward, r}, nil
	},
}

func (o opened) output() []float32 {
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, 4, 7}, Index: []int{0, 1}}, IDs: []int32{2, 17, 40, 3, 2, 9, 3}}
	return append([]float32(nil), op.Values(o.forward(&nn.Pass{Tape: tape}, b))...)
}

func openAs(t *testing.T, task string, tr *tree) opened {
	t.Helper()
	o, err := openers[task](tr.open())
	if err != nil {
		t.Fatalf("%s: %v", task, err)
	}
	return o
}

// TestAnyCheckpointForAnyTask: whatever task a checkpoint was saved for, it opens for every other one. What is made
// fresh is what the file lacks or has in another size, and nothing below the head but a pooler.
func TestAnyCheckpointForAnyTask(t *testing.T) {
	cases, err := filepath.Glob("../testdata/encoder/*")
	if err != nil || len(cases) < 25 {
		t.Fatalf("fixtures: %v, %v", cases, err)
	}
	heads := []string{"classifier.", "qa_outputs.", "pre_classifier.", "sequence_summary.", "pooler.", "bert.pooler.",
		"roberta.pooler."}
	for _, dir := range cases {
		name := filepath.Base(dir)
		tr := treeOf(t, "encoder", name)
		for task := range openers {
			t.Run(name+" for "+task, func(t *testing.T) {
				o := openAs(t, task, tr)
				fresh := map[string]bool{}
				for _, n := range o.report.Fresh {
					fresh[n] = true
					if !slices.ContainsFunc(heads, func(h string) bool { return strings.HasPrefix(n, h) }) {
						t.Errorf("%s is fresh", n)
					}
				}
				if len(o.report.Fresh) != len(fresh) || o.report.Loaded+len(fresh) != len(nn.Weights(o.TextModel)) {
					t.Errorf("%d loaded, %v fresh, %d weights", o.report.Loaded, o.report.Fresh, len(nn.Weights(o.TextModel)))
				}
				for _, w := range nn.Weights(o.TextModel) {
					if !w.Weight.Filled() {
						t.Errorf("%s has no values", w.Name)
					}
				}
			})
		}
	}
}

// TestEncoderPrefix: with and without the prefix of its family a checkpoint is the same model.
func TestEncoderPrefix(t *testing.T) {
	for name, prefix := range map[string]string{
		"bert_choice": "bert.", "roberta_seq_cls": "roberta.", "xlm_roberta_choice": "roberta.",
		"distilbert_qa": "distilbert.", "electra_seq_cls": "electra.",
		"bert_features": "bert.", "xlm_roberta_features": "roberta.", "distilbert_token_cls": "distilbert.",
		"electra_features": "electra.",
	} {
		for task := range openers {
			if name == "bert_features" && task == "feature_extraction" {
				continue
			}
			tr := treeOf(t, "encoder", name)
			want := openAs(t, task, tr)
			had := slices.ContainsFunc(tr.tensors, func(x safetensors.Tensor) bool { return strings.HasPrefix(x.Name, prefix) })
			tr.rename(func(n string) string {
				if had {
					return strings.TrimPrefix(n, prefix)
				}
				return prefix + n
			})
			if got := openAs(t, task, tr); !slices.Equal(got.output(), want.output()) ||
				got.report.Loaded != want.report.Loaded {
				t.Errorf("%s for %s: another model; loaded %d tensors, before %d", name, task, got.report.Loaded,
					want.report.Loaded)
			}
		}
	}
}

// TestHeadsOneByOne: a part of a head that has another size is made fresh; what else a task needs is kept.
func TestHeadsOneByOne(t *testing.T) {
	for _, c := range []struct {
		name, task string
		change     func(c *tree)
		fresh      []string
	}{
		{"distilbert_choice", "seq_cls", func(*tree) {}, []string{"classifier.weight", "classifier.bias"}},
		{"distilbert_seq_cls", "multiple_choice", func(c *tree) {
			c.add("pre_classifier.weight", 16,
				16)
			c.add("pre_classifier.bias", 16)
		},
			[]string{"classifier.weight", "classifier.bias"}},
		{"roberta_token_cls", "multiple_choice", func(c *tree) {
			c.add("roberta.pooler.dense.weight", 16,
				16)
			c.add("roberta.pooler.dense.bias", 16)
		},
			[]string{"classifier.weight", "classifier.bias"}},
		{"roberta_token_cls", "multiple_choice", func(*tree) {},
			[]string{"roberta.pooler.dense.weight", "roberta.pooler.dense.bias", "classifier.weight", "classifier.bias"}},
		{"electra_choice", "multiple_choice", func(c *tree) {
			c.add("sequence_summary.summary.weight", 16, 16)
			c.add("sequence_summary.summary.bias", 16)
		},
			[]string{"classifier.weight", "classifier.bias"}},
		{"electra_choice_last", "multiple_choice", func(*tree) {}, nil},
		{"roberta_features", "feature_extraction", func(*tree) {}, []string{"pooler.dense.weight", "pooler.dense.bias"}},
		{"electra_features", "feature_extraction", func(*tree) {}, nil},
		{"distilbert_features", "feature_extraction", func(*tree) {}, nil},
	} {
		t.Run(c.name+" for "+c.task, func(t *testing.T) {
			tr := treeOf(t, "encoder", c.name)
			c.change(tr)
			o := openAs(t, c.task, tr)
			if got := slices.Clone(o.report.Fresh); !slices.Equal(slices.Sorted(slices.Values(got)),
				slices.Sorted(slices.Values(c.fresh))) {
				t.Errorf("fresh: %v, want %v", got, c.fresh)
			}
		})
	}
}

// TestEncoderErrors: what does not fit is an error with its name.
func TestEncoderErrors(t *testing.T) {
	for _, c := range []struct {
		base, task string
		change     func(c *tree)
		want       []string
	}{
		{"roberta_seq_cls", "seq_cls", func(c *tree) { c.drop("layer.1.output.dense") },
			[]string{"2 missing", "roberta.encoder.layer.1.output.dense.weight"}},
		{"roberta_seq_cls", "token_cls", func(c *tree) { c.add("roberta.encoder.layer.2.output.dense.bias", 16) },
			[]string{"unexpected", "roberta.encoder.layer.2"}},
		{"roberta_seq_cls", "seq_cls", func(c *tree) { c.config["vocab_size"] = 61 }, []string{"vocab_size 61", "60×16"}},
		{"roberta_qa", "feature_extraction", func(c *tree) { c.config["vocab_size"] = 61 },
			[]string{"vocab_size 61", "60×16"}},
		{"roberta_seq_cls", "seq_cls", func(c *tree) { c.config["pad_token_id"] = nil }, []string{"pad_token_id is missing"}},
		{"roberta_seq_cls", "seq_cls", func(c *tree) { c.config["type_vocab_size"] = 2 },
			[]string{"token_type_embeddings.weight is [1 16], want [2 16]"}},
		{"roberta_seq_cls", "seq_cls", func(c *tree) { c.config["model_type"] = "bert" },
			[]string{"missing", "bert.embeddings"}},
		{"bert_choice", "multiple_choice", func(c *tree) { c.config["model_type"] = "xlm-roberta" },
			[]string{"missing", "roberta.embeddings"}},
		{"distilbert_qa", "question_answering", func(c *tree) { c.config["dim"] = 32 }, []string{"dim 32", "60×16"}},
		{"distilbert_qa", "question_answering", func(c *tree) { c.config["n_heads"] = 3 },
			[]string{"dim 16 is not a multiple of n_heads 3"}},
		{"distilbert_qa", "question_answering", func(c *tree) { c.config["n_layers"] = 1000000000 },
			[]string{"n_layers is 1000000000"}},
		{"electra_qa", "question_answering", func(c *tree) { c.config["embedding_size"] = 16 },
			[]string{"embedding_size 16", "60×12"}},
		{"electra_qa", "question_answering", func(c *tree) { c.drop("embeddings_project") },
			[]string{"2 missing", "electra.embeddings_project.weight"}},
		{"electra_qa", "multiple_choice", func(c *tree) { c.config["summary_type"] = "mean" }, []string{"summary_type"}},
		{"roberta_token_cls", "multiple_choice", func(c *tree) {
			c.add("roberta.pooler.dense.weight", 16,
				16)
			c.add("roberta.pooler.dense.bias", 15)
		},
			[]string{"roberta.pooler.dense.bias is [15], want [16]"}},
	} {
		tr := treeOf(t, "encoder", c.base)
		c.change(tr)
		o, err := openers[c.task](tr.open())
		if err == nil {
			t.Errorf("%s, want %q: got a model: %s", c.base, c.want, o.report)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %v\nwant %q in it", c.base, err, w)
			}
		}
	}
}
