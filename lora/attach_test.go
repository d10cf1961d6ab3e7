package lora_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestFreshSetChangesNothing: with B = 0 (embeddings: A = 0) the logits have the same bits as the base's, for all
// targets.
func TestFreshSetChangesNothing(t *testing.T) {
	m := newModel(1)
	b := newBatch()
	want := logitsOf(m, nil, nil, b)
	for _, targets := range []lora.Targets{
		lora.Names("query", "value"), lora.Names("query", "key", "value"), lora.Names("dense"), lora.Names(lora.AllLinear),
		lora.Names("word_embeddings"), lora.Names("word_embeddings", "position_embeddings", "token_type_embeddings", "query"),
		lora.Pattern(`.*layer\.1.*(query|dense)`),
	} {
		for _, task := range []lora.TaskType{lora.NoTask, lora.SeqCls} {
			s := attach(t, m, lora.Config{R: 3, Alpha: 7, TargetModules: targets, TaskType: task})
			if got := logitsOf(m, s, nil, b); !sameBits(got, want) {
				t.Errorf("%s %s: logits %v, base %v", targets, task, got, want)
			}
			shake(s, 1)
			if got := logitsOf(m, s, nil, b); sameBits(got, want) {
				t.Errorf("%s %s: the set has no effect", targets, task)
			}
		}
	}
}

// TestScale: the correction is multiplied by exactly α/r, or α/√r if rank-stabilised, with alpha ≠ r.
func TestScale(t *testing.T) {
	m := newModel(1)
	b := newBatch()
	logits := func(c lora.Config) []float32 {
		c.TargetModules = lora.Names("query", "dense", "word_embeddings")
		s := attach(t, m, c)
		shake(s, 2)
		return logitsOf(m, s, nil, b)
	}
	a, plain := logits(lora.Config{R: 4, Alpha: 2}), logits(lora.Config{R: 4, Alpha: 4})
	if sameBits(a, plain) {
		t.Error("alpha is ignored")
	}
	if !sameBits(a, logits(lora.Config{R: 4, Alpha: 1, UseRSLoRA: true})) {
		t.Error("α/√r with α = 1 and r = 4 must be α/r with α = 2")
	}
}

// TestDraw: the fresh values of a layer depend on the seed and its path, not on the other targets.
func TestDraw(t *testing.T) {
	m := newModel(1)
	few := attach(t, m, lora.Config{R: 3, Alpha: 3, TargetModules: lora.Names("query")})
	many := attach(t, m, lora.Config{R: 3, Alpha: 3, TargetModules: lora.Names("dense", "query", "word_embeddings"),
		TaskType: lora.SeqCls})
	values := map[string][]float32{}
	for _, p := range many.Params() {
		values[p.Name] = op.Values(p.Param)
	}
	for _, p := range few.Params() {
		if !slices.Equal(values[p.Name], op.Values(p.Param)) {
			t.Errorf("%s depends on the other targets", p.Name)
		}
	}
	other, err := lora.Attach(m, lora.Config{R: 3, Alpha: 3, TargetModules: lora.Names("query")}, 8)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[float32]string{}
	for _, s := range []*lora.Set{few, other} {
		for i, p := range s.Params() {
			v := op.Values(p.Param)
			if i%2 == 1 { // B
				if slices.ContainsFunc(v, func(x float32) bool { return x != 0 }) {
					t.Errorf("%s does not start at zero", p.Name)
				}
				continue
			}
			bound := float32(1 / math.Sqrt(16))
			if top := slices.Max(v); top > bound || slices.Min(v) < -bound || top < bound/4 {
				t.Errorf("%s lies in [%g, %g], the bound is %g", p.Name, slices.Min(v), top, bound)
			}
			if name, ok := seen[v[0]]; ok {
				t.Errorf("%s has the same fresh values as %s", p.Name, name)
			}
			seen[v[0]] = p.Name
		}
	}
	for name, v := range values {
		switch {
		case strings.HasSuffix(name, "lora_embedding_A"):
			if slices.ContainsFunc(v, func(x float32) bool { return x != 0 }) {
				t.Errorf("%s does not start at zero", name)
			}
		case strings.HasSuffix(name, "lora_embedding_B"):
			if slices.Max(v) < 1 {
				t.Errorf("%s is not drawn from normal(0, 1)", name)
			}
		}
	}
}

