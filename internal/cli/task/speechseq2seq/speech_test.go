package speechseq2seq_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/tasktest"
)

// row is a line of the output.
type row struct {
	Audio    string      `json:"audio"`
	Text     string      `json:"text"`
	Tokens   []int32     `json:"tokens"`
	Duration float64     `json:"duration"`
	Language string      `json:"language"`
	IDs      []int32     `json:"ids"`
	Logits   [][]float32 `json:"logits"`
	Features [][]float32 `json:"features"`
	Segments []struct {
		Start, End  float64
		Text        string
		Tokens      []int32
		Temperature float64
	} `json:"segments"`
}

func recording(name string) string { return filepath.Join(clitest.Testdata, "speech_task", name) }

// flags returns the flags of predictions with the small Whisper.
func flags(t *testing.T, more ...string) []string {
	t.Helper()
	model := tasktest.SmallWhisper(t, filepath.Dir(clitest.Testdata))
	return append([]string{"speech-seq2seq", "--quiet", "--model", model, "--language=de", "--task=transcribe"}, more...)
}

// TestEmbeddedDigits: no speaker is trained on and tested on, and transcripts are figures with spaces.
func TestEmbeddedDigits(t *testing.T) {
	train, test := embedded.FSDD()
	for i, x := range []int{135, 30} {
		files := train
		if i == 1 {
			files = test
		}
		f, err := speech.ReadFS(files, "fsdd", speech.Options{})
		if err != nil || f.Len() == 0 || f.Len() > x {
			t.Fatalf("%v rows, want at most %d (%v)", f.Len(), x, err)
		}
		for r := range f.Values() {
			if strings.Trim(r.Text, "0123456789 ") != "" || strings.Contains(r.Text, "  ") {
				t.Errorf("transcript %q", r.Text)
			}
		}
	}
}

// TestEmbeddedDefault runs a step without files.
func TestEmbeddedDefault(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := clitest.OK(t, finetune.Command, "speech-seq2seq", "--quiet", "--max-steps=1", "--batch-size=1",
		"--audio-context=2", "--generation-max-length=2", "--output-dir", out)
	for _, text := range []string{"before training: test, 30 rows: wer ", "after training: ", "adapter: " + out} {
		if !strings.Contains(r.Out, text) {
			t.Errorf("standard output lacks %q:\n%s", text, r.Out)
		}
	}
	config := clitest.Read(t, filepath.Join(out, "adapter_config.json"))
	for _, text := range []string{embedded.WhisperName, `"task_type": null`, "q_proj"} {
		if !strings.Contains(config, text) {
			t.Errorf("adapter_config.json lacks %q:\n%s", text, config)
		}
	}
}

// TestPredict writes transcripts of files and rows in all forms.
func TestPredict(t *testing.T) {
	args := flags(t, "--max-new-tokens=5")
	one := clitest.Lines[row](t, clitest.OK(t, predict.Command, append(args, "--input", recording("1.wav"))...).Out)
	if len(one) != 1 || len(one[0].Tokens) != 5 || one[0].Duration != 1 || one[0].Language != "de" ||
		one[0].Segments != nil {
		t.Fatalf("%+v", one)
	}
	scores := filepath.Join(t.TempDir(), "metrics.json")
	list := clitest.Lines[row](t, clitest.OK(t, predict.Command,
		append(args, "--input", recording("rows.jsonl"), "--metrics-file", scores)...).Out)
	if len(list) != 6 || list[0].Text != one[0].Text || list[0].Audio != "1.wav" {
		t.Errorf("%+v", list)
	}
	if text := clitest.Read(t, scores); !strings.Contains(text, `"wer"`) || !strings.Contains(text, `"perplexity"`) {
		t.Errorf("metrics %s", text)
	}
	many := clitest.Lines[row](t, clitest.OK(t, predict.Command,
		append(args, "--input", recording("4.wav"), recording("1.wav"))...).Out)
	if len(many) != 2 || !slices.Equal(many[1].Tokens, one[0].Tokens) || !slices.Equal(many[0].Tokens, list[3].Tokens) ||
		slices.Equal(many[0].Tokens, many[1].Tokens) || filepath.Base(many[0].Audio) != "4.wav" {
		t.Errorf("%+v", many)
	}
	timed := clitest.Lines[row](t, clitest.OK(t, predict.Command,
		append(args, "--input", recording("1.wav"), "--return-timestamps")...).Out)
	if len(timed) != 1 || len(timed[0].Segments) == 0 || timed[0].Segments[0].End <= timed[0].Segments[0].Start {
		t.Errorf("%+v", timed)
	}
	for format, want := range map[string]string{"srt": " --> ", "vtt": "WEBVTT\n\n", "txt": strings.TrimSpace(
		timed[0].Segments[0].Text)} {
		out := clitest.OK(t, predict.Command, append(args, "--input", recording("1.wav"), "--output-format", format)...).Out
		if !strings.Contains(out, want) {
			t.Errorf("%s: %q lacks %q", format, out, want)
		}
	}
}

