package imagecls_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

const command = "image-classification"

// row is a line of predictions.
type row struct {
	Image  string
	Label  any
	Score  any
	Logits []float32
	Scores map[string]float32
	Pixels [][][]float32
}

// names are those of the five classes of the small model.
var names = []string{"ant", "bee", "cat", "dog", "elk"}

// TestFinetuneAndPredict trains on class folders and predicts for them, for a list of them, for single images and for
// rows from standard input.
func TestFinetuneAndPredict(t *testing.T) {
	model, photos, out := clitest.ViT(t), clitest.Pictures(t, 20, names...), filepath.Join(t.TempDir(), "out")
	r := clitest.OK(t, finetune.Command, command, "--quiet", "--model", model, "--train-file", photos, "--test-file",
		photos, "--max-steps=12", "--batch-size=4", "--learning-rate=0.01", "--output-dir", out,
		"--augment=crop=0.5,flip,jitter", "--label-smoothing-factor=0.1", "--class-weights=balanced")
	if !strings.Contains(r.Out, "rows: class, columns: predicted\n") ||
		!strings.Contains(r.Out, "test, 20 rows: accuracy") {
		t.Errorf("printed\n%s", r.Out)
	}
	want := []string{"adapter_config.json", "adapter_model.safetensors", "confusion_matrix.png", "labels.json",
		"metrics.jsonl", "results.json"}
	if got := clitest.Names(t, out); !slices.Equal(got, want) {
		t.Errorf("files %v", got)
	}
	var config struct {
		TaskType *string  `json:"task_type"`
		Saved    []string `json:"modules_to_save"`
	}
	text := clitest.Read(t, filepath.Join(out, "adapter_config.json"))
	if err := json.Unmarshal([]byte(text), &config); err != nil || config.TaskType != nil ||
		!slices.Equal(config.Saved, []string{"classifier"}) || !strings.Contains(text, `"task_type": null`) {
		t.Errorf("%v %s", err, text)
	}
	predicted := func(in string, args ...string) []row {
		t.Helper()
		args = append([]string{command, "--quiet", "--model", model, "--adapter", out}, args...)
		r := clitest.RunWith(t, t.Context(), in, predict.Command, args...)
		if r.Code != 0 {
			t.Fatal(r.Err)
		}
		return clitest.Lines[row](t, r.Out)
	}
	metrics := filepath.Join(t.TempDir(), "metrics.json")
	all := predicted("", "--input", photos, "--logits", "--all-scores", "--metrics-file", metrics)
	if len(all) != 20 || all[0].Image != "ant/000.png" || len(all[0].Logits) != 5 || len(all[0].Scores) != 5 {
		t.Fatalf("%d rows, the first %+v", len(all), all[0])
	}
	for _, r := range all {
		if best := r.Scores[r.Label.(string)]; float32(r.Score.(float64)) != best || r.Pixels != nil {
			t.Errorf("%+v", r)
		}
	}
	var scores map[string]float64
	if err := json.Unmarshal([]byte(clitest.Read(t, metrics)), &scores); err != nil || len(scores) < 3 {
		t.Errorf("metrics %v, %v", scores, err)
	}
	one, two := filepath.Join(photos, "ant", "000.png"), filepath.Join(photos, "bee", "001.png")
	few := predicted("", "--logits", "--pixels", "--input", two, one)
	if len(few) != 2 || !slices.Equal(few[1].Logits, all[0].Logits) || len(few[0].Pixels) != 3 ||
		len(few[0].Pixels[2]) != 16 || len(few[0].Pixels[2][15]) != 16 {
		t.Errorf("two images: %+v", few)
	}
	rows := `{"image": ` + quoted(one) + `}` + "\n" + `{"image": ` + quoted(two) + `}` + "\n"
	piped := predicted(rows, "--logits")
	if len(piped) != 2 || !slices.Equal(piped[0].Logits, all[0].Logits) {
		t.Errorf("rows: %+v", piped)
	}
	merged := filepath.Join(t.TempDir(), "merged")
	clitest.OK(t, adapter.Command, "merge", "--quiet", "--model", model, "--adapter", out, "--output-dir", merged)
	r = clitest.OK(t, predict.Command, command, "--quiet", "--model", merged, "--input", one)
	if got := clitest.Lines[row](t, r.Out); got[0].Label != all[0].Label {
		t.Errorf("merged: %+v, want %+v", got[0], all[0])
	}
}

