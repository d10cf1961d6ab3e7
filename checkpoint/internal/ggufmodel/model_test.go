package ggufmodel

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/internal/gguftest"
	"github.com/spalora/spalora/tokenize"
)

// llama returns a file with one block: width 8, two heads of width 4, one key/value head, three tokens.
func llama(change ...any) gguftest.File {
	f := gguftest.File{
		Pairs: gguftest.Pairs("general.architecture", "llama", "llama.block_count", uint32(1), "llama.context_length",
			uint32(64),
			"llama.embedding_length", uint32(8), "llama.feed_forward_length", uint32(4), "llama.attention.head_count", uint32(2),
			"llama.attention.head_count_kv", uint32(1), "llama.attention.layer_norm_rms_epsilon", float32(1e-5)),
		Tensors: []gguftest.Tensor{
			floats("token_embd.weight", 8, 3),
			floats("blk.0.attn_q.weight", 8, 8),
			floats("blk.0.attn_k.weight", 8, 4),
			floats("output.weight", 8, 3),
		},
	}
	for i := 0; i < len(change); i += 2 {
		f.Pairs = gguftest.Set(f.Pairs, change[i].(string), change[i+1])
	}
	return f
}

// floats returns an F32 tensor with the elements 0, 1, 2, …; the row length comes first.
func floats(name string, dims ...uint64) gguftest.Tensor {
	n := uint64(1)
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i)
	}
	return stored(name, values, dims...)
}

func stored(name string, values []float32, dims ...uint64) gguftest.Tensor {
	t := gguftest.Tensor{Name: name, Dims: dims}
	for _, x := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(x))
	}
	return t
}