// TestDropoutSites: every pair has its own random stream, different from those of the model's dropouts.
func TestDropoutSites(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, lora.Config{R: 2, Alpha: 2, Dropout: 0.1, TargetModules: lora.Names("query", "value", "dense")})
	sites := map[uint32]string{}
	add := func(site uint32, name string) {
		if other, ok := sites[site]; ok || site == 0 {
			t.Errorf("%s has the random stream %d of %s", name, site, other)
		}
		sites[site] = name
	}
	nn.Walk(m, func(path string, module any) {
		switch l := module.(type) {
		case *nn.Dropout:
			add(l.Site, path)
		case *nn.Linear:
			if c := s.Correction(l.Weight); c != nil {
				add(c.Site, path+" (correction)")
			}
		}
	})
	if len(sites) != 8+11 {
		t.Errorf("%d places", len(sites))
	}
}

// TestTreeDropout: as in PEFT, the printed tree shows the dropout of every adapted layer, also of tables, which ignore
// it.
func TestTreeDropout(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, lora.Config{R: 2, Alpha: 2, Dropout: 0.1, TargetModules: lora.Names("word_embeddings", "query")})
	for _, c := range []struct {
		p    float32
		want string
	}{{0.1, "(default): Dropout(p=0.1, inplace=False)"}, {0, "(default): Identity()"},
		{0.25, "(default): Dropout(p=0.25, inplace=False)"}} {
		s.SetDropout(c.p)
		if n := strings.Count(s.Tree(m), c.want); n != 2 { // the table, and the two equal blocks printed once
			t.Errorf("p = %g: got %q %d times, want 2 times:\n%s", c.p, c.want, n, s.Tree(m))
		}
	}
}

// TestParams: Params lists all trainable parameters in the order of the model, with the names of the adapter file.
func TestParams(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, lora.Config{R: 2, Alpha: 2,
		TargetModules: lora.Pattern(`.*\.(layer\.1\.attention\.self\.(value|query)|token_type_embeddings)`),
		TaskType:      lora.SeqCls, ModulesToSave: []string{"pooler"}})
	var got []string
	for _, p := range s.Params() {
		got = append(got, fmt.Sprint(p.Name, " ", len(op.Values(p.Param)), " ", p.NoDecay))
	}
	const p = "base_model.model.bert."
	want := []string{
		p + "embeddings.token_type_embeddings.lora_embedding_A 4 false",
		p + "embeddings.token_type_embeddings.lora_embedding_B 32 false",
		p + "encoder.layer.1.attention.self.query.lora_A.weight 32 false",
		p + "encoder.layer.1.attention.self.query.lora_B.weight 32 false",
		p + "encoder.layer.1.attention.self.value.lora_A.weight 32 false",
		p + "encoder.layer.1.attention.self.value.lora_B.weight 32 false",
		p + "pooler.dense.weight 256 false", p + "pooler.dense.bias 16 true",
		"base_model.model.classifier.weight 48 false", "base_model.model.classifier.bias 3 true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(s.Saved(), []string{"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight",
		"classifier.bias"}) {
		t.Errorf("saved %v", s.Saved())
	}
	if !slices.Equal(s.Missing(), []string{"score"}) {
		t.Errorf("modules_to_save that the model lacks: %v", s.Missing())
	}
	s.SetDropout(0.5)
	s.SetTaskType(lora.TokenCls)
	s.SetBaseModel("base")
	if c := s.Config(); c.Dropout != 0.5 || c.TaskType != lora.TokenCls || c.BaseModel != "base" {
		t.Errorf("config %+v", c)
	}
}

