package embed_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// scoredPairs and barePairs are texts of the small fixture's vocabulary, or nearly.
const (
	scoredPairs = "sentence1,sentence2,score\na b,a c,5\nd e f,g h,0.5\ni j,i,4\nk,l m n,1\no p,p o,4.5\nq r,s t,0\n"
	barePairs   = `{"anchor":"a b","positive":"a c"}` + "\n" + `{"anchor":"d e f","positive":"f e"}` + "\n" +
		`{"anchor":"i j","positive":"i"}` + "\n" + `{"anchor":"k","positive":"k m n"}` + "\n"
)

// embedArgs trains the small model on pairs for a few steps.
func embedArgs(t *testing.T, pairs, name string, args ...string) []string {
	t.Helper()
	file := clitest.Write(t, filepath.Join(t.TempDir(), name), pairs)
	return append([]string{"embed", "--quiet", "--model", clitest.Small(t).Path("base"), "--train-file",
		file, "--max-steps=4", "--batch-size=3"}, args...)
}

// TestFinetuneOutput looks at the files that a run with each loss leaves.
func TestFinetuneOutput(t *testing.T) {
	for _, x := range []struct{ name, pairs, loss, flag, main string }{
		{"train.csv", scoredPairs, "cosine", "--max-score=5", "spearman"},
		{"train.jsonl", barePairs, "multiple_negatives", "--similarity-scale=10", "accuracy"},
	} {
		t.Run(x.loss, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := embedArgs(t, x.pairs, x.name, "--output-dir", out, x.flag, "--pooling=cls", "--eval-steps=2")
			args = append(args, "--eval-file", args[5], "--test-file", args[5])
			r := clitest.OK(t, finetune.Command, args...)
			for _, want := range []string{"adapter_config.json", "adapter_model.safetensors", "metrics.jsonl",
				"pooling.json", "results.json"} {
				if !slices.Contains(clitest.Names(t, out), want) {
					t.Errorf("the directory has no %s", want)
				}
			}
			if slices.Contains(clitest.Names(t, out), "labels.json") {
				t.Error("there are labels")
			}
			var config map[string]any
			if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "adapter_config.json"))), &config); err != nil {
				t.Fatal(err)
			}
			if config["task_type"] != "FEATURE_EXTRACTION" || config["modules_to_save"] != nil {
				t.Errorf("task_type %v, modules_to_save %v", config["task_type"], config["modules_to_save"])
			}
			if got := clitest.Read(t, filepath.Join(out, "pooling.json")); got != "{\"pooling_mode\":\"cls\"}\n" {
				t.Errorf("pooling.json is %s", got)
			}
			for _, want := range []string{"before training: test, ", "best evaluation", x.main + " ", "trained 4 steps"} {
				if !strings.Contains(r.Out, want) {
					t.Errorf("standard output lacks %q:\n%s", want, r.Out)
				}
			}
			if got := clitest.Metrics(t, out); strings.Count(got, "grad_norm") != 4 || strings.Count(got, "eval_"+x.main) != 2 {
				t.Errorf("metrics.jsonl is\n%s", got)
			}
		})
	}
}

// TestFinetuneLearns is the smoke test: the loss of a few pairs goes down.
func TestFinetuneLearns(t *testing.T) {
	for _, x := range []struct{ name, pairs, flag string }{{"train.csv", scoredPairs, "--max-score=5"},
		{"train.jsonl", barePairs, "--similarity-scale=20"}} {
		out := filepath.Join(t.TempDir(), "out")
		clitest.OK(t, finetune.Command, embedArgs(t, x.pairs, x.name, "--output-dir", out, x.flag, "--max-steps=40",
			"--batch-size=6", "--learning-rate=0.02",
			"--target-modules=all-linear", "--lora-r=16", "--lora-alpha=32", "--dropout=0")...)
		steps := clitest.Lines[clitest.Step](t, clitest.Read(t, filepath.Join(out, "metrics.jsonl")))
		if first, last := steps[0].Loss, steps[len(steps)-1].Loss; !(last < first/4) {
			t.Errorf("%s: the loss goes from %v to %v", x.name, first, last)
		}
	}
}

