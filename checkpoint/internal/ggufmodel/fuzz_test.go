package ggufmodel

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/internal/strictjson"
)

// For any metadata the result is an error, or files that are strict JSON and tensors whose data fit their shapes.
func FuzzModel(f *testing.F) {
	f.Add(llama().Bytes())
	f.Add(llama("llama.rope.scaling.type", "yarn", "llama.attention.sliding_window", uint32(4)).Bytes())
	words, types := []string{"<unk>", "<s>", "a", "b", "ab"}, []int32{2, 3, 1, 1, 1}
	f.Add(worded(words, types, modelKey, "llama", scoresKey, []float32{0, 0, 0, 0, -1}, "tokenizer.ggml.bos_token_id",
		uint32(1)).Bytes())
	f.Add(worded(words, types, modelKey, "gpt2", mergesKey, []string{"a b"}, preKey, "qwen2", "tokenizer.chat_template",
		"x").Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.Parse(data)
		if err != nil {
			return
		}
		m, err := New(file)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("the message has several lines: %q", err)
			}
			return
		}
		defer m.Close()
		for _, name := range m.Names() {
			x, ok := m.Tensor(name)
			if !ok || x.Len() < 1 || len(x.Data) == 0 {
				t.Fatalf("%q: %v, %d bytes", name, x.Shape, len(x.Data))
			}
		}
		for _, name := range m.Files() {
			text, err := m.Read(name)
			if err == nil {
				err = strictjson.Check(text)
			} else if name == configName || name == generationName {
				t.Fatalf("%s: %v", name, err)
			} else {
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
}