func TestAttachErrors(t *testing.T) {
	m := newModel(1)
	names := func(n ...string) lora.Config { return lora.Config{R: 2, Alpha: 2, TargetModules: lora.Names(n...)} }
	pattern := func(p string) lora.Config { return lora.Config{R: 2, Alpha: 2, TargetModules: lora.Pattern(p)} }
	for _, c := range []struct {
		name   string
		config lora.Config
		want   []string
	}{
		{"misspelt", names("qeury"), []string{`"qeury" matches no linear or embedding layer`, "nearest are",
			"attention.self.query"}},
		{"another architecture's", names("q_proj"), []string{`"q_proj" matches no`, "query"}},
		{"nothing alike", names("transformer_block_projection_gate"),
			[]string{"the layers are named word_embeddings, position_embeddings, token_type_embeddings, " +
				"query, key, value, dense, classifier"}},
		{"one of several", names("query", "valeu", "dens"), []string{`"valeu"`, `"dens"`, "attention.self.value"}},
		{"part of a name", names("uery"), []string{`"uery" matches no`}},
		{"norm", names("LayerNorm"), []string{`"LayerNorm" matches`, "LayerNorm, which is neither linear nor an embedding"}},
		{"norm beside query", names("query", "LayerNorm"), []string{`"LayerNorm" matches`}},
		{"dropout", names("dropout"), []string{`"dropout" matches`}},
		{"expression over a norm", pattern(`.*(query|LayerNorm)`), []string{"neither linear nor an embedding"}},
		{"expression that matches nothing", pattern(`layer\.0`), []string{"matches no linear or embedding layer"}},
		{"expression that is a part", pattern(`query`), []string{"matches no linear or embedding layer"}},
		{"bad expression", pattern(`(`), []string{"is not a regular expression"}},
		{"saved module", lora.Config{R: 2, Alpha: 2, TargetModules: lora.Names("query", "classifier"), TaskType: lora.SeqCls},
			[]string{`"classifier" is in modules_to_save, whose weights train directly`}},
		{"inside a saved module", lora.Config{R: 2, Alpha: 2, TargetModules: lora.Names("bert.pooler.dense"),
			ModulesToSave: []string{"pooler"}}, []string{"bert.pooler.dense", "modules_to_save"}},
		{"rank", lora.Config{R: 1e9, Alpha: 2, TargetModules: lora.Names("query")},
			[]string{"r is 1000000000", "query (16→16) takes at most 16"}},
		{"rank of all linear", lora.Config{R: 25, Alpha: 2, TargetModules: lora.Names(lora.AllLinear)},
			[]string{"r is 25", "takes at most 16"}},
		{"rank of a table", lora.Config{R: 17, Alpha: 2, TargetModules: lora.Names("word_embeddings")},
			[]string{"r is 17", "(30→16) takes at most 16"}},
		{"config", lora.Config{TargetModules: lora.Names("query")}, []string{"r is 0", "lora_alpha is 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := lora.Attach(m, c.config, 1)
			if err == nil || s != nil {
				t.Fatalf("got a set and %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "lora: ") {
					t.Errorf("got %v\nwant %q in it", err, w)
				}
			}
		})
	}
	empty := bert.NewForSequenceClassification(m.Bert.Config, 3)
	valid := lora.Config{R: 2, Alpha: 2, TargetModules: lora.Names("query"), TaskType: lora.SeqCls}
	if _, err := lora.Attach(empty, valid, 1); err == nil || !strings.Contains(err.Error(), "load the model") {
		t.Errorf("a model without values: %v", err)
	}
}

