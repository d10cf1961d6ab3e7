package adapter_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/golden"
)

// llama returns a copy of the base model of testdata/combine/llama with a tokenizer.
func llama(t *testing.T) string {
	base := clitest.CopyDir(t, filepath.Join(clitest.Testdata, "causal", "llama_embed_tied", "base"))
	clitest.Characters(t, base, 96)
	return base
}

// TestMergeSeveral compares the weights after merging three adapters at once with PEFT's, rsLoRA and patterns included.
func TestMergeSeveral(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	adapters := strings.Join([]string{combined("llama/b"), combined("llama/c"), combined("llama/d")}, ",")
	r := clitest.OK(t, adapter.Command, "merge", "--model", llama(t), "--adapter", adapters, "--output-dir", out)
	if !strings.Contains(r.Out, "differ by at most") {
		t.Errorf("standard output has %q", r.Out)
	}
	want := golden.Open(t, combined("expected.safetensors"))
	n := 0
	list, _ := clitest.Tensors(t, filepath.Join(out, "model.safetensors"))
	for _, x := range list {
		if want.Has("merged." + x.Name) {
			n++
			got, err := safetensors.AsFloat32(x)
			if d := golden.MaxRel(got, want.Float32("merged."+x.Name)); err != nil || d > 1e-6 {
				t.Errorf("%s is off by %.1e: %v", x.Name, d, err)
			}
		}
	}
	if n != 4 {
		t.Errorf("%d weights compared, want 4", n)
	}
	clitest.OK(t, adapter.Command, "merge", "--model", llama(t), "--adapter", combined("llama/b")+","+combined("llama/e"),
		"--output-dir", out, "--overwrite") // the second unties the head
	if config := clitest.Read(t, filepath.Join(out, "config.json")); !strings.Contains(config,
		`"tie_word_embeddings": false`) {
		t.Errorf("the head is still tied: %s", config)
	}
}

// TestMergeSeveralRefused merges adapters that do not go together.
func TestMergeSeveralRefused(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	head := c.Path("adapter_final")
	for _, x := range []struct {
		adapters string
		code     int
		want     string
	}{
		{head + "," + head, 2, "twice"},
		{head + "," + clitest.CopyDir(t, head), 3, "only the first of several may have"},
		{head + ",none", 3, "none: there is no such directory"},
		{head + "," + combined("llama/b"), 3, "the adapter is for CAUSAL_LM"},
	} {
		dir := t.TempDir()
		args := mergeArgs(c, filepath.Join(dir, "out"), "--adapter", x.adapters)
		clitest.Run(t, adapter.Command, args...).Refused(t, x.code, x.want)
		clitest.NothingIn(t, dir)
	}
}

// halved returns a copy of a model whose matrices have another type; vectors stay F32.
func halved(t *testing.T, model string, dtype safetensors.DType) string {
	dir := clitest.CopyDir(t, model)
	file := filepath.Join(dir, "model.safetensors")
	clitest.Rewrite(t, file, func(x safetensors.Tensor) (safetensors.Tensor, bool) {
		if len(x.Shape) < 2 || x.DType != safetensors.F32 {
			return x, true
		}
		values, err := safetensors.AsFloat32(x)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 0, 2*len(values))
		for _, v := range values {
			word := uint16(0x3c00) // 1 in F16; bits of BF16 are the upper half
			if dtype == safetensors.BF16 {
				word = uint16(math.Float32bits(v) >> 16)
			} else if v < 0 {
				word |= 0x8000
			}
			data = append(data, byte(word), byte(word>>8))
		}
		x.DType, x.Data = dtype, data
		return x, true
	})
	return dir
}

