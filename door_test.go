package spalora_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/causallm"
	"github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/tasks/speechseq2seq"
)

// call is a call of the front door with an input that has a number.
type call func(ctx context.Context, m *spalora.Model, i int) (any, error)

// calls are those of each task type, with what an error says of them.
var calls = map[string]struct {
	call call
	says string
}{
	"seq-cls": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.ClassifyAll(ctx, spalora.Texts(sampleText(i), ""))
	}, "call Classify or ClassifyPairs"},
	"token-cls": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.Tag(ctx, sampleText(i))
	}, "call Tag or TagWords"},
	"question-answering": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.Answer(ctx, "Is it late?", sampleText(i))
	}, "call Answer or AnswerAll"},
	"multiple-choice": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.Choose(ctx, spalora.ChoiceQuestion{Question: sampleText(i), Choices: []string{"yes", "not at all"}})
	}, "call Choose"},
	"embed": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.Embed(ctx, sampleText(i))
	}, "call Embed or Similarity"},
	"causal-lm": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.Generate(ctx, sampleText(i)[:2+i%3])
	}, "call Generate, Stream or Chat"},
	"translation": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.Translate(ctx, sampleText(i))
	}, "call Rewrite or Translate"},
	"speech-seq2seq": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.Transcribe(ctx, recording(1+i%6), recording(1+(i+1)%6))
	}, "call Transcribe"},
	"image-classification": {func(ctx context.Context, m *spalora.Model, i int) (any, error) {
		return m.ClassifyImage(ctx, clitest.Picture(i), clitest.Picture(i+1))
	}, "call ClassifyImage"},
}

// recording returns a sound file.
func recording(i int) string { return filepath.Join("testdata", "speech_task", fmt.Sprint(i, ".wav")) }

// sampleText returns a text of some words.
func sampleText(i int) string { return strings.Repeat("abc late money ", 1+i%3) + fmt.Sprint("at ", i) }

