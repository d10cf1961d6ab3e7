package base_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
)

const smallBase = "../testdata/bert/query_value/base"

// stored are the files of the small base, with its values in BF16's precision.
type stored struct {
	t       *testing.T
	files   map[string][]byte
	tensors []safetensors.Tensor
}

func readSmall(t *testing.T) stored {
	s := stored{t: t, files: map[string][]byte{}}
	for _, name := range []string{"config.json", "tokenizer_config.json", "vocab.txt"} {
		s.files[name] = s.read(filepath.Join(smallBase, name))
	}
	f, err := safetensors.Parse(s.read(filepath.Join(smallBase, "model.safetensors")))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		x.Data = append([]byte(nil), x.Data...)
		for i := 0; i < len(x.Data); i += 4 {
			x.Data[i], x.Data[i+1] = 0, 0
		}
		s.tensors = append(s.tensors, x)
	}
	return s
}

func (s stored) read(path string) []byte {
	s.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return content
}

// as returns the tensors in another type and under names with a prefix.
func (s stored) as(t safetensors.DType, prefix string) []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, x := range s.tensors {
		if !strings.HasPrefix(x.Name, "classifier") {
			x.Name = prefix + strings.TrimPrefix(x.Name, "bert.")
		}
		if t == safetensors.BF16 {
			var half []byte
			for i := 2; i < len(x.Data); i += 4 {
				half = append(half, x.Data[i], x.Data[i+1])
			}
			x.DType, x.Data = t, half
		}
		list = append(list, x)
	}
	return list
}

// model opens tensors in one file or, with an index, in two.
func (s stored) model(list []safetensors.Tensor, shards bool) *base.Model[models.Encoder] {
	s.t.Helper()
	files := map[string][]byte{}
	for name, content := range s.files {
		files[name] = content
	}
	write := func(name string, part []safetensors.Tensor) {
		var b strings.Builder
		if err := safetensors.Write(&b, part, nil); err != nil {
			s.t.Fatal(err)
		}
		files[name] = []byte(b.String())
	}
	if !shards {
		write("model.safetensors", list)
	} else {
		half, index := len(list)/2, map[string]string{}
		for i, x := range list {
			index[x.Name] = []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}[i/half%2]
		}
		var parts [2][]safetensors.Tensor
		for _, x := range list {
			n := strings.Count(index[x.Name], "00002-")
			parts[n] = append(parts[n], x)
		}
		write("model-00001-of-00002.safetensors", parts[0])
		write("model-00002-of-00002.safetensors", parts[1])
		files["model.safetensors.index.json"], _ = json.Marshal(map[string]any{"weight_map": index})
	}
	b, err := base.FromFiles("small", files)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { b.Close() })
	return openEncoder(s.t, b)
}

func openEncoder(t *testing.T, b *base.Base) *base.Model[models.Encoder] {
	t.Helper()
	m, err := base.OpenModel(b, zerolog.Nop(), 1, models.OpenEncoder)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFingerprint: neither the type, the shards, the names nor the workers matter; every value does.
func TestFingerprint(t *testing.T) {
	s := readSmall(t)
	want := s.model(s.tensors, false).Fingerprint(nil)
	if !strings.HasPrefix(want, "values:") || len(want) != len("values:")+64 {
		t.Errorf("the fingerprint is %q", want)
	}
	pool := op.NewPool(2)
	defer pool.Close()
	for name, m := range map[string]*base.Model[models.Encoder]{
		"workers": s.model(s.tensors, false), "BF16": s.model(s.as(safetensors.BF16, "bert."), false),
		"prefix": s.model(s.as(safetensors.F32, ""), false), "shards": s.model(s.as(safetensors.BF16, ""), true),
	} {
		if got := m.Fingerprint(pool); got != want || got != m.Fingerprint(nil) {
			t.Errorf("%s: the fingerprint is %s, want %s", name, got, want)
		}
	}
	for i := range s.tensors {
		last := len(s.tensors[i].Data) - 2
		before := s.tensors[i].Data[last]
		s.tensors[i].Data[last] ^= 1 // the smallest change that BF16 holds, in the last value
		changed := s.model(s.tensors, false).Fingerprint(nil) != want
		if head := strings.HasPrefix(s.tensors[i].Name, "classifier"); changed == head {
			t.Errorf("%s: the fingerprint is another after a change: %v", s.tensors[i].Name, changed)
		}
		s.tensors[i].Data[last] = before
	}
}

// TestAdapterOfAnotherBase: an adapter is refused if a single value of its base has changed. One with the fingerprint
// of an earlier version is accepted as that version accepted it.
func TestAdapterOfAnotherBase(t *testing.T) {
	s := readSmall(t)
	trained, rest := s.model(s.tensors, false), s.model(s.as(safetensors.BF16, "bert."), false)
	var words, changed *base.Model[models.Encoder]
	for i, x := range s.tensors {
		if x.Name == "bert.embeddings.word_embeddings.weight" {
			end := len(x.Data) - 4
			for _, at := range []int{end, 0} {
				before := binary.LittleEndian.Uint32(x.Data[at:])
				binary.LittleEndian.PutUint32(s.tensors[i].Data[at:], math.Float32bits(3))
				if m := s.model(s.tensors, false); at == end {
					words = m
				} else {
					changed = m
				}
				binary.LittleEndian.PutUint32(s.tensors[i].Data[at:], before)
			}
		}
	}
	type opened = *base.Model[models.Encoder]
	for _, c := range []struct {
		name, fingerprint string
		fits, not         []opened
	}{
		{"all values", trained.Fingerprint(nil), []opened{trained, rest}, []opened{words, changed}},
		{"first values", trained.SampledFingerprint(), []opened{trained, rest, words}, []opened{changed}},
		{"none", "", []opened{trained, words, changed}, nil},
	} {
		dir := t.TempDir()
		set, err := lora.Attach(trained.Net, lora.Config{R: 2, Alpha: 4, TargetModules: lora.Names("query")}, 1)
		if err != nil {
			t.Fatal(err)
		}
		set.SetFingerprint(c.fingerprint)
		if err := set.Save(dir); err != nil {
			t.Fatal(err)
		}
		load := func(m opened, other bool) error {
			_, err := m.LoadAdapter(base.Adapter{Dir: dir, OtherBase: other}, base.TaskType{}, zerolog.Nop(), nil)
			return err
		}
		for i, m := range c.fits {
			if err := load(m, false); err != nil {
				t.Errorf("%s: base %d: %v", c.name, i, err)
			}
		}
		for i, m := range c.not {
			err := load(m, false)
			if !errors.Is(err, base.ErrInput) || !strings.Contains(err.Error(), "another base model") {
				t.Errorf("%s: other base %d: %v", c.name, i, err)
			}
			if err := load(m, true); err != nil {
				t.Errorf("%s: other base %d, accepted: %v", c.name, i, err)
			}
		}
	}
}

// TestSampledFingerprint holds the rule of earlier versions to what they stored in an adapter.
func TestSampledFingerprint(t *testing.T) {
	b, err := base.Open(smallBase)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const want = "b87374bf6e9685d97167e8887142b81770e4fdb030b9170913ce49ff218b90fc"
	if got := openEncoder(t, b).SampledFingerprint(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
