package spalora_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/internal/cli/clitest"
)

// headlessBase is a small BERT without a trained head.
const headlessBase = "testdata/bert/dense/base"

// trainClasses trains an adapter of the small BERT on texts with these labels for some steps, and returns its
// directory. A longer text is cut to maxLength tokens.
func trainClasses(t *testing.T, seed uint64, maxLength int, labels ...string) string {
	t.Helper()
	var rows strings.Builder
	for i, l := range labels {
		fmt.Fprintf(&rows, "{\"text\": %q, \"label\": %q}\n", sampleText(i)+" we will send money .", l)
	}
	temp := t.TempDir()
	dir := filepath.Join(temp, "adapter")
	if _, err := spalora.Finetune(t.Context(), &spalora.SeqCls{Run: spalora.Run{
		Model: headlessBase, TrainFile: clitest.Write(t, filepath.Join(temp, "train.jsonl"), rows.String()), OutputDir: dir,
		MaxSteps: 3, Seed: &seed, LearningRate: new(0.05), ModulesToSave: []string{"pooler"},
	}, MaxLength: &maxLength}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// classifiers are adapters for classes of their own by name.
func classifiers(t *testing.T) map[string]string {
	t.Helper()
	dirs := map[string]string{}
	for i, labels := range [][]string{
		{"spam", "ham"}, {"sport", "money", "film", "time"}, {"good", "bad", "poor"}, {"a", "b"}, {"one", "two", "three"},
	} {
		dirs[fmt.Sprint("a", i)] = trainClasses(t, uint64(i+1), 6+2*i, labels...)
	}
	return dirs
}

// alone returns the class that each adapter gives each text, when it is opened alone.
func alone(t *testing.T, dirs map[string]string, texts []string) map[string][]spalora.Class {
	t.Helper()
	want := map[string][]spalora.Class{}
	for name, dir := range dirs {
		m, err := spalora.Open(dir, spalora.WithBase(headlessBase))
		if err != nil {
			t.Fatal(err)
		}
		if want[name], err = m.ClassifyAll(t.Context(), spalora.Texts(texts...)); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return want
}

// openHeadless opens the base for adapters that are loaded later.
func openHeadless(t *testing.T) *spalora.Model {
	t.Helper()
	m, err := spalora.Open("", spalora.WithBase(headlessBase), spalora.WithTask("seq-cls"), spalora.WithoutHead(),
		spalora.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestAdapters loads adapters with labels and lengths of their own on one base: calls with one, several and one for
// each row return bit for bit what the adapters return alone.
func TestAdapters(t *testing.T) {
	dirs := classifiers(t)
	texts := make([]string, 7)
	for i := range texts {
		texts[i] = sampleText(i)
	}
	want := alone(t, dirs, texts)
	m := openHeadless(t)
	var rows []spalora.Text
	var wanted []spalora.Class
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range dirs {
			if !yield(name) {
				return
			}
		}
	})
	for _, name := range names {
		if err := m.Load(name, dirs[name]); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range texts {
		got, err := m.Classify(t.Context(), text, spalora.Use(names...))
		if err != nil || len(got) != len(names) {
			t.Fatal(err, len(got))
		}
		for j, name := range names {
			if !reflect.DeepEqual(got[j], want[name][i]) {
				t.Errorf("text %d, adapter %s: %+v, alone %+v", i, name, got[j], want[name][i])
			}
			rows, wanted = append(rows, spalora.Text{Text: text, Adapter: name}), append(wanted, want[name][i])
		}
	}
	if got, err := m.ClassifyAll(t.Context(), rows); err != nil || !reflect.DeepEqual(got, wanted) {
		t.Errorf("rows of several adapters: %v, %+v", err, got)
	}
	if got, err := m.ClassifyAll(t.Context(), spalora.Texts(texts...), spalora.Use("a1")); err != nil ||
		!reflect.DeepEqual(got, want["a1"]) {
		t.Errorf("one adapter for all rows: %v, %+v", err, got)
	}
}

// TestAdaptersWhileCallsRun classifies from eight goroutines with five adapters, while others are loaded, replaced,
// scaled, disabled and removed: each call returns the bits of its adapter alone.
func TestAdaptersWhileCallsRun(t *testing.T) {
	dirs := classifiers(t)
	texts := []string{sampleText(0), sampleText(1), sampleText(2)}
	want := alone(t, dirs, texts)
	m := openHeadless(t)
	for name, dir := range dirs {
		if err := m.Load(name, dir); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 6 {
				name, other := fmt.Sprint("a", (g+i)%5), fmt.Sprint("a", (g+2*i+1)%5)
				got, err := m.ClassifyAll(t.Context(), []spalora.Text{
					{Text: texts[0], Adapter: name}, {Text: texts[1], Adapter: other}, {Text: texts[2], Adapter: name},
				})
				if err != nil || !reflect.DeepEqual(got, []spalora.Class{want[name][0], want[other][1], want[name][2]}) {
					t.Errorf("%s and %s: %v, %+v", name, other, err, got)
				}
				if got, err := m.Classify(t.Context(), texts[1], spalora.Use("more")); err == nil && len(got) != 1 {
					t.Errorf("the adapter that comes and goes: %+v", got)
				}
			}
		})
	}
	for i := range 4 {
		for _, change := range []func() error{
			func() error { return m.Load("more", dirs["a0"]) },
			func() error { return m.Scale("more", 0.5) },
			func() error { return m.Replace("more", dirs[fmt.Sprint("a", i)]) },
			func() error { return m.Replace("a1", dirs["a1"]) },
			func() error { return m.Disable("more") },
			func() error { return m.Enable("more") },
			func() error { return m.Scale("more", 1) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := m.ClassifyAll(t.Context(), spalora.Texts(texts...), spalora.Use("more")); err != nil ||
			!reflect.DeepEqual(got, want[fmt.Sprint("a", i)]) {
			t.Errorf("after Replace and Scale 1: %v, %+v", err, got)
		}
		if err := m.Remove("more"); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	if n := len(m.Adapters()); n != len(dirs) {
		t.Errorf("%d adapters are left, want %d", n, len(dirs))
	}
}

// TestAdapterErrors makes the mistakes with names and states: each error says what to do.
func TestAdapterErrors(t *testing.T) {
	two, three := trainClasses(t, 1, 9, "a", "b"), trainClasses(t, 2, 9, "a", "b", "c")
	m := openHeadless(t)
	classify := func(names ...string) error {
		_, err := m.Classify(t.Context(), "we pay", spalora.Use(names...))
		return err
	}
	steps := []struct {
		name string
		do   func() error
		says []string // nil: no error
	}{
		{"no head", func() error { return classify() }, []string{"without a trained head", "Use", "Load"}},
		{"unknown, none loaded", func() error { return classify("x") }, []string{`no adapter "x"`, "Load"}},
		{"load", func() error { return m.Load("two", two) }, nil},
		{"load again", func() error { return m.Load("two", three) }, []string{"loaded already", "Replace"}},
		{"load without a name", func() error { return m.Load("", two) }, []string{"is empty"}},
		{"load nothing", func() error { return m.Load("x", "") }, []string{"is empty"}},
		{"load what is not there", func() error { return m.Load("x", "gone") }, []string{"gone", "no such directory"}},
		{"load for another task", func() error { return m.Load("x", "testdata/question/adapter_final") },
			[]string{"trained for another task"}},
		{"load three", func() error { return m.Load("three", three) }, nil},
		{"unknown", func() error { return classify("two", "x") }, []string{`no adapter "x"`, `"two", "three"`}},
		{"scale", func() error { return m.Scale("two", 0.5) }, nil},
		{"scale unknown", func() error { return m.Scale("x", 1) }, []string{`no adapter "x"`}},
		{"replace unknown", func() error { return m.Replace("x", two) }, []string{`no adapter "x"`}},
		{"replace by nothing", func() error { return m.Replace("two", "gone") }, []string{"no such directory"}},
		{"sum of heads", func() error { return m.Active("two", "three") },
			[]string{`"two" and "three" both replace`, "one at"}},
		{"sum of one", func() error { return m.Active("two") }, []string{"two or more"}},
		{"sum of the same", func() error { return m.Active("two", "two") }, []string{"twice"}},
		{"disable", func() error { return m.Disable("two") }, nil},
		{"disabled", func() error { return classify("two") }, []string{`"two" is disabled`, "Enable"}},
		{"enable", func() error { return m.Enable("two") }, nil},
		{"enabled", func() error { return classify("two", "three") }, nil},
		{"remove", func() error { return m.Remove("two") }, nil},
		{"remove again", func() error { return m.Remove("two") }, []string{`no adapter "two"`, `"three"`}},
		{"two for rows", func() error {
			_, err := m.ClassifyAll(t.Context(), spalora.Texts("a"), spalora.Use("three", "three"))
			return err
		}, []string{"takes one adapter"}},
		{"close", m.Close, nil},
		{"load when closed", func() error { return m.Load("two", two) }, []string{"closed"}},
	}
	for _, s := range steps {
		err := s.do()
		if s.says == nil {
			if err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
			continue
		}
		for _, text := range s.says {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: error %v, want %q", s.name, err, text)
			}
		}
		if err != nil && !errors.Is(err, spalora.ErrSettings) && !errors.Is(err, spalora.ErrInput) &&
			!errors.Is(err, spalora.ErrClosed) {
			t.Errorf("%s: error %v has no kind", s.name, err)
		}
	}
}
