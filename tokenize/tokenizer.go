package tokenize

import "sync"

// Tokenizer turns text into the ids of a checkpoint's vocabulary and back. It is
// made by Load and safe for concurrent use.
type Tokenizer struct {
	source       *matcher // added tokens found in the text as given
	normalizer   normalizer
	normal       *matcher // added tokens found in the normalized text
	preTokenizer preTokenizer
	model        model
	template     template
	decoder      decoder

	tokens    []string         // by id
	missing   map[int32]bool   // ids below the last that have no token
	space     []blanksAround   // by id, if the template trims offsets
	spelling  []string         // by id, as Decode writes it
	ids       map[string]int32 // by token
	special   map[string]bool  // contents of special added tokens
	roles     [roleCount]int32 // ids, -1 = none
	maxLength int
	warnings  []string

	scratch *sync.Pool // of *buffers
}

// VocabSize is the last id plus one. It is the number of tokens unless the
// vocabulary has gaps, which Token tells.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// ID returns the id of a token.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token returns the token of an id.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if !t.has(id) {
		return "", false
	}
	return t.tokens[id], true
}

// has reports whether id has a token.
func (t *Tokenizer) has(id int32) bool {
	return id >= 0 && int(id) < len(t.tokens) && !t.missing[id]
}

// MaxLength is model_max_length of tokenizer_config.json, or 0 if that sets no
// limit. The model's own number of positions may be smaller.
func (t *Tokenizer) MaxLength() int { return t.maxLength }

// Warnings lists what the checkpoint's files contradict each other in. Where they
// do, tokenizer.json is followed.
func (t *Tokenizer) Warnings() []string { return t.warnings }

// PadID is the id of the padding token, or -1.
func (t *Tokenizer) PadID() int32 { return t.roles[rolePad] }

// UnkID is the id of the token for unknown words, or -1.
func (t *Tokenizer) UnkID() int32 { return t.roles[roleUnk] }

// ClsID is the id of the token that begins an encoding, or -1.
func (t *Tokenizer) ClsID() int32 { return t.roles[roleCls] }

// SepID is the id of the token that ends a text, or -1.
func (t *Tokenizer) SepID() int32 { return t.roles[roleSep] }

// MaskID is the id of the token that masked language models fill in, or -1.
func (t *Tokenizer) MaskID() int32 { return t.roles[roleMask] }

// BosID is the id of the token that begins a text of a language model, or -1.
func (t *Tokenizer) BosID() int32 { return t.roles[roleBos] }

// EosID is the id of the token that ends a text of a language model, or -1.
func (t *Tokenizer) EosID() int32 { return t.roles[roleEos] }

// IsSpecial reports whether id is a special token, which Decode can leave out.
func (t *Tokenizer) IsSpecial(id int32) bool {
	token, ok := t.Token(id)
	return ok && t.special[token]
}

// role is a use that a model makes of a token.
type role int

const (
	rolePad role = iota
	roleUnk
	roleCls
	roleSep
	roleMask
	roleBos
	roleEos
	roleCount
)

// roleNames gives each role its key in tokenizer_config.json and the token that
// BERT's tokenizers take by default.
var roleNames = [roleCount]struct{ key, usual string }{
	rolePad:  {"pad_token", "[PAD]"},
	roleUnk:  {"unk_token", "[UNK]"},
	roleCls:  {"cls_token", "[CLS]"},
	roleSep:  {"sep_token", "[SEP]"},
	roleMask: {"mask_token", "[MASK]"},
	roleBos:  {"bos_token", ""},
	roleEos:  {"eos_token", ""},
}