// TestMatching: targets select the modules that PEFT's matching selects.
func TestMatching(t *testing.T) {
	m := newModel(1)
	for _, c := range []struct {
		name   string
		config lora.Config
		want   int // adapted layers
	}{
		{"last name", lora.Config{TargetModules: lora.Names("query")}, 2},
		{"several parts", lora.Config{TargetModules: lora.Names("output.dense")}, 4},
		{"longer", lora.Config{TargetModules: lora.Names("attention.output.dense")}, 2},
		{"whole path", lora.Config{TargetModules: lora.Names("bert.encoder.layer.0.attention.self.query")}, 1},
		{"twice the same", lora.Config{TargetModules: lora.Names("query", "query", "self.query")}, 2},
		{"dense", lora.Config{TargetModules: lora.Names("dense")}, 7},
		{"dense but the saved pooler", lora.Config{TargetModules: lora.Names("dense"), ModulesToSave: []string{"pooler"}}, 6},
		{"expression", lora.Config{TargetModules: lora.Pattern(`bert\.encoder\.layer\.\d+\.attention\.self\.(query|key)`)},
			4},
		{"alternatives are one expression", lora.Config{TargetModules: lora.Pattern(`.*query|.*value`)}, 4},
		{"all linear", lora.Config{TargetModules: lora.Names(lora.AllLinear)}, 14},
		{"all linear but the head", lora.Config{TargetModules: lora.Names(lora.AllLinear), TaskType: lora.SeqCls}, 13},
		{"the head", lora.Config{TargetModules: lora.Names("classifier")}, 1},
	} {
		c.config.R, c.config.Alpha = 2, 2
		n := 0
		for _, p := range attach(t, m, c.config).Params() {
			if strings.HasSuffix(p.Name, "lora_A.weight") {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%s: %d layers, want %d", c.name, n, c.want)
		}
	}
}

// TestBaseStaysFrozen: training and merging change no byte of the base.
func TestBaseStaysFrozen(t *testing.T) {
	m := newModel(1)
	nn.SetDropout(m, 0)
	before := fingerprint(m)
	s := attach(t, m, lora.Config{R: 3, Alpha: 6, TargetModules: lora.Names("query", "dense", "word_embeddings"),
		TaskType: lora.SeqCls})
	losses := train(t, m, s, nil, 15)
	if !(losses[14] < losses[0]) {
		t.Errorf("the loss does not fall: %v", losses)
	}
	if fingerprint(m) != before {
		t.Error("training has changed the base")
	}
	if _, err := lora.Merge(m, s, nil); err != nil {
		t.Fatal(err)
	}
	if fingerprint(m) != before {
		t.Error("merging has changed the base")
	}
	for _, w := range nn.Weights(m) {
		if w.Weight.Param != nil {
			t.Errorf("%s of the base trains", w.Name)
		}
	}
}

// TestTwoSetsAtOnce: goroutines that train two sets of one model with one pool get the same losses as each alone.
func TestTwoSetsAtOnce(t *testing.T) {
	m := newModel(1)
	pool := op.NewPool(2)
	defer pool.Close()
	configs := []lora.Config{
		{R: 3, Alpha: 6, Dropout: 0.1, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls},
		{R: 2, Alpha: 1, TargetModules: lora.Names("dense", "word_embeddings"), TaskType: lora.SeqCls},
		{R: 4, Alpha: 4, TargetModules: lora.Names(lora.AllLinear)},
	}
	type result struct{ losses, logits []float32 }
	one := func(i int) result {
		s := attach(t, m, configs[i])
		losses := train(t, m, s, pool, 10)
		return result{losses, logitsOf(m, s, pool, newBatch())}
	}
	want := make([]result, len(configs))
	for i := range configs {
		want[i] = one(i)
	}
	got := make([]result, 2*len(configs))
	var wait sync.WaitGroup
	for i := range got {
		wait.Go(func() { got[i] = one(i % len(configs)) })
	}
	wait.Wait()
	for i, g := range got {
		w := want[i%len(configs)]
		if !sameBits(g.losses, w.losses) || !sameBits(g.logits, w.logits) {
			t.Errorf("set %d beside others: losses %v, alone %v", i, g.losses, w.losses)
		}
	}
}

// TestLowestTrainableLayer: the layers below the lowest adapted one keep nothing for the backward.
func TestLowestTrainableLayer(t *testing.T) {
	m := newModel(1)
	memory := func(pattern string) int {
		s := attach(t, m, lora.Config{R: 1, Alpha: 1, TargetModules: lora.Pattern(pattern)})
		tape := op.NewTape(nil)
		defer tape.Close()
		b := newBatch()
		loss, _ := op.CrossEntropy(tape, m.Logits(&nn.Pass{Tape: tape, Train: true, Adapter: s}, b), b.Labels,
			op.CrossEntropyConfig{})
		now, _ := tape.Memory()
		if err := tape.Backward(loss); err != nil {
			t.Fatal(err)
		}
		return now
	}
	low, high, head := memory(`.*layer\.0.*query`), memory(`.*layer\.1.*query`), memory(`classifier`)
	if !(head < high && high < low) {
		t.Errorf("kept for the backward: %d bytes from layer 0, %d from layer 1, %d from the head", low, high, head)
	}
}
