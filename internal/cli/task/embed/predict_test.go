package embed_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/golden"
)

type row struct {
	Embedding  []float32
	Similarity *float64
}

func smallModel() string { return filepath.Join(clitest.Testdata, "bert", "query_value", "base") }

// TestPredictEqualsPEFT compares vectors of the embedded model with those of PyTorch, without an adapter and with one
// of PEFT.
func TestPredictEqualsPEFT(t *testing.T) {
	dir := filepath.Join(clitest.Testdata, "embedding", "cosine")
	expected := golden.Open(t, filepath.Join(dir, "expected.safetensors"))
	var texts []string
	for _, row := range clitest.Lines[struct{ Sentence1, Sentence2 string }](t,
		clitest.Read(t, filepath.Join(dir, "train.jsonl")))[:4] {
		texts = append(texts, row.Sentence1, row.Sentence2)
	}
	input := strings.Join(texts, "\n") + "\n"
	for part, args := range map[string][]string{"base.vectors": {},
		"final.vectors": {"--adapter", filepath.Join(dir, "adapter_final"), "--allow-other-base"}} {
		r := clitest.RunWith(t, t.Context(), input, predict.Command,
			append([]string{"embed", "--quiet", "--normalize=false", "--tokens-per-batch=40"}, args...)...)
		if r.Code != cli.Done {
			t.Fatal(r.Err)
		}
		var got []float32
		for _, row := range clitest.Lines[row](t, r.Out) {
			got = append(got, row.Embedding...)
		}
		if d := golden.MaxRel(got, expected.Float32(part)); !(d <= 1e-4) {
			t.Errorf("%s: off by %.2g of the largest", part, d)
		}
	}
}

// TestPredictFormats writes the same vectors as JSON Lines and as an array of NumPy.
func TestPredictFormats(t *testing.T) {
	args := []string{"embed", "--quiet", "--model", smallModel(), "--text", "a b c", "--text", "d", "--normalize"}
	rows := clitest.Lines[row](t, clitest.OK(t, predict.Command, args...).Out)
	out := filepath.Join(t.TempDir(), "v.npy")
	clitest.OK(t, predict.Command, append(args, "--output-format=npy", "--output", out)...)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	width := len(rows[0].Embedding)
	end := 10 + int(binary.LittleEndian.Uint16(text[8:]))
	if !strings.HasPrefix(string(text), "\x93NUMPY\x01\x00") || end%64 != 0 || text[end-1] != '\n' ||
		!strings.Contains(string(text[:end]), "'descr': '<f4', 'fortran_order': False, 'shape': (2, ") ||
		len(text) != end+8*width {
		t.Fatalf("%d bytes, header %q", len(text), text[:end])
	}
	for i, row := range rows {
		norm := 0.0
		for j, v := range row.Embedding {
			norm += float64(v) * float64(v)
			if got := math.Float32frombits(binary.LittleEndian.Uint32(text[end+4*(i*width+j):])); got != v {
				t.Fatalf("value %d of text %d is %g, in JSON %g", j, i, got, v)
			}
		}
		if math.Abs(norm-1) > 1e-5 {
			t.Errorf("vector %d has the length %g", i, math.Sqrt(norm))
		}
	}
}

// TestPredictBatches computes the same bits whatever is computed at once.
func TestPredictBatches(t *testing.T) {
	input := clitest.Write(t, filepath.Join(t.TempDir(), "texts.txt"), "a b c\nd\ne f g h i j k l m n o p\nq r s\n\nt\n")
	args := []string{"embed", "--quiet", "--model", smallModel(), "--input", input}
	want := clitest.OK(t, predict.Command, args...).Out
	if n := strings.Count(want, "\n"); n != 6 {
		t.Errorf("%d rows", n)
	}
	for _, more := range [][]string{{"--tokens-per-batch=1"}, {"--tokens-per-batch=9", "--threads=1"}} {
		if got := clitest.OK(t, predict.Command, append(args, more...)...).Out; got != want {
			t.Errorf("%v: other vectors", more)
		}
	}
}

