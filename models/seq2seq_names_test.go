package models_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// TestSeq2SeqNames opens checkpoints whose tensors have other names than the fixtures': with and without the prefix of
// the base model, with the copies of the word table, with a copy in its place, and with a head of its own.
func TestSeq2SeqNames(t *testing.T) {
	rename := func(from, to string) func([]safetensors.Tensor) []safetensors.Tensor {
		return func(list []safetensors.Tensor) []safetensors.Tensor {
			for i, x := range list {
				if rest, ok := strings.CutPrefix(x.Name, from); ok && x.Name != "final_logits_bias" {
					list[i].Name = to + rest
				}
			}
			return list
		}
	}
	beside := func(names ...string) func([]safetensors.Tensor) []safetensors.Tensor {
		return func(list []safetensors.Tensor) []safetensors.Tensor {
			i := slices.IndexFunc(list, func(x safetensors.Tensor) bool { return strings.HasSuffix(x.Name, "shared.weight") })
			for _, name := range names {
				x := list[i]
				x.Name = name
				list = append(list, x)
			}
			return list
		}
	}
	other := func(list []safetensors.Tensor) []safetensors.Tensor {
		list = beside("lm_head.weight")(list)
		x := &list[len(list)-1]
		half := len(x.Data) / x.Shape[0] * 3
		x.Data = append(bytes.Clone(x.Data[half:]), x.Data[:half]...)
		return list
	}
	for _, c := range []struct {
		name, dir string
		edit      func([]safetensors.Tensor) []safetensors.Tensor
		untied    int // heads that report.Untied has
	}{
		{"prefix", "t5", rename("", "transformer."), 0},
		{"copies", "t5", beside("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"), 0},
		{"a copy only", "t5", rename("shared.", "encoder.embed_tokens."), 0},
		{"other head", "t5", other, 1},
		{"other head expected", "byt5", other, 0},
		{"no prefix", "bart", rename("model.", ""), 0},
		{"copies", "bart", beside("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"),
			0},
		{"computed positions", "marian", beside("model.encoder.embed_positions.weight"), 0},
	} {
		t.Run(c.dir+" "+c.name, func(t *testing.T) {
			base := filepath.Join("../testdata/seq2seq", c.dir, "base")
			read := func(name string) []byte {
				text, err := os.ReadFile(filepath.Join(base, name))
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
			f, err := safetensors.Parse(read("model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			var tensors []safetensors.Tensor
			for _, name := range f.Names() {
				x, _ := f.Tensor(name)
				x.Name = name
				tensors = append(tensors, x)
			}
			open := func(tensors []safetensors.Tensor) (models.Seq2SeqLM, checkpoint.Report) {
				var b bytes.Buffer
				if err := safetensors.Write(&b, tensors, nil); err != nil {
					t.Fatal(err)
				}
				src, err := checkpoint.FromBytes(map[string][]byte{"config.json": read("config.json"),
					"model.safetensors": b.Bytes()})
				if err != nil {
					t.Fatal(err)
				}
				m, report, err := models.OpenSeq2SeqLM(src)
				if err != nil {
					t.Fatal(err)
				}
				return m, report
			}
			want, _ := open(slices.Clone(tensors))
			got, report := open(c.edit(slices.Clone(tensors)))
			if len(report.Untied) != c.untied || len(report.Fresh) > 0 {
				t.Errorf("report: %v", report)
			}
			b := pairs(want, [2]int{5, 4}, [2]int{3, 6})
			same := slices.Equal(seq2seqLogits(got, nn.Pass{}, b), seq2seqLogits(want, nn.Pass{}, b))
			if head := strings.HasPrefix(c.name, "other head"); same == head {
				t.Errorf("the logits are those of the fixture: %v", same)
			}
		})
	}
}
