package adapter_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
)

// encoderArgs merges an adapter that PEFT made of an encoder of testdata/encoder. Texts of its configuration, old and
// new in turn, are exchanged before, so that it says less about its task.
func encoderArgs(t *testing.T, name, out string, edits ...string) []string {
	t.Helper()
	dir := filepath.Join(clitest.Testdata, "encoder", name)
	base, trained := clitest.CopyDir(t, filepath.Join(dir, "base")),
		clitest.CopyDir(t, filepath.Join(dir, "adapter_final"))
	var config struct {
		Vocab int `json:"vocab_size"`
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(base, "config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	clitest.Characters(t, base, config.Vocab)
	path := filepath.Join(trained, "adapter_config.json")
	text := clitest.Read(t, path)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("%s has no %s", path, edits[i])
		}
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	clitest.Write(t, path, text)
	return []string{"merge", "--model", base, "--adapter", trained, "--output-dir", out}
}

const (
	both    = "../seq2seq_heads/"
	class   = `"base_model_class"`
	noClass = `"a_class"`
	noTask  = `"task_type": null`
	seqCls  = `"task_type": "SEQ_CLS"`
)

// TestMergeTask merges adapters that say by their class, their tensors, the base or the flag what they are for.
func TestMergeTask(t *testing.T) {
	for _, x := range []struct {
		name  string
		edits []string
		args  []string
		class string // of the merged model
		warns bool   // that a regression is assumed
	}{
		{name: "bert_choice", class: "BertForMultipleChoice"},
		{name: "distilbert_choice", class: "DistilBertForMultipleChoice"},
		{name: "roberta_choice", class: "RobertaForMultipleChoice"},
		{name: "electra_choice", class: "ElectraForMultipleChoice"},
		{name: "bert_qa", class: "BertForQuestionAnswering"},
		{name: "bert_choice", edits: []string{class, noClass}, class: "BertForMultipleChoice"},
		{name: "bert_qa", edits: []string{class, noClass}, class: "BertForQuestionAnswering"},
		{name: "roberta_choice", edits: []string{class, noClass}, class: "RobertaForMultipleChoice"},
		{name: "roberta_choice", edits: []string{class, noClass, noTask, seqCls}, class: "RobertaForMultipleChoice"},
		{name: "xlm_roberta_choice", edits: []string{class, noClass, noTask, seqCls}, class: "XLMRobertaForMultipleChoice"},
		{name: "electra_choice", edits: []string{class, noClass, noTask, seqCls}, class: "ElectraForMultipleChoice"},
		{name: "roberta_token_cls", edits: []string{`"TOKEN_CLS"`, "null"}, class: "RobertaForTokenClassification"},
		{name: "roberta_seq_cls", edits: []string{`"SEQ_CLS"`, "null"}, class: "RobertaForSequenceClassification"},
		{name: "bert_choice", edits: []string{class, noClass, noTask, seqCls},
			class: "BertForSequenceClassification", warns: true},
		{name: "bert_choice", edits: []string{class, noClass, noTask, seqCls}, args: []string{"--problem-type=regression"},
			class: "BertForSequenceClassification"},
		{name: "bert_choice", edits: []string{class, noClass, noTask, seqCls}, args: []string{"--task=multiple-choice"},
			class: "BertForMultipleChoice"},
		{name: "distilbert_choice", edits: []string{class, noClass, noTask, seqCls},
			args: []string{"--task=multiple-choice"}, class: "DistilBertForMultipleChoice"},
		{name: "bert_token_cls", edits: []string{`"TOKEN_CLS"`, "null"}, args: []string{"--task=token-cls"},
			class: "BertForTokenClassification"},
		{name: "bert_features", edits: []string{`"FEATURE_EXTRACTION"`, "null"},
			args: []string{"--task=embed"}, class: "BertModel"},
		{name: both + "t5_seq_cls", class: "T5ForSequenceClassification"},
		{name: both + "t5_seq_cls", edits: []string{`"SEQ_CLS"`, "null"}, class: "T5ForSequenceClassification"},
		{name: both + "t5_seq_cls_frozen", class: "T5ForSequenceClassification"},
		{name: both + "mt5_seq_cls", class: "MT5ForSequenceClassification"},
		{name: both + "bart_seq_cls", edits: []string{`"SEQ_CLS"`, "null"}, class: "BartForSequenceClassification"},
		{name: both + "mbart_seq_cls", class: "MBartForSequenceClassification"},
		{name: both + "t5_token_cls", class: "T5ForTokenClassification"},
		{name: both + "t5_qa", class: "T5ForQuestionAnswering"},
		{name: both + "bart_qa", edits: []string{`"QUESTION_ANS"`, "null"}, class: "BartForQuestionAnswering"},
		{name: both + "t5_features", class: "T5EncoderModel"},
		{name: both + "mt5_features", class: "MT5EncoderModel"},
		{name: both + "bart_features", class: "BartModel"},
		{name: both + "mbart_features", class: "MBartModel"},
	} {
		t.Run(x.name+strings.Join(append(x.edits, x.args...), " "), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			r := clitest.OK(t, adapter.Command, append(encoderArgs(t, x.name, out, x.edits...), x.args...)...)
			if config := clitest.Read(t, filepath.Join(out, "config.json")); !strings.Contains(config, `"`+x.class+`"`) {
				t.Errorf("not a %s: %s", x.class, config)
			}
			if warns := strings.Contains(r.Err, "--task multiple-choice"); warns != x.warns {
				t.Errorf("a warning: %v, want %v\n%s", warns, x.warns, r.Err)
			}
		})
	}
}

// TestMergeTaskRefused gives a --task that the adapter contradicts, or that there is not.
func TestMergeTaskRefused(t *testing.T) {
	for _, x := range []struct{ name, task, want string }{
		{"bert_choice", "seq-cls", "the adapter was made for multiple choice, not for sequence classification"},
		{"bert_seq_cls", "token-cls", "the adapter is for SEQ_CLS, not for token classification (TOKEN_CLS)"},
		{"bert_token_cls", "multiple-choice", "the adapter is for TOKEN_CLS, not for multiple choice"},
		{"bert_seq_cls", "seqcls", "want one of seq-cls, token-cls, question-answering, multiple-choice, embed, causal-lm"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		clitest.Run(t, adapter.Command, append(encoderArgs(t, x.name, out), "--quiet", "--task", x.task)...).Refused(t,
			cli.Usage, "--task", x.task, x.want)
		if _, err := os.Stat(out); err == nil {
			t.Error("something was written")
		}
	}
}

// TestMergeTaskByHead merges an adapter of a token classifier that says nothing, on a base that is a language model: no
// other head of GPT-2 is called classifier.
func TestMergeTaskByHead(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	args := encoderArgs(t, filepath.Join("..", "causal_heads", "gpt2_token_cls"), out, `"TOKEN_CLS"`, "null")
	config := filepath.Join(args[2], "config.json")
	text := strings.Replace(clitest.Read(t, config), "GPT2ForTokenClassification", "GPT2LMHeadModel", 1)
	clitest.Write(t, config, text)
	clitest.OK(t, adapter.Command, args...)
	if got := clitest.Read(t, filepath.Join(out, "config.json")); !strings.Contains(got, `"GPT2ForTokenClassification"`) {
		t.Errorf("not a token classifier: %s", got)
	}
}