// TestFinetuneResume continues from a checkpoint to the same bytes, and refuses other settings.
func TestFinetuneResume(t *testing.T) {
	args := embedArgs(t, barePairs, "train.jsonl", "--dropout=0.1", "--gradient-accumulation-steps=2", "--batch-size=2",
		"--save-steps=1", "--keep-checkpoints=0")
	whole, other := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "other")
	clitest.OK(t, finetune.Command, append(args, "--output-dir", whole)...)
	clitest.OK(t, finetune.Command, append(args, "--output-dir", other, "--threads=1", "--resume-from-checkpoint",
		filepath.Join(whole, "checkpoint-2"))...)
	for _, name := range []string{"adapter_model.safetensors", "adapter_config.json", "pooling.json"} {
		if clitest.Read(t, filepath.Join(other, name)) != clitest.Read(t, filepath.Join(whole, name)) {
			t.Errorf("%s has other bytes than that of the run without a stop", name)
		}
	}
	for _, change := range []struct{ flag, want string }{
		{"--pooling=cls", "pooling"}, {"--similarity-scale=5", "similarity_scale"}, {"--max-length=9", "max_length"},
		{"--max-train-samples=3", "training data"},
	} {
		r := clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", whole, change.flag)...)
		if r.Code != cli.Usage || !strings.Contains(r.Err, change.want) {
			t.Errorf("%s: exit code %d, want 2 and %q\n%s", change.flag, r.Code, change.want, r.Err)
		}
	}
}

// TestFinetuneAlias runs under PEFT's name, from an adapter with its pooling.
func TestFinetuneAlias(t *testing.T) {
	first := filepath.Join(t.TempDir(), "first")
	clitest.OK(t, finetune.Command, embedArgs(t, scoredPairs, "train.csv", "--output-dir", first, "--max-score=5",
		"--pooling=cls")...)
	args := embedArgs(t, scoredPairs, "train.csv", "--max-score=5", "--adapter", first)
	args[0] = "feature-extraction"
	second := filepath.Join(t.TempDir(), "second")
	clitest.OK(t, finetune.Command, append(args, "--output-dir", second)...)
	if got := clitest.Read(t, filepath.Join(second, "pooling.json")); !strings.Contains(got, "cls") {
		t.Errorf("pooling.json is %s", got)
	}
	clitest.Run(t, finetune.Command, append(args, "--pooling=mean", "--output-dir",
		filepath.Join(t.TempDir(), "third"))...).Refused(t, cli.Usage, "--pooling is mean, but the adapter",
		"was trained with cls")
}

