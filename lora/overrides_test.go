package lora_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/lora"
)

// TestParseOverrides reads pairs as the flags have them.
func TestParseOverrides(t *testing.T) {
	for _, c := range []struct {
		text string
		want lora.Overrides[float64]
		err  string
	}{
		{"query=4", lora.Overrides[float64]{{Pattern: "query", Value: 4}}, ""},
		{"b=1.5, a=2e1", lora.Overrides[float64]{{Pattern: "b", Value: 1.5}, {Pattern: "a", Value: 20}}, ""},
		{`q{1,2}=4,(?=x)y=3`, lora.Overrides[float64]{{Pattern: "q{1,2}", Value: 4}, {Pattern: "(?=x)y", Value: 3}}, ""},
		{"query", nil, `"query" has no value of type float64`},
		{"a=1,b", nil, `"b" has no value`},
		{"=1", nil, "without a pattern"},
		{"a=", nil, "no value"},
		{"a=x", nil, "no value"},
	} {
		got, err := lora.ParseOverrides[float64](c.text)
		if c.err == "" && (err != nil || !slices.Equal(got, c.want)) ||
			c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
		again, err := lora.ParseOverrides[float64](got.String())
		if c.err == "" && (err != nil || !slices.Equal(again, got)) {
			t.Errorf("%q: %q is read as %v, %v", c.text, got, again, err)
		}
	}
	if _, err := lora.ParseOverrides[int]("a=1.5"); err == nil {
		t.Error("a rank of 1.5 is accepted")
	}
}

// FuzzOverrides: what is read once is read again from its own text.
func FuzzOverrides(f *testing.F) {
	f.Add("query=4,q{1,2}=3")
	f.Add("=,=1,a==2")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := lora.ParseOverrides[int](text)
		if err != nil {
			return
		}
		again, err := lora.ParseOverrides[int](list.String())
		if err != nil || !slices.Equal(again, list) {
			t.Errorf("%q: %v is read as %v, %v", text, list, again, err)
		}
	})
}

// TestIdle: entries that match nothing are described, in a loaded adapter as warnings.
func TestIdle(t *testing.T) {
	m := newModel(1)
	s, err := lora.Attach(m, lora.Config{R: 2, Alpha: 2, TargetModules: lora.Names("query"),
		ExcludeModules: lora.Names("kitchen"),
		RankPattern:    lora.Overrides[int]{{Pattern: "value", Value: 1}, {Pattern: "qu.*", Value: 1}},
		AlphaPattern:   lora.Overrides[float64]{{Pattern: "query", Value: 3}, {Pattern: "uery", Value: 3}}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`rank_pattern "value" matches no adapted layer`, `alpha_pattern "uery" matches no adapted layer`,
		"exclude_modules kitchen matches no module"}
	if got := s.Idle(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	_, warnings, err := lora.Load(save(t, s), m)
	for i := range want {
		want[i] = "adapter_config.json: " + want[i]
	}
	if err != nil || !slices.Equal(warnings, want) {
		t.Errorf("loaded: %q, %v", warnings, err)
	}
}

// FuzzTokenRows: any text as rows of tables is an error or is read again from its own text and from its own JSON.
func FuzzTokenRows(f *testing.F) {
	f.Add("3,17")
	f.Add("embed_tokens=3,17;lm_head=5")
	f.Add("=;=1,a")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := lora.ParseTokenRows(text)
		if err != nil {
			return
		}
		c := lora.Config{R: 1, Alpha: 1, TargetModules: lora.Names("q"), TrainableTokenIndices: rows}
		if err := c.Check(); err != nil {
			return
		}
		again, err := lora.ParseTokenRows(rows.String())
		if err != nil || !again.Equal(rows) {
			t.Errorf("%q: %v is read as %v, %v", text, rows, again, err)
		}
		file, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := lora.DecodeConfig(file)
		if utf8.ValidString(text) && (err != nil || !back.TrainableTokenIndices.Equal(rows)) {
			t.Errorf("%q: %s is read as %v, %v", text, file, back.TrainableTokenIndices, err)
		}
	})
}

// TestEnsureWeightTying: the option is an error where table and head would share a pair, and described where it has no
// effect.
func TestEnsureWeightTying(t *testing.T) {
	tied, untied := openScorer(t, "causal/llama_gqa/base"), openScorer(t, "causal/llama_embed/base")
	c := lora.Config{R: 2, Alpha: 2, EnsureWeightTying: true, TargetModules: lora.Names("q_proj", "embed_tokens")}
	if _, err := lora.Attach(tied, c, 1); err == nil || !strings.Contains(err.Error(), "would share a pair") {
		t.Errorf("a pair of the table: %v", err)
	}
	c.TargetModules = lora.Names("q_proj")
	for want, m := range map[string]scorer{
		"since the model has no tied head": untied, "since neither modules_to_save nor target_modules names": tied,
	} {
		s, err := lora.Attach(m, c, 1)
		if err != nil || len(s.Idle()) != 1 || !strings.Contains(s.Idle()[0], want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	c.TrainableTokenIndices = lora.TokenRows{{Table: "embed_tokens", Indices: []int32{1}},
		{Table: "lm_head", Indices: []int32{2}}}
	if _, err := lora.Attach(tied, c, 1); err == nil || !strings.Contains(err.Error(), "lists other rows for lm_head") {
		t.Errorf("other rows of the head: %v", err)
	}
}
