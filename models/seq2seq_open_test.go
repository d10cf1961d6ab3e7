package models_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/nn"
)

// TestSeq2SeqHeads: a checkpoint for one task of an encoder–decoder opens for its other tasks, with and without the
// prefix of the base model, and only heads are made fresh. What a checkpoint lacks below the head, and what a model
// type has no head for, is an error.
func TestSeq2SeqHeads(t *testing.T) {
	heads := []string{"classification_head.", "classifier.", "qa_outputs."}
	t5 := []string{"seq_cls", "token_cls", "question_answering", "feature_extraction"}
	bart := []string{"seq_cls", "question_answering", "feature_extraction"}
	const encoder, both = "transformer.", "model."
	for _, c := range []struct {
		family, name, prefix string
		opens                []string // tasks
		refusal              string   // for the others
	}{
		{"seq2seq", "t5_gated_untied", encoder, t5, `head for model_type "t5"; want bert, roberta`},
		{"seq2seq", "mt5", encoder, t5, `no multiple-choice head for model_type "mt5"`},
		{"seq2seq", "bart", both, bart, `head for model_type "bart"; want bert, roberta`},
		{"seq2seq", "mbart", both, bart, `head for model_type "mbart"`},
		{"seq2seq", "marian", both, nil, `head for model_type "marian"; want bert, roberta`},
		{"seq2seq_heads", "bart_seq_cls", both, bart, `head for model_type "bart"`},
		{"seq2seq_heads", "t5_seq_cls_all", encoder, t5, "no multiple-choice head"},
		{"seq2seq_heads", "t5_features_alone", encoder, []string{"token_cls", "feature_extraction"}, ""}, // no decoder
	} {
		for task, open := range openers {
			t.Run(c.name+" for "+task, func(t *testing.T) {
				tr := treeOf(t, c.family, c.name)
				o, err := open(tr.open())
				if !slices.Contains(c.opens, task) {
					if err == nil || !strings.Contains(err.Error(), c.refusal) {
						t.Fatalf("got %v, want %q in it", err, c.refusal)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range o.report.Fresh {
					if !slices.ContainsFunc(heads, func(h string) bool { return strings.HasPrefix(name, h) }) {
						t.Errorf("%s is fresh", name)
					}
				}
				if o.report.Loaded+len(o.report.Fresh) != len(nn.Weights(o.TextModel)) || len(o.report.Untied) > 0 {
					t.Errorf("%d weights: %v", len(nn.Weights(o.TextModel)), o.report)
				}
				had := slices.ContainsFunc(tr.tensors, func(x safetensors.Tensor) bool {
					return strings.HasPrefix(x.Name, c.prefix)
				})
				tr.rename(func(n string) string {
					if had {
						return strings.TrimPrefix(n, c.prefix)
					}
					return c.prefix + n
				})
				if got := openAs(t, task, tr); !slices.Equal(got.output(), o.output()) {
					t.Error("another model with other names")
				}
			})
		}
	}
}