// TestPredictPairs writes similarities, and correlations where there are scores.
func TestPredictPairs(t *testing.T) {
	dir := t.TempDir()
	input := clitest.Write(t, filepath.Join(dir, "pairs.csv"),
		"sentence1,sentence2,score\na b,a b,5\nc,d e f,1\ng h,i,2\n")
	metrics := filepath.Join(dir, "metrics.json")
	r := clitest.OK(t, predict.Command, "embed", "--model", smallModel(), "--input", input, "--max-score=5",
		"--metrics-file", metrics)
	rows := clitest.Lines[row](t, r.Out)
	if len(rows) != 3 || rows[0].Similarity == nil || math.Abs(*rows[0].Similarity-1) > 1e-6 || rows[1].Embedding != nil {
		t.Errorf("%s", r.Out)
	}
	if text := clitest.Read(t, metrics); !strings.Contains(text, `"spearman"`) ||
		!strings.Contains(r.Err, "3 labelled rows: spearman") {
		t.Errorf("metrics %s\n%s", text, r.Err)
	}
	one := clitest.Lines[row](t, clitest.OK(t, predict.Command, "embed", "--quiet", "--model", smallModel(),
		"--text", "c", "--text-pair", "d e f").Out)
	if *one[0].Similarity != *rows[1].Similarity {
		t.Errorf("similarity %v, in a file %v", *one[0].Similarity, *rows[1].Similarity)
	}
}

// TestPredictPooling takes the pooling from sentence-transformers' files or from the adapter.
func TestPredictPooling(t *testing.T) {
	run := func(model string, args ...string) string {
		t.Helper()
		return clitest.OK(t, predict.Command, append([]string{"embed", "--quiet", "--model", model, "--text", "a b c d"},
			args...)...).Out
	}
	mean, cls := run(smallModel(), "--pooling=mean"), run(smallModel(), "--pooling=cls")
	if mean == cls || run(smallModel()) != mean {
		t.Error("the pooling makes no difference")
	}
	model := clitest.CopyDir(t, smallModel())
	clitest.Write(t, filepath.Join(model, "1_Pooling", "config.json"),
		`{"word_embedding_dimension":32,"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}`)
	if run(model) != cls || run(model, "--pooling=mean") != mean {
		t.Error("1_Pooling/config.json is not followed")
	}
	clitest.Write(t, filepath.Join(model, "modules.json"), `[{"idx":0,"type":"sentence_transformers.models.Transformer"},`+
		`{"idx":2,"type":"sentence_transformers.models.Normalize"}]`)
	if got := run(model); got == cls || got != run(smallModel(), "--pooling=cls", "--normalize") ||
		run(model, "--normalize=false") != cls {
		t.Error("modules.json is not followed")
	}
	for config, want := range map[string]string{
		`{"pooling_mode":["max","attention"]}`: "the pooling max,attention is not supported",
		`{"pooling_mode":"last"}`:              "last", `{}`: "it names no pooling", `[`: "1_Pooling",
	} {
		clitest.Write(t, filepath.Join(model, "1_Pooling", "config.json"), config)
		clitest.Run(t, predict.Command, "embed", "--quiet", "--model", model, "--text", "a").Refused(t, cli.BadInput, want)
	}
}

// TestPredictSentenceEncoder follows the files of sentence-transformers, and refuses modules that it does not compute.
func TestPredictSentenceEncoder(t *testing.T) {
	model := clitest.CopyDir(t, smallModel())
	command := func(args ...string) []string {
		return append([]string{"embed", "--quiet", "--model", model, "--text", "a b c d e f"}, args...)
	}
	write := func(name, text string) { t.Helper(); clitest.Write(t, filepath.Join(model, name), text) }
	plain, cls := clitest.OK(t, predict.Command, command()...).Out,
		clitest.OK(t, predict.Command, command("--pooling=cls", "--max-length=5")...).Out
	const transformer = `{"type":"sentence_transformers.models.Transformer","path":""}`
	write("modules.json", "["+transformer+`,{"type":"sentence_transformers.models.Pooling","path":"3_Pooling"}]`)
	clitest.Run(t, predict.Command, command()...).Refused(t, cli.BadInput, filepath.Join("3_Pooling", "config.json"),
		"modules.json names it", "--pooling")
	if got := clitest.OK(t, predict.Command, command("--pooling=mean")...).Out; got != plain {
		t.Error("--pooling does not replace the file")
	}
	write("1_Pooling/config.json", `{"pooling_mode_mean_tokens":true}`)
	write("3_Pooling/config.json", `{"pooling_mode_cls_token":true}`)
	write("sentence_bert_config.json", `{"max_seq_length":5}`)
	if r := clitest.OK(t, predict.Command, command()...); r.Out != cls ||
		!strings.Contains(r.Err, "1 of 1 texts are longer than 5 tokens") {
		t.Errorf("3_Pooling or max_seq_length is not followed:\n%s", r.Err)
	}
	if r := clitest.OK(t, predict.Command, command("--pooling=mean", "--max-length=40")...); r.Out != plain {
		t.Error("--max-length does not win over max_seq_length")
	}
	write("sentence_bert_config.json", `{"max_seq_length":100000}`) // more than there are positions
	if r := clitest.OK(t, predict.Command, command("--pooling=mean")...); r.Out != plain {
		t.Error("a large max_seq_length cuts texts")
	}
	write("sentence_bert_config.json", `{"max_seq_length":0}`)
	clitest.Run(t, predict.Command, command()...).Refused(t, cli.BadInput, "max_seq_length is 0")
	write("sentence_bert_config.json", `{}`)
	const norm = "sentence_transformers.models.LayerNorm"
	for modules, want := range map[string]string{
		transformer + `,{"type":"sentence_transformers.models.Pooling","path":"1_Pooling"},` +
			`{"type":"` + norm + `","path":"2_LayerNorm"}`: "the module " + norm + " is not supported",
		`{"type":"custom_st.Transformer"}`: "the module custom_st.Transformer is not supported",
		`{"type":"sentence_transformers.models.Normalize"},` +
			transformer: "models.Transformer is out of order",
		transformer + `,{"type":"sentence_transformers.models.Pooling","path":"../other/1_Pooling"}`: "not in this directory",
	} {
		write("modules.json", "["+modules+"]")
		clitest.Run(t, predict.Command, command("--pooling=mean")...).Refused(t, cli.BadInput, "modules.json: ", want)
	}
}