func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// TestVersion4 predicts with PEFT's adapter for transformers 4, whose modules have other names: its logits are those of
// the adapter for version 5.
func TestVersion4(t *testing.T) {
	model, photos := clitest.ViT(t), clitest.Pictures(t, 5, names...)
	var list [2]string
	for i, name := range []string{"adapter_final", "adapter_version4"} {
		list[i] = clitest.OK(t, predict.Command, command, "--quiet", "--model", model, "--allow-other-base", "--adapter",
			filepath.Join(clitest.Testdata, "vit", "vit", name), "--no-labels", "--input", photos, "--logits").Out
	}
	if len(clitest.Lines[row](t, list[0])) != 5 || list[0] != list[1] {
		t.Errorf("version 5\n%s\nversion 4\n%s", list[0], list[1])
	}
	out := filepath.Join(t.TempDir(), "out") // what is written has the names of version 5
	clitest.OK(t, finetune.Command, command, "--quiet", "--model", model, "--allow-other-base", "--adapter",
		filepath.Join(clitest.Testdata, "vit", "vit", "adapter_version4"), "--train-file", photos, "--labels",
		strings.Join(names, ","), "--max-steps=1", "--output-dir", out)
	if text := clitest.Read(t, filepath.Join(out, "adapter_config.json")); !strings.Contains(text, `"q_proj"`) ||
		strings.Contains(text, `"query"`) {
		t.Errorf("written\n%s", text)
	}
}

// TestResumed stops a run with random changes and mixed images after its first step and continues it with another
// number of processors, to the bytes of a run that was not stopped.
func TestResumed(t *testing.T) {
	model, photos, dir := clitest.ViT(t), clitest.Pictures(t, 10, names...), t.TempDir()
	args := func(out string, more ...string) []string {
		return append([]string{command, "--quiet", "--model", model, "--train-file", photos, "--eval-file", photos,
			"--eval-steps=3", "--max-steps=7", "--batch-size=3", "--lora-dropout=0.1", "--augment=crop,flip,jitter",
			"--mixup=0.5", "--output-dir", filepath.Join(dir, out)}, more...)
	}
	clitest.OK(t, finetune.Command, args("whole", "--threads=2")...)
	if stopped := clitest.StopAfterFirstStep(t, finetune.Command, args("parts", "--threads=1")...); stopped.Code != 4 {
		t.Fatalf("exit code %d: %s", stopped.Code, stopped.Err)
	}
	resume := []string{"--resume-from-checkpoint", filepath.Join(dir, "parts")}
	clitest.OK(t, finetune.Command, append(args("parts", "--threads=2"), resume...)...)
	const weights = "adapter_model.safetensors"
	if clitest.Read(t, filepath.Join(dir, "parts", weights)) != clitest.Read(t, filepath.Join(dir, "whole", weights)) {
		t.Error("the adapter of a run that was continued differs from that of one run")
	}
	if r := clitest.Run(t, finetune.Command, append(args("parts", "--mixup=0.2"), resume...)...); r.Code != 2 ||
		!strings.Contains(r.Err, "mixup is") {
		t.Errorf("with another share: exit code %d, %s", r.Code, r.Err)
	}
}

// TestFromScratch trains a whole model from random weights, which predict opens, and an adapter on it.
func TestFromScratch(t *testing.T) {
	model, photos, dir := clitest.ViT(t), clitest.Pictures(t, 8, "a", "b"), t.TempDir()
	whole, out := filepath.Join(dir, "whole"), filepath.Join(dir, "adapter")
	clitest.OK(t, finetune.Command, command, "--quiet", "--from-scratch", filepath.Join(model, "config.json"), "--full",
		"--train-file", photos, "--validation-split=0.25", "--max-steps=3", "--output-dir", whole)
	if got := clitest.Names(t, whole); !slices.Contains(got, "preprocessor_config.json") ||
		!slices.Contains(got, "model.safetensors") || slices.Contains(got, "labels.json") {
		t.Errorf("files %v", got)
	}
	r := clitest.OK(t, predict.Command, command, "--quiet", "--model", whole, "--input", photos, "--all-scores")
	if got := clitest.Lines[row](t, r.Out); len(got) != 8 || len(got[0].Scores) != 2 || got[0].Scores["a"] == 0 {
		t.Errorf("%+v", got)
	}
	clitest.OK(t, finetune.Command, command, "--quiet", "--model", whole, "--train-file", photos, "--max-steps=2",
		"--output-dir", out)
}

// TestSeveralLabels trains with lists of labels.
func TestSeveralLabels(t *testing.T) {
	model, photos, out := clitest.ViT(t), clitest.Pictures(t, 4, "x"), filepath.Join(t.TempDir(), "out")
	list := clitest.Write(t, filepath.Join(photos, "rows.jsonl"), `{"image": "x/000.png", "label": ["red", "round"]}
{"image": "x/001.png", "label": []}
{"image": "x/002.png", "label": ["round"]}
{"image": "x/003.png", "label": ["green"]}
`)
	clitest.OK(t, finetune.Command, command, "--quiet", "--model", model, "--train-file", list, "--eval-file", list,
		"--mixup=0.3", "--max-steps=3", "--output-dir", out)
	r := clitest.OK(t, predict.Command, command, "--quiet", "--model", model, "--adapter", out, "--input", list,
		"--all-scores")
	got := clitest.Lines[row](t, r.Out)
	if _, ok := got[0].Label.([]any); len(got) != 4 || !ok || len(got[0].Scores) != 3 {
		t.Errorf("%+v", got)
	}
}

