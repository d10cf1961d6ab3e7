package lora_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/models/distilbert"
	"github.com/spalora/spalora/models/electra"
	"github.com/spalora/spalora/models/roberta"
	"github.com/spalora/spalora/nn"
)

// filledWith gives every weight some value.
func filledWith[M spago.Model](t *testing.T, m M) M {
	t.Helper()
	for _, w := range nn.Weights(m) {
		if err := w.Weight.SetValues(make([]float32, w.Weight.Len())); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func bertConfig() bert.Config {
	c := bert.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers = 30, 16, 2
	c.NumAttentionHeads, c.IntermediateSize, c.MaxPositions = 2, 24, 20
	return c
}

func robertaConfig() roberta.Config {
	c, pad := roberta.Config{Config: bertConfig()}, 1
	c.ModelType, c.PadTokenID = "roberta", &pad
	return c
}

func distilbertConfig() distilbert.Config {
	c := distilbert.DefaultConfig()
	c.VocabSize, c.Width, c.Layers, c.Heads, c.Inner, c.MaxPositions = 30, 16, 2, 2, 24, 20
	return c
}

func electraConfig() electra.Config {
	c := electra.DefaultConfig()
	c.Config, c.EmbeddingSize = bertConfig(), 12
	c.ModelType = "electra"
	return c
}

// TestAllLinear: all-linear adapts every linear layer except the saved modules, which are the heads and the modules
// whose names end in that of a head. For feature extraction it also excludes the pooler, whose output has no use. The
// numbers are PEFT's in the cases in which PEFT does not fail.
func TestAllLinear(t *testing.T) {
	tokens, answers := lora.Config{TaskType: lora.TokenCls}, lora.Config{TaskType: lora.QuestionAns}
	choices := lora.Config{ModulesToSave: []string{"classifier"}}
	sequences, features := lora.Config{TaskType: lora.SeqCls}, lora.Config{TaskType: lora.FeatureExtraction}
	summary := lora.Config{ModulesToSave: []string{"classifier", "sequence_summary"}}
	const layers = 2 * 6
	for _, c := range []struct {
		name   string
		model  spago.Model
		config lora.Config
		pairs  int
		saved  []string // weights
		names  string   // modules_to_save of the file
	}{
		{"bert sequences", bert.NewForSequenceClassification(bertConfig(), 3), sequences, layers + 1, []string{"classifier"},
			"classifier score"},
		{"bert tokens", bert.NewForTokenClassification(bertConfig(), 3), tokens, layers, []string{"classifier"},
			"classifier score"},
		{"bert answers", bert.NewForQuestionAnswering(bertConfig()), answers, layers, []string{"qa_outputs"}, "qa_outputs"},
		{"bert choices", bert.NewForMultipleChoice(bertConfig()), choices, layers + 1, []string{"classifier"}, "classifier"},
		{"bert features", bert.New(bertConfig()), features, layers, nil, ""},
		{"bert features without a task type", bert.New(bertConfig()), lora.Config{}, layers + 1, nil, ""},
		{"roberta sequences", roberta.NewForSequenceClassification(robertaConfig(), 3), sequences, layers,
			[]string{"classifier.dense", "classifier.out_proj"}, "classifier score"},
		{"roberta choices", roberta.NewForMultipleChoice(robertaConfig()), choices, layers + 1, []string{"classifier"},
			"classifier"},
		{"roberta features", roberta.New(robertaConfig()), features, layers, nil, ""},
		{"distilbert sequences", distilbert.NewForSequenceClassification(distilbertConfig(), 3), sequences, layers,
			[]string{"pre_classifier", "classifier"}, "classifier pre_classifier score"},
		{"distilbert choices", distilbert.NewForMultipleChoice(distilbertConfig()), choices, layers,
			[]string{"pre_classifier", "classifier"}, "classifier pre_classifier"},
		{"distilbert tokens", distilbert.NewForTokenClassification(distilbertConfig(), 3), tokens, layers,
			[]string{"classifier"}, "classifier score"},
		{"distilbert features", distilbert.New(distilbertConfig()), features, layers, nil, ""},
		{"electra sequences", electra.NewForSequenceClassification(electraConfig(), 3), sequences, layers + 1,
			[]string{"classifier.dense", "classifier.out_proj"}, "classifier score"},
		{"electra choices", electra.NewForMultipleChoice(electraConfig()), summary, layers + 1,
			[]string{"sequence_summary.summary", "classifier"}, "classifier sequence_summary"},
		{"electra features", electra.New(electraConfig()), features, layers + 1, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := filledWith(t, c.model)
			c.config.R, c.config.Alpha, c.config.TargetModules = 2, 4, lora.Names(lora.AllLinear)
			s, err := lora.Attach(m, c.config, 1)
			if err != nil {
				t.Fatal(err)
			}
			pairs := 0
			for _, p := range s.Params() {
				if strings.HasSuffix(p.Name, ".lora_A.weight") {
					pairs++
				}
			}
			if pairs != c.pairs {
				t.Errorf("%d layers are adapted, want %d", pairs, c.pairs)
			}
			var want []string
			for _, module := range c.saved {
				want = append(want, module+".weight", module+".bias")
			}
			if !slices.Equal(s.Saved(), want) {
				t.Errorf("saved %v, want %v", s.Saved(), want)
			}
			dir := t.TempDir()
			if err := s.Save(dir); err != nil {
				t.Fatal(err)
			}
			back, _, err := lora.Load(dir, m)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(back.Params()); n != len(s.Params()) {
				t.Errorf("%d parameters when loaded, before %d", n, len(s.Params()))
			}
			file, _, err := lora.ReadConfig(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(slices.Sorted(slices.Values(file.ModulesToSave)), " "); got != c.names {
				t.Errorf("modules_to_save %q, want %q", got, c.names)
			}
		})
	}
}

// TestSavedTargets: the targets of an adapter of PEFT may name saved modules, since PEFT lists them for all-linear. For
// a new adapter they are an error.
func TestSavedTargets(t *testing.T) {
	m := filledWith(t, roberta.NewForSequenceClassification(robertaConfig(), 3))
	c := lora.Config{R: 2, Alpha: 2, TargetModules: lora.Names("query"), TaskType: lora.SeqCls}
	s, err := lora.Attach(m, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.Save(dir); err != nil {
		t.Fatal(err)
	}
	edit(`"query"`, `"query", "classifier.dense", "classifier.out_proj"`)(t, dir)
	back, _, err := lora.Load(dir, m)
	if err != nil || len(back.Params()) != len(s.Params()) {
		t.Fatalf("got %v", err)
	}
	if want := lora.Names("query", "classifier.dense", "classifier.out_proj"); !back.Config().TargetModules.Equal(want) {
		t.Errorf("the targets have become %s", back.Config().TargetModules)
	}
	edit(`"query", `, ``)(t, dir)
	if _, _, err := lora.Load(dir, m); err == nil ||
		!strings.Contains(err.Error(), "is in modules_to_save, whose weights train directly") {
		t.Errorf("nothing but saved modules: %v", err)
	}
	c.TargetModules = lora.Names("query", "classifier.dense")
	if _, err := lora.Attach(m, c, 1); err == nil ||
		!strings.Contains(err.Error(), `"classifier.dense" is in modules_to_save, whose weights train directly`) {
		t.Errorf("a new adapter: %v", err)
	}
}

// TestUnusedTargets: Load keeps target names that match nothing, but does not adapt them, if one name matches, as PEFT
// requires.
func TestUnusedTargets(t *testing.T) {
	m := filledWith(t, roberta.NewForSequenceClassification(robertaConfig(), 3))
	s, err := lora.Attach(m, lora.Config{R: 2, Alpha: 2, TargetModules: lora.Names("query"), TaskType: lora.SeqCls}, 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.Save(dir); err != nil {
		t.Fatal(err)
	}
	edit(`"query"`, `"lin1", "query", "q_proj", "classifier.dense"`)(t, dir)
	back, warnings, err := lora.Load(dir, m)
	if err != nil || len(back.Params()) != len(s.Params()) {
		t.Fatalf("got %v", err)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], `"lin1" matches no layer`) ||
		!strings.Contains(warnings[1], `"q_proj"`) {
		t.Errorf("warnings %q", warnings)
	}
	if want := lora.Names("lin1", "query", "q_proj", "classifier.dense"); !back.Config().TargetModules.Equal(want) {
		t.Errorf("the targets have become %s", back.Config().TargetModules)
	}
	edit(`"query",`, ``)(t, dir)
	if _, _, err := lora.Load(dir, m); err == nil || !strings.Contains(err.Error(), `"lin1" matches no linear`) {
		t.Errorf("no name that matches: %v", err)
	}
}

// TestDefaultTargets: every default names layers of its architecture; those of PEFT are PEFT's.
func TestDefaultTargets(t *testing.T) {
	for modelType, c := range map[string]struct {
		model spago.Model
		want  lora.Targets
	}{
		"bert":        {bert.New(bertConfig()), lora.Names("query", "value")},
		"roberta":     {roberta.New(robertaConfig()), lora.Names("query", "value")},
		"xlm-roberta": {roberta.New(robertaConfig()), lora.Names("query", "value")},
		"electra":     {electra.New(electraConfig()), lora.Names("query", "value")},
		"distilbert":  {distilbert.New(distilbertConfig()), lora.Names("q_lin", "v_lin")},
	} {
		names, err := models.DefaultTargets(modelType)
		got := lora.Names(names...)
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%s: got %v, %v", modelType, got, err)
			continue
		}
		s, err := lora.Attach(filledWith(t, c.model), lora.Config{R: 1, Alpha: 1, TargetModules: got}, 1)
		if err != nil || len(s.Params()) != 2*2*2 {
			t.Errorf("%s: %v", modelType, err)
		}
	}
	if _, err := models.DefaultTargets("mamba"); err == nil || !strings.Contains(err.Error(), `"mamba"`) {
		t.Errorf("got %v", err)
	}
}

// TestCaseNames: the fixtures cover every architecture with every task.
func TestCaseNames(t *testing.T) {
	for _, architecture := range []string{"bert", "roberta", "xlm_roberta", "distilbert", "electra"} {
		for _, task := range []string{"seq_cls", "token_cls", "qa", "choice", "features"} {
			if list, err := filepath.Glob("../testdata/encoder/" + architecture + "_" + task + "/case.json"); err != nil ||
				len(list) != 1 {
				t.Errorf("no fixture of %s with %s: %v", architecture, task, err)
			}
		}
	}
}