// TestFinetuneWrong gives flags and files that have no meaning.
func TestFinetuneWrong(t *testing.T) {
	single, names := "text\na\nb\n", "sentence1,sentence2,label\na,b,same\nc,d,other\n"
	for _, x := range []struct {
		name, pairs, args string
		code              int
		want              string
	}{
		{
			"train.csv", scoredPairs, "", cli.BadInput,
			"the score 5 is above 1, that of texts that mean the same; say with --max-score",
		},
		{
			"train.csv", scoredPairs, "--loss ranking", cli.Usage,
			`--loss: the loss is "ranking"; want cosine or multiple_negatives`,
		},
		{"train.csv", scoredPairs, "--pooling top", cli.Usage, `--pooling: pooling is "top"; want mean, cls, max`},
		{
			"train.csv", scoredPairs, "--max-score 5 --prompt a --prompt-name b", cli.Usage,
			"--prompt and --prompt-name exclude each other",
		},
		{"train.csv", scoredPairs, "--max-score 5 --prompt-name b", cli.Usage, `--prompt-name is "b"; want one of document`},
		{"train.csv", scoredPairs, "--max-score 0", cli.Usage, "--max-score is 0; want more than 0"},
		{"train.csv", scoredPairs, "--similarity-scale -1", cli.Usage, "--similarity-scale is -1"},
		{"train.csv", scoredPairs, "--label-column grade", cli.BadInput, `--label-column: there is no column "grade"`},
		{"train.csv", scoredPairs, "--text-column a", cli.BadInput, `--text-column: there is no column "a"`},
		{"train.csv", scoredPairs, "--max-score 5 --max-length 1", cli.Usage, "--max-length is 1"},
		{
			"train.csv", scoredPairs, "--max-score 5 --metric-for-best-model accuracy --validation-split 0.5", cli.Usage,
			`--metric-for-best-model is "accuracy"; want one of spearman`,
		},
		{
			"train.jsonl", barePairs, "--batch-size 1", cli.Usage,
			"--batch-size is 1, but the loss multiple_negatives compares the pairs of a batch",
		},
		{
			"train.jsonl", barePairs, "--modules-to-save pooler", cli.Usage,
			"trains base_model.model.pooler.dense.weight, but sentence embeddings are made without the pooler",
		},
		{
			"train.jsonl", barePairs, "--target-modules pooler.dense", cli.Usage,
			"sentence embeddings are made without the pooler",
		},
		{"train.csv", "", "", cli.BadInput, "the file is empty"},
		{"train.csv", single, "", cli.BadInput, "train.csv:2: the row is a single text"},
		{"train.csv", names, "", cli.BadInput, `"same"`},
		{"train.jsonl", barePairs, "--loss cosine", cli.BadInput, "the pairs have no scores, which the loss cosine needs"},
		{
			"train.csv", scoredPairs, "--max-score 5 --similarity-scale 10", cli.Usage,
			"--similarity-scale is for the loss multiple_negatives, not for cosine",
		},
		{
			"train.jsonl", barePairs, "--max-score 5", cli.Usage, "--max-score is for pairs with scores, but the data have none",
		},
		{"train.jsonl", barePairs, "--test-file none.jsonl", cli.BadInput, "none.jsonl: there is no such file"},
	} {
		t.Run(x.args+" "+x.want, func(t *testing.T) {
			parent := t.TempDir()
			args := append(embedArgs(t, x.pairs, x.name, "--output-dir", filepath.Join(parent, "out")),
				strings.Fields(x.args)...)
			clitest.Run(t, finetune.Command, args...).Refused(t, x.code, x.want)
			clitest.NothingIn(t, parent)
		})
	}
	half := strings.Replace(scoredPairs, "4.5", "", 1)
	for _, more := range []string{"--max-score=5", "--loss=multiple_negatives", "--max-train-samples=2"} {
		clitest.Run(t, finetune.Command, embedArgs(t, half, "train.csv", more)...).Refused(t, cli.BadInput,
			"train.csv:6: the pair has no score, but that of line 2 has")
	}
	late := strings.SplitAfter(barePairs, "\n")[0] + `{"anchor":"k","positive":"l","score":1}`
	clitest.Run(t, finetune.Command, embedArgs(t, late, "train.jsonl")...).Refused(t, cli.BadInput,
		"train.jsonl:1: the pair has no score, but that of line 2 has")
	two := "sentence1,sentence2,category,class\na,b,x,y\n"
	clitest.Run(t, finetune.Command, embedArgs(t, two, "train.csv")...).Refused(t, cli.BadInput,
		`train.csv:1: the label may be "category" or "class"; say which with --label-column`)
	clitest.Run(t, finetune.Command, "embed", "--text-column", "x").Refused(t, cli.Usage,
		"--text-column needs --train-file")
	gpt := filepath.Join(clitest.Testdata, "..", "embedded", "gpt")
	clitest.Run(t, finetune.Command, embedArgs(t, barePairs, "train.jsonl", "--model", gpt)...).Refused(t,
		cli.BadInput, `there is no feature-extraction head for model_type "gpt2"`)
}

// TestFinetuneSentenceEncoder trains a checkpoint with files of sentence-transformers: one with a module that makes
// other vectors is refused, and the length of texts is the one that they say.
func TestFinetuneSentenceEncoder(t *testing.T) {
	model, parent := clitest.CopyDir(t, clitest.Small(t).Path("base")), t.TempDir()
	args := append(embedArgs(t, barePairs, "train.jsonl"), "--model", model, "--output-dir", filepath.Join(parent, "out"))
	const types = `[{"type":"sentence_transformers.models.Transformer","path":""},` +
		`{"type":"sentence_transformers.models.Pooling","path":"1_Pooling"}`
	clitest.Write(t, filepath.Join(model, "modules.json"),
		types+`,{"type":"sentence_transformers.models.LayerNorm","path":"2_LayerNorm"}]`)
	clitest.Run(t, finetune.Command, args...).Refused(t, cli.BadInput,
		"modules.json: the module sentence_transformers.models.LayerNorm is not supported")
	clitest.NothingIn(t, parent)
	clitest.Write(t, filepath.Join(model, "modules.json"), types+"]")
	clitest.Write(t, filepath.Join(model, "1_Pooling", "config.json"), `{"pooling_mode_mean_tokens":true}`)
	clitest.Write(t, filepath.Join(model, "sentence_bert_config.json"), `{"max_seq_length":4}`)
	if r := clitest.OK(t, finetune.Command, args...); !strings.Contains(r.Err,
		"of 8 texts are longer than 4 tokens and were cut") {
		t.Errorf("max_seq_length is not followed:\n%s", r.Err)
	}
}

