package spalora_test

import (
	"path/filepath"
	"reflect"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/tasks/causallm"
	"github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/tasks/speechseq2seq"
)

// rowsCall makes the call for rows of a task: one result for each row, which names its adapter.
type rowsCall func(t *testing.T, m *spalora.Model, adapters []string) (any, error)

// TestAdaptersOfEveryTask predicts for rows of which each names one of several adapters with labels, settings and heads
// of their own: the results are bit for bit those of models that have one adapter each.
func TestAdaptersOfEveryTask(t *testing.T) {
	miniLM := spalora.WithBaseFiles(embedded.MiniLMName, embedded.MiniLM())
	data := func(name string) string { return filepath.Join("testdata", name) }
	text := func(adapters []string) (list []spalora.Text) {
		for i, a := range adapters {
			list = append(list, spalora.Text{Text: sampleText(i), Adapter: a})
		}
		return list
	}
	pooled := clitest.CopyDir(t, data("embedding/cosine/adapter_init"))
	clitest.Write(t, filepath.Join(pooled, "pooling.json"), `{"pooling_mode": "max"}`)
	c, bytes := clitest.ReadCausal(t, "causal/gpt2_c_attn"), clitest.Bytes(t)
	for _, x := range []struct {
		task    string
		base    spalora.Option
		options []spalora.Option
		dirs    []string
		call    rowsCall
	}{
		{"token-cls", spalora.WithBase(data("bert/save_pooler/base")), nil,
			[]string{trainTags(t, "B-city", "I-city", "O"), data("crf/adapter"), trainTags(t, "N", "V")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				return m.TagAll(t.Context(), text(adapters))
			}},
		{"token-cls", spalora.WithBase(data("bert/save_pooler/base")), nil,
			[]string{data("crf/adapter"), trainTags(t, "N", "V")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				var list []spalora.Sentence
				for i, a := range adapters {
					list = append(list, spalora.Sentence{Words: []string{"we", "pay", sampleText(i)[:3]}, Adapter: a})
				}
				return m.TagWords(t.Context(), list)
			}},
		{"question-answering", miniLM, nil, []string{data("question/adapter_init"), data("question/adapter_final")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				var list []spalora.Question
				for i, a := range adapters {
					list = append(list, spalora.Question{Question: "Is it late?", Context: sampleText(i), Adapter: a})
				}
				return m.AnswerAll(t.Context(), list)
			}},
		{"multiple-choice", miniLM, nil, []string{data("choice/adapter_init"), data("choice/adapter_final")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				var list []spalora.ChoiceQuestion
				for i, a := range adapters {
					list = append(list, spalora.ChoiceQuestion{Question: sampleText(i), Adapter: a,
						Choices: []string{"yes", "not at all", "late", "never"}[:2+i%3]})
				}
				return m.ChooseAll(t.Context(), list)
			}},
		{"embed", miniLM, nil, []string{data("embedding/cosine/adapter_final"), pooled,
			data("embedding/multiple_negatives/adapter_final")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				return m.EmbedAll(t.Context(), text(adapters))
			}},
		{"causal-lm", spalora.WithBase(c.Base), []spalora.Option{spalora.WithSettings(&causallm.Settings{
			Generation: generation.Settings{MaxNewTokens: 4}})},
			[]string{c.Path("adapter_init"), c.Path("adapter_final")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				list := text(adapters)
				for i := range list {
					list[i].Text = list[i].Text[:2+i%3]
				}
				return m.GenerateAll(t.Context(), list)
			}},
		{"translation", spalora.WithBase(bytes), []spalora.Option{spalora.WithOtherBase(),
			spalora.WithSettings(&seq2seq.Settings{Generation: generation.Settings{
				MaxNewTokens: 4, NumBeams: 2, NoRepeatNgramSize: new(1)}})},
			[]string{data("seq2seq/byt5/adapter_init"), data("seq2seq/byt5/adapter_final")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				return m.TranslateAll(t.Context(), text(adapters))
			}},
		{"speech-seq2seq", spalora.WithBase(tasktest.SmallWhisper(t, ".")), []spalora.Option{spalora.WithOtherBase(),
			spalora.WithSettings(&speechseq2seq.Settings{Decoding: speechseq2seq.Decoding{MaxNewTokens: 6}})},
			[]string{data("speech_task/adapter_init"), data("speech_task/adapter_final")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				var list []spalora.Sound
				for i, a := range adapters {
					list = append(list, spalora.Sound{File: recording(1 + i%6), Adapter: a})
				}
				return m.TranscribeAll(t.Context(), list)
			}},
		{"image-classification", spalora.WithBase(clitest.ViT(t)), []spalora.Option{spalora.WithOtherBase()},
			[]string{data("vit/vit/adapter_init"), data("vit/vit/adapter_final")},
			func(t *testing.T, m *spalora.Model, adapters []string) (any, error) {
				var list []spalora.Picture
				for i, a := range adapters {
					list = append(list, spalora.Picture{Image: clitest.Picture(i), Adapter: a})
				}
				return m.ClassifyImages(t.Context(), list)
			}},
	} {
		t.Run(x.task, func(t *testing.T) {
			options := append(x.options, x.base, spalora.WithTask(x.task), spalora.WithThreads(2))
			names := []string{"a", "b", "c"}[:len(x.dirs)]
			var rows []string
			for range 3 {
				rows = append(rows, names...)
			}
			want := reflect.Value{} // of each row
			many := options
			for i, name := range names {
				m, err := spalora.Open(x.dirs[i], options...)
				if err != nil {
					t.Fatal(err)
				}
				got, err := x.call(t, m, make([]string, len(rows)))
				if err != nil {
					t.Fatal(err)
				}
				all := reflect.ValueOf(got)
				if !want.IsValid() {
					want = reflect.MakeSlice(all.Type(), len(rows), len(rows))
				}
				for j, row := range rows {
					if row == name {
						want.Index(j).Set(all.Index(j))
					}
				}
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
				many = append(many[:len(many):len(many)], spalora.WithAdapter(name, x.dirs[i]))
			}
			m, err := spalora.Open("", many...)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			got, err := x.call(t, m, rows)
			if err != nil || !reflect.DeepEqual(got, want.Interface()) {
				t.Errorf("%v\n got %+v\nwant %+v", err, got, want.Interface())
			}
		})
	}
}