func open(t testing.TB, f gguftest.File) (*Model, error) {
	t.Helper()
	file, err := gguf.Parse(f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(file)
	if err == nil {
		t.Cleanup(func() { m.Close() })
	}
	return m, err
}

// decoded returns a file of the model, decoded from JSON.
func decoded(t testing.TB, m *Model, name string) map[string]any {
	t.Helper()
	text, err := m.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRows(t *testing.T) {
	m, err := open(t, llama())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"model.layers.0.self_attn.q_proj.weight": "[0 2 1 3 4 6 5 7]", // the file interleaves the halves of a head
		"model.layers.0.self_attn.k_proj.weight": "[0 2 1 3]",
		"lm_head.weight":                         "[0 1 2]",
	} {
		x, ok := m.Tensor(name)
		var rows []int
		for at := 0; at < len(x.Data); at += 32 {
			rows = append(rows, int(math.Float32frombits(binary.LittleEndian.Uint32(x.Data[at:])))/8)
		}
		if !ok || fmt.Sprint(rows) != want {
			t.Errorf("%s: rows %v, want %s", name, rows, want)
		}
	}
	if c := decoded(t, m, configName); c["tie_word_embeddings"] != false || c["head_dim"] != 4.0 ||
		c["attention_bias"] != false {
		t.Errorf("%v", c)
	}
	if files := m.Files(); len(files) != 2 {
		t.Errorf("files %q without a vocabulary", files)
	}
}

// TestMoreTokensThanRows: a file may have tokens without a word embedding, as one for padding, which config.json then
// does not name.
func TestMoreTokensThanRows(t *testing.T) {
	m, err := open(t, llama(tokensKey, []string{"a", "b", "c", "<pad>"}, "tokenizer.ggml.padding_token_id", uint32(3),
		"tokenizer.ggml.eos_token_id", uint32(2)))
	if err != nil {
		t.Fatal(err)
	}
	if c := decoded(t, m, configName); c["vocab_size"] != 3.0 || c["pad_token_id"] != nil || c["eos_token_id"] != 2.0 {
		t.Errorf("%v", c)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ arch, name, want string }{
		{"llama", "blk.11.ffn_gate.weight", "model.layers.11.mlp.gate_proj.weight"},
		{"llama", "blk.0.ffn_gate.bias", "model.layers.0.mlp.gate_proj.bias"},
		{"llama", "blk.00.ffn_gate.weight", "blk.00.ffn_gate.weight"},
		{"llama", "blk.+1.ffn_gate.weight", "blk.+1.ffn_gate.weight"},
		{"llama", "0.ffn_gate.weight", "0.ffn_gate.weight"},
		{"llama", "blk.0.ffn_gate_exps.weight", "blk.0.ffn_gate_exps.weight"},
		{"llama", "blk.0.ffn_gate.scale", "blk.0.ffn_gate.scale"},
		{"qwen2", "output_norm.weight", "model.norm.weight"},
		{"gpt2", "position_embd.weight", "transformer.wpe.weight"},
		{"gpt2", "blk.2.attn_output.bias", "transformer.h.2.attn.c_proj.bias"},
	} {
		if got, _, err := architectures[c.arch].name(c.name, 12); got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	for _, name := range []string{"blk.12.ffn_gate.weight", "blk.99999999999.ffn_gate.weight"} {
		if got, _, err := architectures["llama"].name(name, 12); err == nil && got != name {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestRefused(t *testing.T) {
	with := func(f gguftest.File, tensors ...gguftest.Tensor) gguftest.File {
		f.Tensors = append(f.Tensors, tensors...)
		return f
	}
	for name, c := range map[string]struct {
		file gguftest.File
		want string
	}{
		"no architecture": {llama("general.architecture", nil), `lack "general.architecture"`},
		"other": {llama("general.architecture", "phi3"),
			`architecture "phi3" is not supported; want gpt2, llama, qwen2`},
		"adapter":   {llama("general.type", "adapter"), `general.type "adapter", want "model"`},
		"no layers": {llama("llama.block_count", nil), `lack "llama.block_count"`},
		"0 layers":  {llama("llama.block_count", uint32(0)), `"llama.block_count": 0 is out of range`},
		"2^40 layers": {llama("llama.block_count", uint64(1)<<40),
			`"llama.block_count": 1099511627776 is out of range`},
		"layers are text": {llama("llama.block_count", "1"), `key "llama.block_count"`},
		"heads in a list": {llama("llama.attention.head_count", []int32{2}), "got an array of 1 int32, want an integer"},
		"heads": {llama("llama.attention.head_count", uint32(3)),
			"embedding_length 8 is not divisible by attention.head_count 3"},
		"key heads": {llama("llama.attention.head_count", uint32(4), "llama.attention.head_count_kv", uint32(3)),
			"head_count 4 is not divisible by attention.head_count_kv 3"},
		"width": {llama("llama.embedding_length", uint32(16)),
			`tensor "token_embd.weight" is [3 8], but embedding_length is 16`},
		"vocabulary": {llama("llama.vocab_size", uint32(4)), "vocab_size is 4"},
		"epsilon 0": {llama("llama.attention.layer_norm_rms_epsilon", float32(0)),
			"is out of range, want more than 0"},
		"epsilon NaN": {llama("llama.attention.layer_norm_rms_epsilon", float32(math.NaN())), "not a finite number"},
		"partial rotation": {llama("llama.rope.dimension_count", uint32(2), "llama.attention.key_length", uint32(4)),
			"rotating a part of a head"},
		"value length": {llama("llama.attention.value_length", uint32(8)),
			"value_length 8 is not attention.key_length 4"},
		"experts":    {llama("llama.expert_count", uint32(8)), `"llama.expert_count" is 8: not supported`},
		"scale":      {llama("llama.logit_scale", float32(2)), `"llama.logit_scale": not supported`},
		"not causal": {llama("llama.attention.causal", false), `"llama.attention.causal" is false`},
		"token id": {llama("tokenizer.ggml.eos_token_id", uint32(3)),
			`"tokenizer.ggml.eos_token_id": there is no token 3, the model has 3`},
		"negative token id": {llama("tokenizer.ggml.bos_token_id", int32(-1)), "-1 is out of range"},
		"rope type": {llama("llama.rope.scaling.type", "longrope"),
			`"llama.rope.scaling.type" is "longrope": not supported`},
		"yarn factor": {llama("llama.rope.scaling.attn_factor", float32(2)), `attn_factor" is 2: not supported`},
		"factors and type": {with(llama("llama.rope.scaling.type", "linear"), floats(ropeFactors, 2)),
			`tensor "rope_freqs.weight" beside`},
		"factors' shape": {with(llama(), floats(ropeFactors, 3)), "is F32 [3], want F32 [2]"},
		"other factors": {with(llama(), stored(ropeFactors, []float32{1.5, 3}, 2)),
			"its factors are not those of rope_type llama3"},
		"factor NaN": {with(llama(), stored(ropeFactors, []float32{1, float32(math.NaN())}, 2)),
			"its factors are not those"},
		"factor Inf": {with(llama(), stored(ropeFactors, []float32{1, float32(math.Inf(1))}, 2)),
			"its factors are not those"},
		"block 1": {with(llama(), floats("blk.1.attn_norm.weight", 8)),
			`tensor "blk.1.attn_norm.weight": the model has 1 blocks`},
		"rows of heads": {with(llama(), floats("blk.0.attn_q.bias", 6)),
			`tensor "blk.0.attn_q.bias": 6 rows are not pairs of rows for each of 2 heads`},
		"quantised bias": {with(llama(), gguftest.Tensor{Name: "blk.0.attn_q.bias", Dims: []uint64{32},
			Type: 8, Data: make([]byte, 34)}), "a vector of type Q8_0"},
		"window of qwen2": {gguftest.File{
			Pairs: gguftest.Pairs("general.architecture", "qwen2", "qwen2.block_count", uint32(1), "qwen2.context_length",
				uint32(64),
				"qwen2.embedding_length", uint32(8), "qwen2.feed_forward_length", uint32(4), "qwen2.attention.head_count",
				uint32(2),
				"qwen2.attention.layer_norm_rms_epsilon", float32(1e-5), "qwen2.attention.sliding_window", uint32(8)),
			Tensors: []gguftest.Tensor{floats("token_embd.weight", 8, 3)},
		}, "attention.sliding_window 8: not supported for architecture qwen2"},
		"no embeddings": {gguftest.File{Pairs: llama().Pairs}, `no tensor "token_embd.weight"`},
	} {
		if _, err := open(t, c.file); err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRope(t *testing.T) {
	// llama3 as in LLaMA 3.1 and 3.2, by the formula of transformers' modeling_rope_utils.
	factors := func(theta, factor, original float64, width int) []float32 {
		list := make([]float32, width/2)
		for i := range list {
			wave := float32(2*math.Pi) * float32(math.Pow(theta, float64(2*i)/float64(width)))
			smooth := (float32(original)/wave - 1) / 3
			list[i] = 1 / ((1-smooth)/float32(factor) + smooth)
			if wave < float32(original/4) {
				list[i] = 1
			} else if wave > float32(original) {
				list[i] = float32(factor)
			}
		}
		return list
	}
	wide := func(list []float32) gguftest.File {
		f := llama("llama.attention.key_length", uint32(2*len(list)), "llama.attention.value_length", uint32(2*len(list)),
			"llama.rope.dimension_count", uint32(2*len(list)), "llama.rope.freq_base", float32(500000))
		f.Tensors = []gguftest.Tensor{f.Tensors[0], stored(ropeFactors, list, uint64(len(list)))}
		return f
	}
	llama3 := func(factor, original int) string {
		return fmt.Sprintf("map[factor:%d high_freq_factor:4 low_freq_factor:1 original_max_position_embeddings:%d "+
			"rope_theta:500000 rope_type:llama3]",
			factor, original)
	}
	for name, c := range map[string]struct {
		file gguftest.File
		want string
	}{
		"default": {llama(), "map[rope_theta:10000 rope_type:default]"},
		"none": {llama("llama.rope.scaling.type", "none", "llama.rope.freq_base", float32(1e6)),
			"map[rope_theta:1e+06 rope_type:default]"},
		"linear": {llama("llama.rope.scaling.type", "linear", "llama.rope.scaling.factor", float32(4)),
			"map[factor:4 rope_theta:10000 rope_type:linear]"},
		"linear 1": {llama("llama.rope.scaling.type", "linear", "llama.rope.scaling.factor", float32(1)),
			"map[rope_theta:10000 rope_type:default]"},
		"of 2023": {llama("llama.rope.scale_linear", float32(2)), "map[factor:2 rope_theta:10000 rope_type:linear]"},
		"yarn": {llama("llama.rope.scaling.type", "yarn", "llama.rope.scaling.factor", float32(4),
			"llama.rope.scaling.original_context_length", uint32(16)),
			"map[beta_fast:32 beta_slow:1 factor:4 original_max_position_embeddings:16 rope_theta:10000 rope_type:yarn]"},
		"llama 3.1":     {wide(factors(5e5, 8, 8192, 128)), llama3(8, 8192)},
		"llama 3.2":     {wide(factors(5e5, 32, 8192, 64)), llama3(32, 8192)},
		"of a shorter":  {wide(factors(5e5, 4, 2048, 64)), llama3(4, 2048)},
		"factors all 1": {wide([]float32{1, 1, 1, 1}), "map[rope_theta:500000 rope_type:default]"},
	} {
		m, err := open(t, c.file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := fmt.Sprint(decoded(t, m, configName)["rope_parameters"]); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestMistral(t *testing.T) {
	m, err := open(t, llama("llama.attention.sliding_window", uint32(16), "llama.tensor_data_layout",
		"Meta AI original pth", "general.name", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if c := decoded(t, m, configName); c["model_type"] != "mistral" || c["sliding_window"] != 16.0 || len(m.Notes()) != 0 {
		t.Errorf("%v, %q", c, m.Notes())
	}
}

// byteVocabulary returns the tokens of all bytes, followed by more.
func byteVocabulary(more ...string) (tokens []string, types []int32) {
	for _, r := range byteLetters() {
		tokens, types = append(tokens, string(r)), append(types, 1)
	}
	for _, token := range more {
		tokens, types = append(tokens, token), append(types, 1)
	}
	return tokens, types
}

// worded returns a file with the given vocabulary.
func worded(tokens []string, types []int32, change ...any) gguftest.File {
	f := llama(append([]any{tokensKey, tokens, typesKey, types}, change...)...)
	f.Tensors[0] = floats("token_embd.weight", 8, uint64(len(tokens)))
	f.Tensors = f.Tensors[:1]
	return f
}

// Every name of a pre-tokenizer gives a file that package tokenize reads, and that splits texts correctly.
func TestPreTokenizers(t *testing.T) {
	tokens, types := byteVocabulary("12", "ĊĊ", "'S", "ab", "a b")
	merges := []string{"1 2", "Ċ Ċ", "' S", "a b"}
	ids := func(list ...string) (out []int32) {
		for _, token := range list {
			for id, other := range tokens {
				if other == token {
					out = append(out, int32(id))
				}
			}
		}
		return out
	}
	for _, c := range []struct {
		names map[string]bool
		want  []int32 // of "12'S\n\n1"
	}{
		{gpt2Pre, ids("12", "'", "S", "Ċ", "Ċ", "1")},
		{digitsPre, ids("1", "2", "'", "S", "ĊĊ", "1")},
		{llama3Pre, ids("12", "'S", "ĊĊ", "1")},
		{qwen2Pre, ids("1", "2", "'S", "ĊĊ", "1")},
	} {
		for name := range c.names {
			pre := any(name)
			if name == "" {
				pre = nil
			}
			m, err := open(t, worded(tokens, types, modelKey, "gpt2", mergesKey, merges, preKey, pre))
			if err != nil {
				t.Fatal(err)
			}
			tok, err := tokenize.Load(m.Read)
			if err != nil {
				t.Errorf("%q: %v", name, err)
				continue
			}
			e, err := tok.Encode("12'S\n\n1", tokenize.Options{})
			if err != nil || !reflect.DeepEqual(e.IDs, c.want) {
				t.Errorf("%q: %v, %v, want %v", name, e.IDs, err, c.want)
			}
			if token, _ := tok.Token(int32(len(tokens) - 1)); token != "aĠb" {
				t.Errorf("%q: the plain token is spelled %q", name, token)
			}
		}
	}
}

// Ties have the order that transformers.tokenization_utils_base.generate_merges gave for these tokens and scores.
func TestImpliedMerges(t *testing.T) {
	tokens := []string{"<unk>", "a", "b", "c", "ab", "bc", "abc", "aa", "aaa", "é", "éa", "aé"}
	scores := []float32{0, 0, 0, 0, -1, -1, -2, -1, -2, 0, -1, -1}
	m, err := open(t, worded(tokens, make([]int32, len(tokens)), modelKey, "llama", scoresKey, scores))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(decoded(t, m, tokenizerName)["model"].(map[string]any)["merges"])
	if want := "[[a b] [b c] [a a] [é a] [a é] [ab c] [aa a] [a bc] [a aa]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSettings(t *testing.T) {
	tokens, types := []string{"<unk>", "<s>", "</s>", "▁", "<x>", ""}, []int32{2, 3, 3, 1, 4, 5}
	m, err := open(t, worded(tokens, types, modelKey, "llama", scoresKey, make([]float32, 6),
		"tokenizer.ggml.bos_token_id", uint32(1),
		"tokenizer.ggml.eos_token_id", uint32(2), "tokenizer.ggml.unknown_token_id", uint32(0),
		"tokenizer.ggml.add_eos_token", true,
		"tokenizer.ggml.add_space_prefix", false, "tokenizer.chat_template", "A", "tokenizer.chat_template.tool_use", "B"))
	if err != nil {
		t.Fatal(err)
	}
	s := decoded(t, m, settingsName)
	if got := fmt.Sprint(s["chat_template"]); got != "[map[name:default template:A] map[name:tool_use template:B]]" ||
		s["add_bos_token"] != true {
		t.Errorf("%v", s)
	}
	j := decoded(t, m, tokenizerName)
	var added []string
	for _, a := range j["added_tokens"].([]any) {
		added = append(added, fmt.Sprint(a.(map[string]any)["content"], a.(map[string]any)["special"]))
	}
	if got := fmt.Sprint(added); got != "[<unk>true <s>true </s>true <x>false]" {
		t.Error(got)
	}
	if got := fmt.Sprint(j["pre_tokenizer"]); got != "map[prepend_scheme:never replacement:▁ split:false "+
		"type:Metaspace]" {
		t.Error(got)
	}
	if got := len(j["decoder"].(map[string]any)["decoders"].([]any)); got != 3 {
		t.Errorf("%d decoders", got)
	}
	p := j["post_processor"].(map[string]any)
	if len(p["single"].([]any)) != 3 || len(p["pair"].([]any)) != 6 || len(p["special_tokens"].(map[string]any)) != 2 {
		t.Errorf("%v", p)
	}
}

func TestTokenizerRefused(t *testing.T) {
	tokens, types := []string{"a", "b", "ab"}, []int32{1, 1, 1}
	for name, c := range map[string]struct {
		change []any
		want   string
	}{
		"no model": {[]any{}, `lack "tokenizer.ggml.model"`},
		"model":    {[]any{modelKey, "t5"}, `tokenizer model "t5" is not supported; want gpt2 or llama`},
		"pre": {[]any{modelKey, "gpt2", mergesKey, []string{"a b"}, preKey, "viking"},
			`splitting texts as "viking" does is not supported`},
		"no merges": {[]any{modelKey, "gpt2"}, `lack "tokenizer.ggml.merges"`},
		"merge": {[]any{modelKey, "gpt2", mergesKey, []string{"a b", "a b c"}},
			`element 1, "a b c", is not two tokens`},
		"no scores":    {[]any{modelKey, "llama"}, `lack both "tokenizer.ggml.merges" and "tokenizer.ggml.scores"`},
		"scores":       {[]any{modelKey, "llama", scoresKey, []float32{1}}, "has 1 values for 3 tokens"},
		"scores' type": {[]any{modelKey, "llama", scoresKey, []int32{1, 2, 3}}, "want an array of floats"},
		"types":        {[]any{modelKey, "llama", typesKey, []int32{1}}, "has 1 values for 3 tokens"},
		"token twice":  {[]any{modelKey, "llama", tokensKey, []string{"a", "b", "a"}}, `token "a" has two ids, 0 and 2`},
		"two spellings": {[]any{modelKey, "gpt2", mergesKey, []string{}, tokensKey, []string{" ", "Ġ", "b"}},
			"both mean the bytes of"},
		"not UTF-8":     {[]any{modelKey, "llama", tokensKey, []string{"a", "b", "\xff"}}, "element 2"},
		"add_bos_token": {[]any{modelKey, "llama", "tokenizer.ggml.add_bos_token", uint32(1)}, "want a truth value"},
		"long token": {[]any{modelKey, "llama", scoresKey, []float32{0, 0, 0}, tokensKey,
			[]string{"a", "b", strings.Repeat("x", 1<<16)}}, "too long to be split"},
	} {
		m, err := open(t, worded(tokens, types, c.change...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := m.Read(tokenizerName); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 400 {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