// TestFinetunePairAlone has a last batch of one pair, and warns once that nothing is learned from it.
func TestFinetunePairAlone(t *testing.T) {
	const want = "a batch has one pair only"
	args := embedArgs(t, barePairs, "train.jsonl", "--output-dir", filepath.Join(t.TempDir(), "out"))
	if r := clitest.OK(t, finetune.Command, args...); strings.Count(r.Err, want) != 1 {
		t.Errorf("four pairs in batches of three, twice:\n%s", r.Err)
	}
	if r := clitest.OK(t, finetune.Command, append(args, "--batch-size=2", "--overwrite")...); strings.Contains(r.Err,
		want) {
		t.Errorf("four pairs in batches of two:\n%s", r.Err)
	}
	scored := embedArgs(t, scoredPairs, "train.csv", "--max-score=5", "--batch-size=1", "--output-dir",
		filepath.Join(t.TempDir(), "out"))
	if r := clitest.OK(t, finetune.Command, scored...); strings.Contains(r.Err, want) {
		t.Errorf("the loss cosine needs no other pair:\n%s", r.Err)
	}
}

// TestFinetuneScoreWins learns from a score among other columns that may be labels.
func TestFinetuneScoreWins(t *testing.T) {
	pairs := "category,label," + strings.ReplaceAll(strings.TrimSpace(scoredPairs), "\n", "\nx,y,") + "\n"
	out := filepath.Join(t.TempDir(), "out")
	args := slices.DeleteFunc(embedArgs(t, pairs, "train.csv", "--max-score=5", "--output-dir", out), func(a string) bool {
		return a == "--quiet"
	})
	if r := clitest.OK(t, finetune.Command, args...); !strings.Contains(r.Err, "6 pairs to train on; loss cosine") {
		t.Errorf("the scores are not learned:\n%s", r.Err)
	}
}

// TestFinetuneScoresNotUsed trains on scored pairs as if all belonged together, and says so.
func TestFinetuneScoresNotUsed(t *testing.T) {
	args := slices.DeleteFunc(embedArgs(t, scoredPairs, "train.csv", "--loss=multiple_negatives", "--output-dir",
		filepath.Join(t.TempDir(), "out")), func(a string) bool { return a == "--quiet" })
	if r := clitest.OK(t, finetune.Command, args...); !strings.Contains(r.Err,
		"the scores are not used by --loss multiple_negatives") {
		t.Errorf("nothing is said about the scores:\n%s", r.Err)
	}
}

// TestSplitOfNumbers holds out the share that was asked for where targets are integers, of which no two or many are
// equal.
func TestSplitOfNumbers(t *testing.T) {
	different, equal := "sentence1,sentence2,score\n", "sentence1,sentence2,score\n"
	for i := range 20 {
		different += fmt.Sprintf("a b %c,d,%d\n", 'a'+i, i)
		equal += fmt.Sprintf("a b %c,d,%d\n", 'a'+i, i/2)
	}
	for _, pairs := range []string{different, equal} {
		for _, task := range [][]string{{"embed", "--max-score=20"}, {"seq-cls", "--problem-type=regression"}} {
			args := embedArgs(t, pairs, "train.csv", "--validation-split=0.2", "--output-dir", filepath.Join(t.TempDir(), "out"))
			args = slices.DeleteFunc(append(args, task[1]), func(a string) bool { return a == "--quiet" })
			args[0] = task[0]
			if r := clitest.OK(t, finetune.Command, args...); !strings.Contains(r.Err,
				"16 "+map[string]string{"embed": "pairs", "seq-cls": "rows"}[task[0]]+" to train on, 4 to evaluate on") {
				t.Errorf("%s:\n%s", task[0], r.Err)
			}
		}
	}
}