// trainTags trains an adapter for token classification on the base of the CRF's fixture for some steps, and returns its
// directory.
func trainTags(t *testing.T, tags ...string) string {
	t.Helper()
	rows := ""
	for _, tag := range tags {
		rows += `{"tokens": ["we", "pay"], "tags": ["` + tags[0] + `", "` + tag + `"]}` + "\n"
	}
	temp := t.TempDir()
	dir := filepath.Join(temp, "adapter")
	if _, err := spalora.Finetune(t.Context(), &spalora.TokenCls{Run: spalora.Run{
		Model:     filepath.Join("testdata", "bert", "save_pooler", "base"),
		TrainFile: clitest.Write(t, filepath.Join(temp, "train.jsonl"), rows), OutputDir: dir,
		MaxSteps: 2, LearningRate: new(0.05),
	}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestActive adds two adapters of sentence encoders: a factor of 0 leaves the other one, scaling and replacing a part
// changes the sum, and removing one removes the sum.
func TestActive(t *testing.T) {
	first := filepath.Join("testdata", "embedding", "cosine", "adapter_final")
	second := filepath.Join("testdata", "embedding", "multiple_negatives", "adapter_final")
	m, err := spalora.Open("", spalora.WithBaseFiles(embedded.MiniLMName, embedded.MiniLM()), spalora.WithTask("embed"),
		spalora.WithAdapter("a", first), spalora.WithAdapter("b", second), spalora.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	embed := func(name string) []float32 {
		t.Helper()
		v, err := m.Embed(t.Context(), "a late payment", spalora.Use(name))
		if err != nil {
			t.Fatal(err)
		}
		return v[0]
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b := embed("a"), embed("b")
	for range 2 { // the second has no effect
		do(m.Active("a", "b"))
	}
	sum := embed("a+b")
	if reflect.DeepEqual(sum, a) || reflect.DeepEqual(sum, b) {
		t.Error("the sum is one of its parts")
	}
	do(m.Scale("b", 0))
	if !reflect.DeepEqual(embed("a+b"), a) {
		t.Error("with the factor 0 for b, the sum is not a")
	}
	do(m.Scale("b", 1))
	if !reflect.DeepEqual(embed("a+b"), sum) || !reflect.DeepEqual(embed("b"), b) {
		t.Error("the factor 1 does not restore the sum")
	}
	do(m.Replace("b", first))
	do(m.Scale("a", 0))
	if !reflect.DeepEqual(embed("a+b"), a) {
		t.Error("the sum does not have the adapter that replaced b")
	}
	do(m.Disable("b"))
	if _, err := m.Embed(t.Context(), "a", spalora.Use("a+b")); err == nil {
		t.Error("a sum with a disabled adapter")
	}
	list := m.Adapters()
	if len(list) != 3 || list[2].Name != "a+b" || !reflect.DeepEqual(list[2].Parts, []string{"a", "b"}) ||
		!list[1].Disabled || list[0].Scale != 0 || list[1].Dir != first {
		t.Errorf("%+v", list)
	}
	do(m.Remove("b"))
	if list := m.Adapters(); len(list) != 1 || list[0].Name != "a" {
		t.Errorf("after Remove: %+v", list)
	}
}