// TestFolders writes transcripts of a folder of recordings, without and with a list of them.
func TestFolders(t *testing.T) {
	args := flags(t, "--max-new-tokens=12", "--allow-other-base", "--adapter", recording("adapter_final"))
	dir := t.TempDir()
	var want []string
	for _, name := range []string{"1.wav", "4.wav"} {
		clitest.Write(t, filepath.Join(dir, name), clitest.Read(t, recording(name)))
		one := clitest.Lines[row](t, clitest.OK(t, predict.Command, append(args, "--input", recording(name))...).Out)
		want = append(want, one[0].Text)
	}
	if want[0] == want[1] {
		t.Fatalf("both recordings have the text %q, so that their order cannot be told", want[0])
	}
	plain := clitest.Lines[row](t, clitest.OK(t, predict.Command, append(args, "--input", dir)...).Out)
	if len(plain) != 2 || plain[0].Audio != "1.wav" || plain[0].Text != want[0] || plain[1].Text != want[1] {
		t.Errorf("%+v, want the texts %q", plain, want)
	}
	clitest.Write(t, filepath.Join(dir, "metadata.csv"), "file_name,sentence\n4.wav,a\n")
	scores := filepath.Join(t.TempDir(), "metrics.json")
	listed := clitest.Lines[row](t, clitest.OK(t, predict.Command,
		append(args, "--input", dir, "--metrics-file", scores)...).Out)
	if len(listed) != 1 || listed[0].Text != want[1] || !strings.Contains(clitest.Read(t, scores), `"wer"`) {
		t.Errorf("%+v, want the text %q and a score", listed, want[1])
	}
}

// TestDecoding: beams write what the library's do, and a window that passes no threshold is written again with the
// next temperature.
func TestDecoding(t *testing.T) {
	var expected struct {
		Written struct {
			Beams [][]int32 `json:"beams"`
		} `json:"written"`
	}
	text := clitest.Read(t, recording("expected.json"))
	if err := json.Unmarshal([]byte(text), &expected); err != nil {
		t.Fatal(err)
	}
	list := clitest.Lines[row](t, clitest.OK(t, predict.Command, flags(t, "--allow-other-base", "--num-beams=3",
		"--max-new-tokens=12", "--adapter", recording("adapter_final"), "--input", recording("rows.jsonl"))...).Out)
	for i, r := range list {
		if !slices.Equal(r.Tokens, expected.Written.Beams[i]) {
			t.Errorf("row %d: the tokens are %v, want %v", i+1, r.Tokens, expected.Written.Beams[i])
		}
	}
	if len(list) != len(expected.Written.Beams) {
		t.Errorf("%d rows, want %d", len(list), len(expected.Written.Beams))
	}
	for threshold, want := range map[string]float64{"-1000": 0, "0": 0.8} {
		again := clitest.Lines[row](t, clitest.OK(t, predict.Command, flags(t, "--max-new-tokens=5", "--return-timestamps",
			"--temperature=0,0.8", "--logprob-threshold", threshold, "--input", recording("1.wav"))...).Out)
		if len(again) != 1 || len(again[0].Segments) == 0 || again[0].Segments[0].Temperature != want {
			t.Errorf("threshold %s: %+v, want temperature %g", threshold, again, want)
		}
	}
}

// TestTeacherForced writes logits and features.
func TestTeacherForced(t *testing.T) {
	logits := clitest.Lines[row](t, clitest.OK(t, predict.Command,
		flags(t, "--input", recording("rows.jsonl"), "--logits")...).Out)
	if len(logits) != 6 || len(logits[0].IDs) != len(logits[0].Logits) || len(logits[0].Logits[0]) != 479 {
		t.Errorf("%d rows with logits", len(logits))
	}
	features := clitest.Lines[row](t, clitest.OK(t, predict.Command,
		flags(t, "--input", recording("2.wav"), "--features", "--audio-context=0.5")...).Out)
	if len(features) != 1 || len(features[0].Features) != 50 || len(features[0].Features[0]) != 80 {
		t.Errorf("%d rows of features", len(features))
	}
}

// TestRefused: wrong flags and files are errors that say what to do.
func TestRefused(t *testing.T) {
	bad := clitest.Write(t, filepath.Join(t.TempDir(), "bad.wav"), "RIFF")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		code int
		args []string
		want string
	}{
		{cli.BadInput, []string{"--input", "none.wav"}, "none.wav: there is no such file"},
		{cli.BadInput, []string{"--input", bad}, "bad.wav: "},
		{cli.BadInput, []string{"--input", empty}, "there are no recordings"},
		{cli.BadInput, []string{"--input", bad, "--input", recording("1.wav")}, "allow some with --skip-bad-files"},
		{cli.Usage, []string{"--input", recording("rows.jsonl"), "--output-format", "srt"},
			"is for one recording, but there are 6"},
		{cli.Usage, []string{"--input", recording("1.wav"), "--output-format", "doc"}, "want jsonl, txt, srt or vtt"},
		{cli.Usage, []string{"--input", recording("1.wav"), "--logits", "--num-beams=2"}, "--num-beams is for writing"},
		{cli.BadInput, []string{"--input", recording("1.wav"), "--logits"}, "no row has a transcript"},
		{cli.Usage, []string{"--input", recording("1.wav"), "--language", "klingon"}, "klingon"},
		{cli.Usage, []string{"--input", recording("1.wav"), "--temperature", "-1"}, "--temperature"},
		{cli.Usage, []string{"--input", recording("1.wav"), "--no-speech-threshold", "0.6"}, "without --logprob-threshold"},
	} {
		r := clitest.Run(t, predict.Command, flags(t, x.args...)...)
		if r.Code != x.code || !strings.Contains(r.Err, x.want) || strings.Count(r.Err, "\n") != 1 {
			t.Errorf("%v: code %d, want %d; %q lacks %q", x.args, r.Code, x.code, r.Err, x.want)
		}
	}
	r := clitest.OK(t, predict.Command, flags(t, "--max-new-tokens=2", "--skip-bad-files=1", "--input", bad, "--input",
		recording("1.wav"))...)
	if strings.Count(r.Out, "\n") != 1 || !strings.Contains(r.Err, "bad.wav") {
		t.Errorf("%q, %q", r.Out, r.Err)
	}
}
