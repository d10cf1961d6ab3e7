package lora_test

import (
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
)

// put writes files to a new directory, which it returns.
func put(t testing.TB) (dir string, f func(name string, write func(io.Writer) error) error) {
	dir = t.TempDir()
	return dir, func(name string, write func(io.Writer) error) error {
		return files.WriteFile(filepath.Join(dir, name), write)
	}
}

// TestReduce: the full rank changes nothing within rounding, a lower one loses what the report says, and the files
// load.
func TestReduce(t *testing.T) {
	for _, name := range []string{"llama/a", "llama/c", "llama/d", "gpt2/b"} {
		group, adapter, _ := strings.Cut(name, "/")
		d := detached(t, group, adapter)
		most := 0
		for _, l := range d.Layers {
			most = max(most, l.Rank)
		}
		for rank := most; rank >= 1; rank-- {
			small, report, err := d.Reduce(rank)
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range d.Layers {
				r, got := report[i], small.Layers[i]
				want, is := correction(d, l.Path, l.In*l.Out), correction(small, l.Path, l.In*l.Out)
				var norm, lost float64
				for j, v := range want {
					norm += float64(v) * float64(v)
					lost += (float64(is[j]) - float64(v)) * (float64(is[j]) - float64(v))
				}
				norm, lost = math.Sqrt(norm), math.Sqrt(lost)
				if r.Path != l.Path || r.Before != l.Rank || r.Rank != min(rank, l.Rank) || got.Rank != r.Rank ||
					math.Abs(r.Norm/norm-1) > 1e-6 || math.Abs(r.Error-lost) > 1e-6*norm || (r.Error == 0) != (rank >= l.Rank) {
					t.Errorf("%s %d: %+v, want norm %g and error %g", name, rank, r, norm, lost)
				}
			}
			dir, f := put(t)
			if err := small.Write(f); err != nil {
				t.Fatal(err)
			}
			back, _, err := lora.ReadDetached(dir)
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range back.Layers {
				if l.Scale != 1 || l.Rank != small.Layers[i].Rank || !sameBits(l.A, small.Layers[i].A) {
					t.Errorf("%s %d: %s is %d×%d with scale %g", name, rank, l.Path, l.Rank, l.In, l.Scale)
				}
			}
		}
	}
	d := detached(t, "llama", "d") // ranks 4 and 2
	for _, rank := range []int{0, 5} {
		if _, _, err := d.Reduce(rank); err == nil || !strings.Contains(err.Error(), "at most 4") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// TestEffectiveRank looks at spectra that are known.
func TestEffectiveRank(t *testing.T) {
	for _, x := range []struct {
		singular   []float64
		norm, rank float64
	}{{[]float64{3, 4}, 5, 1.9795}, {[]float64{2, 2, 2, 0}, math.Sqrt(12), 3}, {[]float64{0, 0}, 0, 0},
		{[]float64{7}, 7, 1}} {
		n, r := lora.Norm(x.singular), lora.EffectiveRank(x.singular)
		if math.Abs(n-x.norm) > 1e-12 || math.Abs(r-x.rank) > 1e-3 {
			t.Errorf("%v: norm %g, effective rank %g; want %g and %g", x.singular, n, r, x.norm, x.rank)
		}
	}
}

// TestChanges compares adapters with themselves, with their negative, and with others.
func TestChanges(t *testing.T) {
	a := detached(t, "llama", "a")
	negative := combineOf(t, lora.Combination{Type: lora.Linear, Weights: []float64{-2}}, "a")
	for _, x := range []struct {
		other              *lora.Detached
		difference, cosine float64
	}{{a, 0, 1}, {negative, 3, -1}} {
		list, err := a.Changes(x.other)
		if err != nil || len(list) != len(a.Layers) {
			t.Fatal(err, list)
		}
		for _, c := range list {
			if math.Abs(c.Difference/c.Norm-x.difference) > 1e-6 || math.Abs(c.Cosine-x.cosine) > 1e-6 {
				t.Errorf("%+v, want a difference of %g and cosine %g", c, x.difference, x.cosine)
			}
		}
	}
	list, err := a.Changes(detached(t, "llama", "b"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		switch {
		case strings.HasSuffix(c.Path, "v_proj"):
			if c.Rank != 0 || c.OtherRank != 4 || math.Abs(c.Difference-c.OtherNorm) > 1e-9 || !math.IsNaN(c.Cosine) {
				t.Errorf("only in the second: %+v", c)
			}
		case strings.HasSuffix(c.Path, "q_proj"):
			l := layerOf(t, a, c.Path)
			x, y := correction(a, c.Path, l.In*l.Out), correction(detached(t, "llama", "b"), c.Path, l.In*l.Out)
			if d := golden.RelFrobenius(x, y); math.Abs(d-c.Difference/c.OtherNorm) > 1e-6 {
				t.Errorf("%+v, want a difference of %g", c, d*c.OtherNorm)
			}
		}
	}
	other := detached(t, "llama", "a")
	other.Layers[0].In, other.Layers[0].A = 95, other.Layers[0].A[:95*4]
	if _, err := a.Changes(other); err == nil || !strings.Contains(err.Error(), "different base models") {
		t.Errorf("another size: %v", err)
	}
}

// TestDetached: every adapter of PEFT comes back from its detached form with the bits that it was loaded with.
func TestDetached(t *testing.T) {
	eachAdapterCase(t, func(t *testing.T, x *adapterCase) {
		s, _, err := lora.Load(x.dir, x.model)
		if err != nil {
			t.Fatal(err)
		}
		want := x.logits(x.model, s)
		read, _, err := lora.ReadDetached(x.dir)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Detach()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*lora.Detached{read, d} {
			back, _, err := d.Attach(x.model)
			if err != nil {
				t.Fatal(err)
			}
			if !sameBits(x.logits(x.model, back), want) {
				t.Error("other logits")
			}
		}
	})
}

// TestReadDetachedRefused reads damaged files.
func TestReadDetachedRefused(t *testing.T) {
	from := filepath.Join(combined, "llama", "a")
	for what, x := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   string
	}{
		"another rank":   {edit(`"r": 4`, `"r": 3`), "the rank in adapter_config.json is 3"},
		"a pattern":      {edit(`"rank_pattern": {}`, `"rank_pattern": {"q_proj": 9}`), "is 9; they belong to different"},
		"half of a pair": {tensors(without("0.self_attn.q_proj.lora_A")), "only one tensor of the pair"},
		"no pairs":       {tensors(without("lora_")), "no tensor of a pair"},
	} {
		dir := copyAdapter(t, from)
		x.damage(t, dir)
		if _, _, err := lora.ReadDetached(dir); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %q", what, err, x.want)
		}
	}
	_, _, err := lora.ReadDetached(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "no adapter_config.json") {
		t.Errorf("an empty directory: %v", err)
	}
}
