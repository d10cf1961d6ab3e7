package speechseq2seq_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/speechseq2seq"
	"github.com/spalora/spalora/train"
	"github.com/spalora/spalora/transcribe"
)

const testdata = "../../testdata/speech_task"

// expected is what transformers and PEFT compute (reference/speech_task_fixture.py).
type expected struct {
	BatchSize    int       `json:"batch_size"`
	MaxSteps     int       `json:"max_steps"`
	LearningRate float64   `json:"learning_rate"`
	Labels       [][]int32 `json:"labels"`
	Losses       []float64 `json:"losses"`
	GradNorms    []float64 `json:"grad_norms"`
	LossBefore   float64   `json:"loss_before"`
	LossAfter    float64   `json:"loss_after"`
	Written      struct {
		Greedy [][]int32 `json:"greedy"`
		Beams  [][]int32 `json:"beams"`
	} `json:"written"`
}

func readExpected(t *testing.T) (x expected) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testdata, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// german are the settings with which the fixture was made.
var german = speechseq2seq.Sounds{Language: "german", Task: "transcribe"}

func rows(t *testing.T) *speech.File {
	t.Helper()
	f, err := speech.Read(filepath.Join(testdata, "rows.jsonl"), speech.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// finetune trains as PEFT did and returns the steps and the adapter's directory.
func finetune(t *testing.T, change func(c *speechseq2seq.Finetuning)) (steps []train.StepInfo, out string) {
	t.Helper()
	x := readExpected(t)
	c := &speechseq2seq.Finetuning{
		Run: tasks.Run{
			Model: tasktest.SmallWhisper(t, "../.."), Adapter: filepath.Join(testdata, "adapter_init"),
			OutputDir: filepath.Join(t.TempDir(), "out"), NoShuffle: true, BatchSize: x.BatchSize, MaxSteps: x.MaxSteps,
			LearningRate: &x.LearningRate, AllowOtherBase: true, OnStep: func(s train.StepInfo) { steps = append(steps, s) },
		},
		Sounds: german, Train: rows(t),
	}
	change(c)
	if _, err := tasks.Finetune(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	return steps, c.OutputDir
}

func near(got, want, bound float64) bool { return math.Abs(got/want-1) <= bound }

// TestTrainingEqualsPEFT trains on recordings and compares losses, gradients, the adapter, and what the model writes.
func TestTrainingEqualsPEFT(t *testing.T) {
	x := readExpected(t)
	var before train.Metrics
	steps, out := finetune(t, func(c *speechseq2seq.Finetuning) {
		c.Test = rows(t)
		c.OnBefore = func(_ int, m train.Metrics) { before = m }
	})
	if len(steps) != len(x.Losses) {
		t.Fatalf("%d steps, want %d", len(steps), len(x.Losses))
	}
	for i, s := range steps {
		if !near(s.Loss, x.Losses[i], 2e-5) || !near(s.GradNorm, x.GradNorms[i], 1e-4) {
			t.Errorf("step %d: loss %.8g, norm %.8g; want %.8g, %.8g", i+1, s.Loss, s.GradNorm, x.Losses[i], x.GradNorms[i])
		}
	}
	if got, _ := before.Get("loss"); !near(got.Value, x.LossBefore, 2e-6) {
		t.Errorf("before training the loss is %.8g, want %.8g", got.Value, x.LossBefore)
	}
	if d, name := (tasktest.Case{Dir: testdata}).Adapter(t, out, tasktest.None); d > 1e-3 {
		t.Errorf("%s deviates by %g", name, d)
	}
	config, err := os.ReadFile(filepath.Join(out, "adapter_config.json"))
	if err != nil || !strings.Contains(string(config), `"task_type": null`) {
		t.Errorf("PEFT needs a task type of null: %s, %v", config, err)
	}
	for _, dir := range []string{out, filepath.Join(testdata, "adapter_final")} {
		m := open(t, dir, speechseq2seq.Settings{Sounds: german})
		s, err := m.Score(t.Context(), rows(t))
		if err != nil || !near(s.Loss, x.LossAfter, 2e-5) {
			t.Errorf("after training the loss is %.8g, want %.8g (%v)", s.Loss, x.LossAfter, err)
		}
		for beams, want := range map[int][][]int32{1: x.Written.Greedy, 3: x.Written.Beams} {
			d := speechseq2seq.Decoding{NumBeams: beams, MaxNewTokens: 12}
			err := m.Write(t.Context(), rows(t), d, func(i int, got *transcribe.Transcript) error {
				if !slices.Equal(got.Tokens, want[i]) {
					t.Errorf("%d beams, row %d: the tokens are %v, want %v", beams, i+1, got.Tokens, want[i])
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// open opens an adapter on the small Whisper.
func open(t *testing.T, adapter string, s speechseq2seq.Settings) *speechseq2seq.Opened {
	t.Helper()
	b, err := base.Open(tasktest.SmallWhisper(t, "../.."))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	m, err := speechseq2seq.Open(tasks.Opening{
		Opening: base.Opening{Base: b, Adapter: base.Adapter{Dir: adapter, OtherBase: true}, Pool: pool}, Settings: &s,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestLogitsEqualLoss computes the loss of each row from its logits, and compares their mean with that of the batches.
// The labels are those of transformers.
func TestLogitsEqualLoss(t *testing.T) {
	x := readExpected(t)
	m := open(t, "", speechseq2seq.Settings{Sounds: german})
	f := rows(t)
	sum, n := 0.0, 0
	err := m.Logits(t.Context(), f, func(i int, labels []int32, logits []float32) error {
		if !slices.Equal(labels, x.Labels[i]) {
			t.Errorf("row %d: labels %v, want %v", i+1, labels, x.Labels[i])
		}
		k := len(logits) / len(labels)
		for at, id := range labels {
			row := logits[at*k : (at+1)*k]
			sum += tasks.LogSumExp(row) - float64(row[id])
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Score(t.Context(), f)
	if want := sum / float64(n); err != nil || !near(s.Loss, want, 1e-6) {
		t.Errorf("the loss is %v, of the logits %v (%v)", s.Loss, want, err)
	}
}

// TestEvaluationWrites scores what the model writes; without them the loss decides.
func TestEvaluationWrites(t *testing.T) {
	for _, writes := range []bool{false, true} {
		var evaluated []train.Metrics
		finetune(t, func(c *speechseq2seq.Finetuning) {
			c.Eval, c.MaxSteps, c.PredictWithGenerate = rows(t), 2, writes
			if writes {
				c.GenerationMaxLength = 4
			}
			c.OnEval = func(e train.Evaluation) { evaluated = append(evaluated, e.Metrics) }
		})
		want := map[bool]string{false: "loss", true: speechseq2seq.MainWER}[writes]
		if len(evaluated) == 0 || evaluated[0].Main != want || len(evaluated[0].Values) != 3+4*map[bool]int{true: 1}[writes] {
			t.Errorf("the metrics are %+v, want %s first", evaluated, want)
		}
	}
}

// TestWindows: a model reads the first seconds of a recording only, and remembers how many.
func TestWindows(t *testing.T) {
	m := open(t, "", speechseq2seq.Settings{Sounds: speechseq2seq.Sounds{AudioContext: 0.5}})
	clip, err := rows(t).At(0).Load(audio.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	features, err := m.Features(clip)
	if err != nil || len(features) != 50 || len(features[0]) != 80 {
		t.Fatalf("%d frames, want 50 of 80 bins (%v)", len(features), err)
	}
	whole, err := open(t, "", speechseq2seq.Settings{}).Features(clip)
	if err != nil || len(whole) != 100 {
		t.Fatalf("%d frames, want 100 (%v)", len(whole), err)
	}
	_, out := finetune(t, func(c *speechseq2seq.Finetuning) { c.AudioContext, c.MaxSteps = 0.5, 1 })
	if m := open(t, out, speechseq2seq.Settings{}); m.Seconds() != 0.5 {
		t.Errorf("the adapter is used with windows of %v s, want 0.5", m.Seconds())
	}
}

// TestRefused: settings that have no meaning are errors that name them.
func TestRefused(t *testing.T) {
	for want, change := range map[string]func(c *speechseq2seq.Finetuning){
		"`audio_context` is 2":               func(c *speechseq2seq.Finetuning) { c.AudioContext = 2 },
		"`max_target_length`":                func(c *speechseq2seq.Finetuning) { c.MaxTargetLength = 1000 },
		"`language`":                         func(c *speechseq2seq.Finetuning) { c.Language = "klingon" },
		"`task`":                             func(c *speechseq2seq.Finetuning) { c.Sounds.Task = "sing" },
		"`skip_bad_files`":                   func(c *speechseq2seq.Finetuning) { c.SkipBadFiles = -1 },
		"`predict_with_generate` needs rows": func(c *speechseq2seq.Finetuning) { c.PredictWithGenerate = true },
	} {
		c := &speechseq2seq.Finetuning{
			Run:   tasks.Run{Model: tasktest.SmallWhisper(t, "../.."), OutputDir: filepath.Join(t.TempDir(), "out")},
			Train: rows(t),
		}
		change(c)
		if _, err := tasks.Finetune(t.Context(), c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestBadRecordings: recordings that cannot be read are errors, or listed and left out.
func TestBadRecordings(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.wav"), []byte("RIFF"), 0o600); err != nil {
		t.Fatal(err)
	}
	good, err := filepath.Abs(filepath.Join(testdata, "1.wav"))
	if err != nil {
		t.Fatal(err)
	}
	list := `{"audio": "` + good + `", "text": "a"}` + "\n" + `{"audio": "bad.wav", "text": "b"}` + "\n"
	path := filepath.Join(dir, "rows.jsonl")
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	for skip, want := range []string{"rows.jsonl:2: a file cannot be read", ""} {
		c := &speechseq2seq.Finetuning{
			Run: tasks.Run{Model: tasktest.SmallWhisper(t, "../.."), TrainFile: path, MaxSteps: 1,
				OutputDir: filepath.Join(t.TempDir(), "out")}, SkipBadFiles: skip, Sounds: german,
		}
		_, err := tasks.Finetune(t.Context(), c, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("`skip_bad_files` %d: %v, want %q", skip, err, want)
		}
	}
}
