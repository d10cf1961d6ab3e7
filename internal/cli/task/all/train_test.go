package all_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/tasks/speechseq2seq"
)

// Rows that the small BERT fixture can read.
const (
	taggedRows   = "we\tO\nfound\tO\nold\tB-MISC\nbank\tI-MISC\n\nnew\tB-ORG\nbook\tO\n\nthe\tO\nfilm\tB-MISC\n"
	questionRows = `{"id": "1", "question": "is the film good ?", "context": "the film is very good .",` +
		` "answers": {"text": ["good"], "answer_start": [17]}}` + "\n" +
		`{"id": "2", "question": "will they pay ?", "context": "we will send money .",` +
		` "answers": {"text": ["send money"], "answer_start": [8]}}` + "\n"
	choiceRows = `{"question": "is the film", "choices": ["good ?", "late .", "money"], "label": 0}` + "\n" +
		`{"context": "we pay .", "choices": ["they lost it", "send money"], "label": 1}` + "\n"
	pairRows = "sentence1,sentence2,score\nfilm good,good film,5\npay late,old bank,0.5\nwe,we will,4\n"
)

// TestDoorTrains holds the directories that Finetune writes to those of the commands: every file has the same bytes,
// apart from times in metrics and results.
func TestDoorTrains(t *testing.T) {
	causal := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	small, bytes := clitest.Small(t), clitest.Bytes(t)
	whisper := tasktest.SmallWhisper(t, filepath.Dir(clitest.Testdata))
	recordings := filepath.Join(clitest.Testdata, "speech_task", "rows.jsonl")
	vit, photos := clitest.ViT(t), clitest.Pictures(t, 10, "ant", "bee", "cat", "dog", "elk")
	sources := filepath.Join(clitest.Testdata, "seq2seq_task", "rows.jsonl")
	dir := t.TempDir()
	write := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	for command, x := range map[string]struct {
		file   string
		flags  []string
		config func(r spalora.Run) tasks.Finetuning
	}{
		"seq-cls": {
			small.Path("train.jsonl"), []string{"--max-length=12", "--label-smoothing-factor=0.1"},
			func(r spalora.Run) tasks.Finetuning {
				return &spalora.SeqCls{Run: r, MaxLength: new(12), LabelSmoothingFactor: 0.1}
			},
		},
		"token-cls": {
			write("train.conll", taggedRows), []string{"--scheme=IOB2"},
			func(r spalora.Run) tasks.Finetuning {
				return &spalora.TokenCls{Run: r, Scheme: "IOB2"}
			},
		},
		"question-answering": {
			write("questions.jsonl", questionRows), []string{"--max-length=20", "--doc-stride=2"},
			func(r spalora.Run) tasks.Finetuning {
				c := &spalora.QuestionAnswering{Run: r}
				c.MaxLength, c.DocStride = new(20), new(2)
				return c
			},
		},
		"multiple-choice": {
			write("choices.jsonl", choiceRows), []string{"--truncation=only_first"},
			func(r spalora.Run) tasks.Finetuning {
				return &spalora.MultipleChoice{Run: r, Truncation: "only_first"}
			},
		},
		"embed": {
			write("pairs.csv", pairRows), []string{"--max-score=5", "--pooling=cls"},
			func(r spalora.Run) tasks.Finetuning {
				return &spalora.Embedding{Run: r, MaxScore: 5, Pooling: "cls"}
			},
		},
		"causal-lm": {
			causal.File(t), []string{"--max-length=8", "--sample-max-new-tokens=0"},
			func(r spalora.Run) tasks.Finetuning {
				return &spalora.CausalLM{Run: r, MaxLength: 8, SampleMaxNewTokens: new(0)}
			},
		},
		"seq2seq-lm": {
			sources, []string{"--source-prefix=task: ", "--max-target-length=20"},
			func(r spalora.Run) tasks.Finetuning {
				return &spalora.Seq2SeqLM{Run: r, Texts: seq2seq.Texts{SourcePrefix: new("task: "), MaxTargetLength: 20}}
			},
		},
		"translation": {
			sources, []string{"--source-column=source", "--target-column=target", "--max-source-length=24",
				"--predict-with-generate", "--generation-num-beams=2", "--generation-max-length=6"},
			func(r spalora.Run) tasks.Finetuning {
				c := &spalora.Translation{}
				c.Run, c.MaxSourceLength, c.Data.SourceColumn, c.Data.TargetColumn = r, 24, "source", "target"
				c.PredictWithGenerate, c.GenerationNumBeams, c.GenerationMaxLength = true, 2, 6
				return c
			},
		},
		"speech-seq2seq": {
			recordings, []string{"--language=de", "--task=transcribe", "--audio-context=0.5", "--max-target-length=8",
				"--predict-with-generate", "--generation-max-length=6"},
			func(r spalora.Run) tasks.Finetuning {
				c := &spalora.SpeechSeq2Seq{Run: r, Sounds: speechseq2seq.Sounds{
					Language: "de", Task: "transcribe", AudioContext: 0.5, MaxTargetLength: 8}}
				c.PredictWithGenerate, c.GenerationMaxLength = true, 6
				return c
			},
		},
		"image-classification": {
			photos, []string{"--augment=crop=0.5,flip", "--mixup=0.4", "--label-smoothing-factor=0.1"},
			func(r spalora.Run) tasks.Finetuning {
				return &spalora.ImageClassification{
					Run: r, Augment: []string{"crop=0.5", "flip"}, Mixup: 0.4, LabelSmoothingFactor: 0.1}
			},
		},
	} {
		t.Run(command, func(t *testing.T) {
			model := small.Path("base")
			switch command {
			case "token-cls": // without a head, as its labels are others
				model = filepath.Join(clitest.Testdata, "bert", "save_pooler", "base")
			case "causal-lm":
				model = causal.Base
			case "seq2seq-lm", "translation":
				model = bytes
			case "speech-seq2seq":
				model = whisper
			case "image-classification":
				model = vit
			}
			of, want := filepath.Join(t.TempDir(), "door"), filepath.Join(t.TempDir(), "command")
			flags := append([]string{command, "--quiet", "--model", model, "--train-file", x.file,
				"--test-file", x.file, "--eval-file", x.file, "--output-dir", want, "--max-steps=3", "--eval-steps=2",
				"--batch-size=2", "--learning-rate=0.01", "--lora-r=4", "--lora-dropout=0.1", "--seed=7"}, x.flags...)
			dry := clitest.OK(t, finetune.Command, append(flags, "--dry-run")...).Out
			if _, err := os.Stat(want); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a dry run made the output directory: %v", err)
			}
			clitest.OK(t, finetune.Command, flags...)
			config := func() tasks.Finetuning {
				return x.config(spalora.Run{
					Model: model, TrainFile: x.file, TestFile: x.file, EvalFile: x.file, OutputDir: of, MaxSteps: 3, EvalSteps: 2,
					BatchSize: 2, LearningRate: new(0.01), LoraR: 4, LoraDropout: new(float32(0.1)), Seed: new(uint64(7)),
				})
			}
			f, err := spalora.DryRun(t.Context(), config())
			if err != nil {
				t.Fatal(err)
			}
			r, err := spalora.Finetune(t.Context(), config())
			if err != nil {
				t.Fatal(err)
			}
			sameForecast(t, dry, f, want)
			forecastHolds(t, f, r)
			if r.Dir != of || r.Train.Steps != 3 || r.Test == nil {
				t.Errorf("results %+v", r)
			}
			names := clitest.Names(t, want)
			if got := clitest.Names(t, of); !slices.Equal(got, names) {
				t.Fatalf("files %v, the command's %v", got, names)
			}
			for _, name := range names {
				switch name {
				case "metrics.jsonl":
					if got, want := clitest.Metrics(t, of), clitest.Metrics(t, want); got != want {
						t.Errorf("metrics\n%s\nthe command's\n%s", got, want)
					}
				case "results.json", "last": // times; a directory
				default:
					if clitest.Read(t, filepath.Join(of, name)) != clitest.Read(t, filepath.Join(want, name)) {
						t.Errorf("%s differs from the command's", name)
					}
				}
			}
			if !slices.Contains(names, "adapter_model.safetensors") || !slices.Contains(names, "adapter_config.json") {
				t.Errorf("files %v", names)
			}
		})
	}
}