// openAll opens a model of each task type with an adapter that PEFT made; encoders share their base.
func openAll(t *testing.T) map[string]*spalora.Model {
	t.Helper()
	b, err := base.FromFiles(embedded.MiniLMName, embedded.MiniLM())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	models := map[string]*spalora.Model{}
	open := func(task, dir string, o ...spalora.Option) {
		m, err := spalora.Open(dir, append(o, spalora.WithTask(task), spalora.WithThreads(2))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		if m.Task() != task {
			t.Errorf("task %s, want %s", m.Task(), task)
		}
		models[task] = m
	}
	for task, dir := range map[string]string{
		"seq-cls": "minilm/adapter_final", "token-cls": "minilm_tokens/adapter_init",
		"question-answering": "question/adapter_final", "multiple-choice": "choice/adapter_final",
		"embed": "embedding/cosine/adapter_final",
	} {
		open(task, filepath.Join("testdata", dir), spalora.WithOpenedBase(b))
	}
	open("causal-lm", c.Path("adapter_final"), spalora.WithBase(c.Base),
		spalora.WithSettings(&causallm.Settings{Generation: generation.Settings{MaxNewTokens: 4}}))
	open("translation", filepath.Join("testdata", "seq2seq", "byt5", "adapter_final"), spalora.WithBase(clitest.Bytes(t)),
		spalora.WithOtherBase(), spalora.WithSettings(&seq2seq.Settings{Generation: generation.Settings{
			MaxNewTokens: 4, NumBeams: 2, NoRepeatNgramSize: new(1)}}))
	open("speech-seq2seq", filepath.Join("testdata", "speech_task", "adapter_final"),
		spalora.WithBase(tasktest.SmallWhisper(t, ".")), spalora.WithOtherBase(),
		spalora.WithSettings(&speechseq2seq.Settings{Decoding: speechseq2seq.Decoding{MaxNewTokens: 4}}))
	open("image-classification", filepath.Join("testdata", "vit", "vit", "adapter_final"),
		spalora.WithBase(clitest.ViT(t)), spalora.WithOtherBase())
	return models
}

// TestCalls makes the calls of all task types one after another, then from eight goroutines at once, on models of
// another task, with a context that has ended, and while and after their models are closed.
func TestCalls(t *testing.T) {
	const n = 8
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for task, m := range openAll(t) {
		t.Run(task, func(t *testing.T) {
			call := calls[task].call
			var want [n]any
			for i := range want {
				var err error
				if want[i], err = call(t.Context(), m, i); err != nil {
					t.Fatal(err)
				}
			}
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() {
					if got, err := call(t.Context(), m, i); err != nil || !reflect.DeepEqual(got, want[i]) {
						t.Errorf("input %d: %v, %v; alone %v", i, got, err, want[i])
					}
				})
			}
			all.Wait()
			for other, c := range calls {
				if other == task {
					continue
				}
				if _, err := c.call(t.Context(), m, 0); err == nil || !strings.Contains(err.Error(), calls[task].says) {
					t.Errorf("the call of %s: error %v, want %q", other, err, calls[task].says)
				}
			}
			if _, err := call(ended, m, 0); !errors.Is(err, context.Canceled) {
				t.Errorf("after the end of the context: %v", err)
			}
			for i := range n {
				all.Go(func() {
					got, err := call(t.Context(), m, i)
					if !errors.Is(err, spalora.ErrClosed) && (err != nil || !reflect.DeepEqual(got, want[i])) {
						t.Errorf("beside Close: %v, %v", got, err)
					}
				})
			}
			for range 2 {
				if err := m.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			all.Wait()
			if _, err := call(t.Context(), m, 0); !errors.Is(err, spalora.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

// TestInputs classifies no texts, texts that have no words and texts that are longer than the model can read.
func TestInputs(t *testing.T) {
	dir := filepath.Join("testdata", "bert", "query_value")
	m, err := spalora.Open(filepath.Join(dir, "adapter_final"), spalora.WithBase(filepath.Join(dir, "base")))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if list, err := m.ClassifyAll(t.Context(), nil); err != nil || len(list) != 0 {
		t.Errorf("no texts: %v, %v", list, err)
	}
	long := strings.Repeat("we will send money . ", 100)
	list, err := m.ClassifyAll(t.Context(), spalora.Texts("", " ", long, long+long))
	if err != nil || len(list) != 4 || !reflect.DeepEqual(list[0], list[1]) || !reflect.DeepEqual(list[2], list[3]) {
		t.Errorf("%v, %v", list, err)
	}
	if len(list[0].Scores) != 3 || list[0].Score != max(list[0].Scores[0], list[0].Scores[1], list[0].Scores[2]) {
		t.Errorf("the class of no words: %+v", list[0])
	}
}

// TestOpenRefuses opens what cannot be opened: the error says what is wrong, what to do and whose fault it is.
func TestOpenRefuses(t *testing.T) {
	dir := filepath.Join("testdata", "bert", "query_value")
	adapter, own := filepath.Join(dir, "adapter_final"), spalora.WithBase(filepath.Join(dir, "base"))
	empty, gone := t.TempDir(), filepath.Join(t.TempDir(), "gone")
	file := clitest.Write(t, filepath.Join(t.TempDir(), "file"), "no model")
	part := func(without string) string {
		part := clitest.CopyDir(t, adapter)
		if err := os.Remove(filepath.Join(part, without)); err != nil {
			t.Fatal(err)
		}
		return part
	}
	trained := filepath.Join(t.TempDir(), "trained")
	if _, err := spalora.Finetune(t.Context(), &spalora.SeqCls{Run: spalora.Run{
		Model: filepath.Join(dir, "base"), TrainFile: filepath.Join(dir, "train.jsonl"), OutputDir: trained, MaxSteps: 1,
	}}); err != nil {
		t.Fatal(err)
	}
	other := clitest.CopyDir(t, filepath.Join(dir, "base"))
	weights := []byte(clitest.Read(t, filepath.Join(other, "model.safetensors")))
	for i := 8 + int(binary.LittleEndian.Uint64(weights)); i < len(weights); i += 4 {
		weights[i] ^= 1 // the last bit of a weight
	}
	clitest.Write(t, filepath.Join(other, "model.safetensors"), string(weights))
	lonely := filepath.Join("testdata", "minilm", "adapter_final")
	headless := filepath.Join("testdata", "bert", "dense", "base")
	for _, x := range []struct {
		name    string
		dir     string
		options []spalora.Option
		fault   error
		says    []string
	}{
		{"nothing", "", nil, spalora.ErrSettings, []string{"nothing to open", "give the directory"}},
		{"missing", gone, nil, spalora.ErrInput, []string{gone, "no directory", "give"}},
		{"missing adapter", gone, []spalora.Option{own}, spalora.ErrInput, []string{gone, "no such directory", "give"}},
		{"file", file, nil, spalora.ErrInput, []string{file, "not a directory", "give the directory"}},
		{"file for an adapter", file, []spalora.Option{own}, spalora.ErrInput, []string{file, "is a file", "give"}},
		{"empty", empty, nil, spalora.ErrInput, []string{empty, "no config.json", "give"}},
		{"empty adapter", empty, []spalora.Option{own}, spalora.ErrInput, []string{"has no adapter_config.json", "give"}},
		{"no config", part("adapter_config.json"), nil, spalora.ErrInput, []string{"has no adapter_config.json", "give"}},
		{"no tensors", part("adapter_model.safetensors"), nil, spalora.ErrInput,
			[]string{"has no adapter_model.safetensors", "give"}},
		{"no base", lonely, nil, spalora.ErrSettings, []string{lonely, "is not a directory here", "WithBase"}},
		{"missing base", adapter, []spalora.Option{spalora.WithBase(gone)}, spalora.ErrInput, []string{gone, "give"}},
		{"no files", adapter, []spalora.Option{spalora.WithBaseFiles("x", nil)}, spalora.ErrInput,
			[]string{"no config.json", "give"}},
		{"an adapter as base", adapter, []spalora.Option{spalora.WithBase(adapter)}, spalora.ErrInput,
			[]string{"this is an adapter", "give the directory of its base"}},
		{"another base", trained, []spalora.Option{spalora.WithBase(other)}, spalora.ErrInput,
			[]string{"trained on another base model", "`allow_other_base`"}},
		{"no head", headless, []spalora.Option{spalora.WithTask("seq-cls")}, spalora.ErrInput,
			[]string{"no classification head", "random", "give a trained adapter"}},
		{"another head", filepath.Join(dir, "base"), []spalora.Option{spalora.WithTask("token-cls")}, spalora.ErrInput,
			[]string{"ForSequenceClassification", "not for token classification", "train a head"}},
		{"another task", adapter, []spalora.Option{own, spalora.WithTask("token-cls")}, spalora.ErrInput,
			[]string{"is for SEQ_CLS", "token classification"}},
		{"unknown task", adapter, []spalora.Option{own, spalora.WithTask("seqcls")}, spalora.ErrSettings,
			[]string{`"seqcls"`, "want one of seq-cls"}},
		{"threads", adapter, []spalora.Option{own, spalora.WithThreads(-1)}, spalora.ErrSettings, []string{"`threads`"}},
		{"settings", adapter, []spalora.Option{own, spalora.WithSettings(&causallm.Settings{})}, spalora.ErrSettings,
			[]string{"*causallm.Settings", "*seqcls.Settings"}},
	} {
		m, err := spalora.Open(x.dir, x.options...)
		if m != nil || !errors.Is(err, x.fault) {
			t.Errorf("%s: %v, error %v, want one that wraps %q", x.name, m, err, x.fault)
			continue
		}
		for _, text := range x.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v; want %q", x.name, err, text)
			}
		}
	}
	m, err := spalora.Open(trained, spalora.WithBase(other), spalora.WithOtherBase())
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if m, err = spalora.Open(trained); err != nil { // the adapter knows where its base is
		t.Fatal(err)
	}
	m.Close()
	if m, err = spalora.Open(filepath.Join(dir, "base"), spalora.WithTask("seq-cls")); err != nil {
		t.Fatal(err)
	}
	m.Close()
}

// TestFinetuneRefuses trains with configurations that are nil or empty.
func TestFinetuneRefuses(t *testing.T) {
	run := spalora.Run{Model: filepath.Join("testdata", "bert", "query_value", "base"), OutputDir: t.TempDir()}
	stdin := run
	stdin.TrainFile = "-"
	for _, x := range []struct {
		config tasks.Finetuning
		says   string
	}{
		{nil, "is nil"}, {(*spalora.SeqCls)(nil), "is nil"}, {(*spalora.CausalLM)(nil), "is nil"},
		{&spalora.SeqCls{}, "`model` is missing"}, {&spalora.TokenCls{}, "`model` is missing"},
		{&spalora.QuestionAnswering{}, "`model` is missing"}, {&spalora.MultipleChoice{}, "`model` is missing"},
		{&spalora.Embedding{}, "`model` is missing"}, {&spalora.CausalLM{}, "`model` is missing"},
		{&spalora.SeqCls{Run: run}, "`train_file` is missing"}, {&spalora.TokenCls{Run: run}, "`train_file` is missing"},
		{&spalora.QuestionAnswering{Run: run}, "`train_file` is missing"},
		{&spalora.MultipleChoice{Run: run}, "`train_file` is missing"},
		{&spalora.Embedding{Run: run}, "`train_file` is missing"},
		{&spalora.SeqCls{Run: stdin}, "`Stdin` is nil"},
	} {
		r, err := spalora.Finetune(t.Context(), x.config)
		if r != nil || !errors.Is(err, spalora.ErrSettings) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%T: %v, error %v, want %q", x.config, r, err, x.says)
		}
	}
	clitest.NothingIn(t, run.OutputDir)
}