// TestUnmerge: unmerging restores the bytes of the weights and of config.json, whatever type the merged model has.
func TestUnmerge(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	words := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "word_embeddings"))
	for _, x := range []struct{ model, adapters string }{
		{c.Path("base"), c.Path("adapter_final")},
		{halved(t, c.Path("base"), safetensors.BF16), c.Path("adapter_final")},
		{words.Path("base"), words.Path("adapter_final")},
		{llama(t), combined("llama/e") + "," + combined("llama/a")}, // a head that is no longer tied
		{halved(t, llama(t), safetensors.F16), combined("llama/b")},
	} {
		for _, dtype := range []string{"float32", "keep", "bfloat16"} {
			dir := t.TempDir()
			merged, back := filepath.Join(dir, "merged"), filepath.Join(dir, "back")
			clitest.OK(t, adapter.Command, "merge", "--quiet", "--model", x.model, "--adapter", x.adapters, "--output-dir",
				merged, "--dtype", dtype, "--keep-original", "--allow-other-base")
			r := clitest.OK(t, adapter.Command, "unmerge", "--model", merged, "--output-dir", back)
			if !strings.Contains(r.Out, "restored ") {
				t.Errorf("standard output has %q", r.Out)
			}
			for _, name := range []string{"model.safetensors", "config.json"} {
				if clitest.Read(t, filepath.Join(back, name)) != clitest.Read(t, filepath.Join(x.model, name)) {
					t.Errorf("%s, %s: %s has other bytes", x.adapters, dtype, name)
				}
			}
			if dtype == "float32" && x.model == c.Path("base") { // what the merged weights determine is not written twice
				record, _ := clitest.Tensors(t, filepath.Join(merged, "unmerge.safetensors"))
				if want := fmt.Sprintf("%d of them", len(record)); !strings.Contains(r.Out, want) || len(record) != 6 {
					t.Errorf("%d tensors are kept: %s", len(record), r.Out)
				}
			}
		}
	}
}

// TestMergeKeep stores each weight in the type that the base model has.
func TestMergeKeep(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	base := halved(t, c.Path("base"), safetensors.BF16)
	out := filepath.Join(t.TempDir(), "out")
	r := clitest.OK(t, adapter.Command, mergeArgs(c, out, "--model", base, "--dtype=keep", "--allow-other-base")...)
	if config := clitest.Read(t, filepath.Join(out, "config.json")); !strings.Contains(config, `"dtype": "bfloat16"`) ||
		!strings.Contains(r.Out, "(bfloat16)") {
		t.Errorf("%s%s", r.Out, config)
	}
	types := map[string]safetensors.DType{}
	want, _ := clitest.Tensors(t, filepath.Join(base, "model.safetensors"))
	for _, x := range want {
		types[x.Name] = x.DType
	}
	got, _ := clitest.Tensors(t, filepath.Join(out, "model.safetensors"))
	for _, x := range got {
		if x.DType != types[x.Name] {
			t.Errorf("%s is %s, want %s", x.Name, x.DType, types[x.Name])
		}
	}
}

// TestUnmergeRefused unmerges what cannot be.
func TestUnmergeRefused(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", "query_value"))
	merged := filepath.Join(t.TempDir(), "merged")
	clitest.OK(t, adapter.Command, mergeArgs(c, merged, "--keep-original")...)
	edit := func(change func(dir string)) string {
		dir := clitest.CopyDir(t, merged)
		change(dir)
		return dir
	}
	changed := edit(func(dir string) {
		setFirst(t, filepath.Join(dir, "model.safetensors"), "bert.embeddings.word_embeddings.weight", 5)
	})
	lacking := edit(func(dir string) {
		clitest.Rewrite(t, filepath.Join(dir, "model.safetensors"), func(x safetensors.Tensor) (safetensors.Tensor, bool) {
			return x, x.Name != "bert.embeddings.word_embeddings.weight"
		})
	})
	damaged := edit(func(dir string) {
		list, _ := clitest.Tensors(t, filepath.Join(dir, "unmerge.safetensors"))
		if err := safetensors.WriteFile(filepath.Join(dir, "unmerge.safetensors"), list, nil); err != nil {
			t.Fatal(err)
		}
	})
	for _, x := range []struct {
		model string
		args  []string
		code  int
		want  string
	}{
		{"", nil, 2, "--model is missing"},
		{"none", nil, 3, "there is no such directory"},
		{c.Path("base"), nil, 3, "has no unmerge.safetensors"},
		{changed, nil, 3, "another checksum than the base model's; the merged model has changed since"},
		{lacking, nil, 3, "word_embeddings.weight is missing or has another shape"},
		{damaged, nil, 3, "the list of tensors"},
		{merged, []string{"--output-dir", merged, "--overwrite"}, 2, "holds --model"},
	} {
		dir := t.TempDir()
		args := append([]string{"unmerge", "--model", x.model, "--output-dir", filepath.Join(dir, "out")}, x.args...)
		clitest.Run(t, adapter.Command, args...).Refused(t, x.code, x.want)
		clitest.NothingIn(t, dir)
	}
}