// sameForecast compares the line of JSON that a dry run of a command prints with the forecast of the front door, apart
// from what is measured.
func sameForecast(t *testing.T, line string, of *spalora.Forecast, dir string) {
	t.Helper()
	got := clitest.Lines[spalora.Forecast](t, line)
	if len(got) != 1 {
		t.Fatalf("standard output %q, want one line", line)
	}
	want := *of
	want.Dir = dir
	for _, f := range []*spalora.Forecast{&got[0], &want} {
		if f.Time == nil || f.Time.Total <= 0 || f.Time.ProbeBatches < 1 || f.Time.Evaluation <= 0 {
			t.Errorf("time %+v", f.Time)
		}
		m := &f.Memory
		f.Time, m.Program, m.Preparation, m.Peak, m.Available = nil, 0, 0, 0, 0
	}
	a, b := mustEncode(t, got[0]), mustEncode(t, want)
	if a != b {
		t.Errorf("the command forecasts\n%s\nthe front door\n%s", a, b)
	}
}

func mustEncode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// forecastHolds compares a forecast with the run that followed it.
func forecastHolds(t *testing.T, f *spalora.Forecast, r *spalora.Results) {
	t.Helper()
	done := r.Train
	if f.Task != r.Task || f.Kind != r.Kind || f.Steps != done.Steps || f.Tokens != done.Tokens ||
		f.Evaluations != len(done.Evaluations) || f.TestRows == 0 || f.EvalRows != f.TestRows {
		t.Errorf("forecast %+v\nof the run %+v", f, done)
	}
	file := golden.Open(t, filepath.Join(r.Dir, "adapter_model.safetensors"))
	values := 0
	for _, name := range file.Names() {
		values += len(file.Float32(name))
	}
	if f.Trainable != int64(values) || f.Disk.Save != int64(4*values) || f.All <= f.Trainable {
		t.Errorf("%d of %d trainable values and %d bytes; the adapter has %d values", f.Trainable, f.All, f.Disk.Save, values)
	}
	layers := 0
	for _, m := range f.Modules {
		layers += m.Count
		if m.R != r.Adapter.R || m.Alpha != r.Adapter.Alpha || m.In < 1 || m.Out < 1 {
			t.Errorf("modules %+v", m)
		}
	}
	pairs := 0
	for _, name := range file.Names() {
		if strings.HasSuffix(name, ".lora_A.weight") {
			pairs++
		}
	}
	if layers != pairs {
		t.Errorf("%d adapted layers in %+v; the adapter has %d", layers, f.Modules, pairs)
	}
	m := f.Memory
	if m.PeakActivations != int64(done.PeakActivations) || m.Activations < m.PeakActivations {
		t.Errorf("activations of %d bytes, %d with gaps; the run had %d", m.PeakActivations, m.Activations,
			done.PeakActivations)
	}
	if m.Weights <= 0 || m.Data <= 0 || m.Gradients != 4*f.Trainable || m.Optimizer != 8*f.Trainable ||
		m.Best != 4*f.Trainable || m.Evaluation <= 0 || m.Test <= 0 {
		t.Errorf("memory %+v", m)
	}
	sum := m.Weights + m.Adapter + m.Data + m.Gradients + m.Optimizer + m.Best + m.Kernels + m.Program
	if m.Peak < sum+m.Activations+m.Evaluation {
		t.Errorf("memory %+v: the peak is less than its parts", m)
	}
}