// TestBadFiles: files that cannot be read end the run with their names before training, unless they are allowed.
func TestBadFiles(t *testing.T) {
	model, photos, dir := clitest.ViT(t), clitest.Pictures(t, 6, "a", "b"), t.TempDir()
	clitest.Write(t, filepath.Join(photos, "a", "empty.png"), "")
	clitest.Write(t, filepath.Join(photos, "b", "text.jpg"), "not an image")
	args := func(more ...string) []string {
		return append([]string{command, "--quiet", "--model", model, "--train-file", photos, "--max-steps=1",
			"--output-dir", filepath.Join(dir, "out"), "--overwrite"}, more...)
	}
	clitest.Run(t, finetune.Command, args()...).Refused(t, 3, "empty.png", "the file is empty", "--skip-bad-files")
	clitest.Run(t, finetune.Command, args("--skip-bad-files=1")...).Refused(t, 3, "more than the 1 file")
	r := clitest.OK(t, finetune.Command, args("--skip-bad-files=2")...)
	for _, text := range []string{"left out", "empty.png", "text.jpg", "unknown content"} {
		if !strings.Contains(r.Err, text) {
			t.Errorf("%q is not in\n%s", text, r.Err)
		}
	}
	r = clitest.OK(t, predict.Command, command, "--quiet", "--model", model, "--adapter", filepath.Join(dir, "out"),
		"--input", photos, "--skip-bad-files=2")
	if n := strings.Count(r.Out, "\n"); n != 6 || !strings.Contains(r.Err, "text.jpg") {
		t.Errorf("%d rows\n%s", n, r.Err)
	}
}

// TestOverlap: images are known by their content, not by their names.
func TestOverlap(t *testing.T) {
	model, photos, names := clitest.ViT(t), clitest.Pictures(t, 4, "a", "b"), clitest.Pictures(t, 6, "a", "b")
	for i := range 4 { // the names of the images to train on, with others' content
		path := filepath.Join(names, []string{"a", "b"}[i%2], fmt.Sprintf("%03d.png", i))
		clitest.Write(t, path, clitest.Read(t, filepath.Join(names, "a", "004.png")))
	}
	for test, want := range map[string]bool{photos: true, names: false} {
		r := clitest.OK(t, finetune.Command, command, "--quiet", "--model", model, "--train-file", photos,
			"--test-file", test, "--max-steps=1", "--output-dir", filepath.Join(t.TempDir(), "out"))
		if got := strings.Contains(r.Err, "images that are also in"); got != want {
			t.Errorf("%s: a warning is %v, want %v: %s", test, got, want, r.Err)
		}
	}
}

// TestRefused: wrong settings and inputs.
func TestRefused(t *testing.T) {
	model, photos := clitest.ViT(t), clitest.Pictures(t, 4, "a", "b")
	bare := clitest.CopyDir(t, model)
	if err := os.Remove(filepath.Join(bare, "preprocessor_config.json")); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(clitest.Testdata, "bert", "query_value", "base")
	for name, x := range map[string]struct {
		code int
		args []string
		says []string
	}{
		"augment":       {2, []string{"--augment=rotate"}, []string{"--augment", "rotate", "crop, flip"}},
		"mixup":         {2, []string{"--mixup=9"}, []string{"--mixup", "9"}},
		"mixed weights": {2, []string{"--mixup=1", "--class-weights=balanced"}, []string{"--class-weights", "exclude"}},
		"skipping":      {2, []string{"--skip-bad-files=-1"}, []string{"--skip-bad-files"}},
		"tokens":        {2, []string{"--add-tokens=x"}, []string{"--add-tokens"}},
		"settings":      {3, []string{"--model", bare}, []string{"preprocessor_config.json is missing"}},
		"texts":         {3, []string{"--model", text, "--labels=a,b"}, []string{"bert"}},
		"scratch":       {2, []string{"--from-scratch=config.json"}, []string{"--from-scratch"}},
	} {
		args := append([]string{command, "--quiet", "--model", model, "--train-file", photos, "--max-steps=1",
			"--output-dir", filepath.Join(t.TempDir(), "out")}, x.args...)
		t.Run(name, func(t *testing.T) { clitest.Run(t, finetune.Command, args...).Refused(t, x.code, x.says...) })
	}
	for name, x := range map[string]struct {
		code int
		args []string
		says []string
	}{
		"no model":     {3, []string{"--input", photos}, []string{"is none of the 544 classes"}},
		"no head":      {2, []string{"--model", model, "photos"}, []string{"unexpected argument"}},
		"missing":      {3, []string{"--model", model, "--input", "none.png"}, []string{"none.png"}},
		"other labels": {3, []string{"--model", model, "--input", photos, "--labels=v,w,x,y,z"}, []string{"--no-labels"}},
	} {
		args := append([]string{command, "--quiet"}, x.args...)
		t.Run(name, func(t *testing.T) { clitest.Run(t, predict.Command, args...).Refused(t, x.code, x.says...) })
	}
}