// TestPredictWrong gives flags and inputs that have no meaning.
func TestPredictWrong(t *testing.T) {
	dir := t.TempDir()
	pairs := clitest.Write(t, filepath.Join(dir, "pairs.csv"), "sentence1,sentence2,score\na,b,5\nc,d,2\n")
	bare := clitest.Write(t, filepath.Join(dir, "bare.csv"), "sentence1,sentence2\na,b\n")
	late := clitest.Write(t, filepath.Join(dir, "late.jsonl"),
		"{\"anchor\":\"a\",\"positive\":\"b\"}\n{\"anchor\":\"a\",\"positive\":\"b\",\"score\":1}\n")
	texts := clitest.Write(t, filepath.Join(dir, "texts.csv"), "text\na\n")
	for _, x := range []struct {
		args string
		code int
		want string
	}{
		{"--text a --pooling last", cli.Usage, `pooling is "last"`},
		{"--text a --prompt b --prompt-name c", cli.Usage, "--prompt and --prompt-name exclude each other"},
		{"--text a --prompt-name c", cli.Usage, `--prompt-name is "c"; want one of document, query`},
		{"--text a --output-format csv", cli.Usage, `--output-format is "csv"`},
		{"--text a --text-pair b --output-format npy", cli.Usage, "npy is for vectors of texts"},
		{"--text a --metrics-file m.json", cli.Usage, "--metrics-file needs"},
		{"--text a --max-length 1", cli.Usage, "--max-length is 1"},
		{"--text a --max-score 0", cli.Usage, "--max-score is 0; want more than 0"},
		{"--text a --max-score 5", cli.Usage, "--max-score needs an input of pairs with scores"},
		{"--input " + pairs + " --no-labels --max-score 5", cli.Usage, "--max-score needs an input of pairs with scores"},
		{"--input " + bare + " --max-score 5", cli.Usage, "--max-score is for pairs with scores, but " + bare + " has none"},
		{"--text a --allow-other-base", cli.Usage, "--allow-other-base needs --adapter"},
		{"--text a --adapter none", cli.BadInput, "there is no such directory"},
		{
			"--text a --adapter " + filepath.Join(clitest.Testdata, "bert", "query_value", "adapter_final"), cli.BadInput,
			"SEQ_CLS",
		},
		{"--input " + texts + " --metrics-file " + dir + "/m.json", cli.BadInput, "the rows are single texts"},
		{"--input " + bare + " --metrics-file " + dir + "/m.json", cli.BadInput, "no pair has a score"},
		{"--input " + pairs, cli.BadInput, "pairs.csv:2: the score 5 is above 1"},
		{"--input " + pairs + " --label-column x", cli.BadInput, `there is no column "x"`},
		{"--input " + late, cli.BadInput, "late.jsonl:1: the pair has no score, but that of line 2 has"},
		{"--input " + pairs + " --no-labels --label-column score", cli.Usage, "--no-labels excludes --label-column"},
		{"--input " + dir + "/none.txt", cli.BadInput, "there is no such file"},
	} {
		t.Run(x.args, func(t *testing.T) {
			clitest.Run(t, predict.Command, append([]string{"embed", "--quiet", "--model", smallModel()},
				strings.Fields(x.args)...)...).Refused(t, x.code, x.want)
		})
	}
	if r := clitest.OK(t, predict.Command, "embed", "--quiet", "--model", smallModel(), "--input", pairs,
		"--no-labels"); strings.Count(r.Out, "similarity") != 2 {
		t.Errorf("%s", r.Out)
	}
}
