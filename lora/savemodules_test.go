package lora_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/lora"
)

// TestSaveModules adds a module to a set: it trains and is saved; pairs and copies of the set stay.
func TestSaveModules(t *testing.T) {
	m := newModel(3)
	s := attach(t, m, lora.Config{R: 2, Alpha: 4, TargetModules: lora.Names("query"), TaskType: lora.SeqCls})
	before := s.Params()
	if err := s.SaveModules(m, "pooler", "classifier"); err != nil {
		t.Fatal(err)
	}
	after := s.Params()
	if len(after) != len(before)+2 || !strings.Contains(after[len(before)].Name, "pooler") {
		t.Fatalf("%d parameters, then %d", len(before), len(after))
	}
	for i, p := range before {
		if after[i].Param != p.Param {
			t.Errorf("%s is another parameter", p.Name)
		}
	}
	if c := s.Config().ModulesToSave; !slices.Equal(c, []string{"pooler"}) {
		t.Errorf("modules_to_save %v", c)
	}
	dir := t.TempDir()
	shake(s, 4)
	if err := s.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, _, err := lora.Load(dir, m)
	if err != nil || !slices.Equal(again.Saved(), []string{
		"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias",
	}) {
		t.Errorf("saved %v, %v", again.Saved(), err)
	}
	if err := s.SaveModules(m, "crf"); err == nil || !strings.Contains(err.Error(), `no module "crf"`) {
		t.Errorf("an unknown module: %v", err)
	}
	if err := s.SaveModules(m, "attention"); err == nil || !strings.Contains(err.Error(), "low-rank pair") {
		t.Errorf("an adapted module: %v", err)
	}
}
