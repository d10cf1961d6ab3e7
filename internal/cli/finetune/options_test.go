package finetune_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// adapterConfig returns adapter_config.json of a run.
func adapterConfig(t *testing.T, dir string) map[string]any {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(dir, "adapter_config.json"))), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSelectionFlags: the flags for some of the layers reach adapter_config.json, from a YAML file too; entries without
// effect are warnings; a run that starts from the adapter has its settings and refuses others.
func TestSelectionFlags(t *testing.T) {
	dir := t.TempDir()
	flags := []string{"--target-modules=query,value", "--exclude-modules=0.attention.self.value,pooler",
		"--layers-to-transform=0,1", "--layers-pattern=layer", "--rank-pattern=query=4,key=3",
		"--alpha-pattern=1.attention.self.query=2.5"}
	config := clitest.Write(t, filepath.Join(dir, "run.yaml"), "target_modules: [query, value]\n"+
		"exclude_modules: [0.attention.self.value, pooler]\nlayers_to_transform: [0, 1]\nlayers_pattern: layer\n"+
		"rank_pattern:\n  query: 4\n  key: 3\nalpha_pattern: {1.attention.self.query: 2.5}\n")
	want := map[string]any{
		"target_modules": []any{"query", "value"}, "exclude_modules": []any{"0.attention.self.value", "pooler"},
		"layers_to_transform": []any{0.0, 1.0}, "layers_pattern": []any{"layer"},
		"rank_pattern":  map[string]any{"query": 4.0, "key": 3.0},
		"alpha_pattern": map[string]any{"1.attention.self.query": 2.5},
	}
	var out string
	for name, args := range map[string][]string{"flags": flags, "file": {"--config", config}} {
		out = filepath.Join(dir, name)
		r := clitest.OK(t, finetune.Command, smallArgs(t, append(args, "--max-steps=2", "--output-dir", out)...)...)
		if !strings.Contains(r.Err, `rank_pattern "key" matches no adapted layer; it has no effect`) ||
			strings.Count(r.Err, "it has no effect") != 1 {
			t.Errorf("%s: the log is\n%s", name, r.Err)
		}
		got := adapterConfig(t, out)
		for key, value := range want {
			if !reflect.DeepEqual(got[key], value) {
				t.Errorf("%s: %s is %v, want %v", name, key, got[key], value)
			}
		}
	}
	again := filepath.Join(dir, "again")
	clitest.OK(t, finetune.Command,
		smallArgs(t, append(flags, "--adapter", out, "--max-steps=1", "--output-dir", again)...)...)
	if got := adapterConfig(t, again); !reflect.DeepEqual(got["rank_pattern"], want["rank_pattern"]) {
		t.Errorf("a run that starts from the adapter has %v", got)
	}
	for _, flag := range []string{"--exclude-modules=query", "--layers-to-transform=1", "--layers-pattern=h",
		"--rank-pattern=query=2", "--alpha-pattern=query=1"} {
		name, _, _ := strings.Cut(flag, "=")
		r := clitest.Run(t, finetune.Command, smallArgs(t, flag, "--adapter", out, "--max-steps=1", "--output-dir",
			filepath.Join(dir, "refused"))...)
		if r.Code != cli.Usage || !strings.Contains(r.Err, name+" is ") || !strings.Contains(r.Err, "but the adapter") {
			t.Errorf("%s: code %d\n%s", flag, r.Code, r.Err)
		}
	}
}

// TestTokenFlags: rows of tables and tied heads reach adapter_config.json, from a YAML file too, and what cannot train
// is refused.
func TestTokenFlags(t *testing.T) {
	dir := t.TempDir()
	list := clitest.Write(t, filepath.Join(dir, "list.yaml"), "trainable_token_indices: [5, 17]\n")
	mapping := clitest.Write(t, filepath.Join(dir, "map.yaml"), "trainable_token_indices: {word_embeddings: [5, 17]}\n")
	for i, c := range []struct {
		args []string
		want any
	}{
		{[]string{"--trainable-token-indices=5,17"}, []any{5.0, 17.0}},
		{[]string{"--config", list}, []any{5.0, 17.0}},
		{[]string{"--trainable-token-indices=word_embeddings=5,17"},
			map[string]any{"word_embeddings": []any{5.0, 17.0}}},
		{[]string{"--config", mapping}, map[string]any{"word_embeddings": []any{5.0, 17.0}}},
	} {
		out := filepath.Join(dir, string(rune('a'+i)))
		clitest.OK(t, finetune.Command, smallArgs(t, append(c.args, "--max-steps=2", "--output-dir", out)...)...)
		if got := adapterConfig(t, out)["trainable_token_indices"]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %v, want %v", c.args, got, c.want)
		}
		if again := filepath.Join(dir, "again"); i == 3 {
			clitest.OK(t, finetune.Command, smallArgs(t, "--adapter", out, "--max-steps=1", "--output-dir", again)...)
			if got := adapterConfig(t, again)["trainable_token_indices"]; !reflect.DeepEqual(got, c.want) {
				t.Errorf("a run that starts from the adapter has %v", got)
			}
		}
	}
	for args, want := range map[string]string{
		"--trainable-token-indices=96":                                                  "row 96 of a table of 96 rows",
		"--trainable-token-indices=-1":                                                  "row -1 of a table",
		"--trainable-token-indices=x":                                                   "is not a list of row numbers",
		"--trainable-token-indices=wod_embeddings=1":                                    "the nearest are",
		"--trainable-token-indices=5 --target-modules=query,word_embeddings":            "remove it from one of them",
		"--trainable-token-indices=word_embeddings=5 --modules-to-save=word_embeddings": "is in modules_to_save",
	} {
		all := append(strings.Fields(args), "--max-steps=1", "--output-dir", filepath.Join(dir, "refused"))
		clitest.Run(t, finetune.Command, smallArgs(t, all...)...).Refused(t, cli.Usage, want)
	}
}
