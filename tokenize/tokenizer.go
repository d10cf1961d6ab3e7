package tokenize

import (
	"fmt"
	"sync"
)

// Tokenizer turns text into the ids of a checkpoint's vocabulary and back. Load makes it of a checkpoint's files, New
// of custom parts. It is safe for concurrent use.
type Tokenizer struct {
	source       *matcher // added tokens that are matched in the source text
	normalizer   normalizer
	normal       *matcher // added tokens that are matched in the normalized text
	preTokenizer preTokenizer
	model        model
	template     template
	decoder      decoder

	tokens    []string         // by id
	missing   map[int32]bool   // ids below the last one that have no token
	space     []blanksAround   // by id, if the template trims offsets
	spelling  []string         // by id, in the spelling that Decode uses
	ids       map[string]int32 // by token
	special   map[string]bool  // contents of special added tokens
	roles     [roleCount]int32 // ids, -1 for roles without a token
	maxLength int
	side      Side // from which long texts are cut
	untyped   bool // all token types are 0, whatever the template says
	splits    bool // special tokens in a text are ordinary text
	rows      int  // ids from here on are errors; 0: none
	warnings  []string
	identity  string // of one that New has made

	languages *languages // of a tokenizer whose templates name one; nil: the others
	target    *Tokenizer // for target texts; nil: the tokenizer itself

	scratch *sync.Pool // of *buffers
}

// VocabSize returns the last id plus one. This is the number of tokens unless the vocabulary has gaps, for which Token
// returns false.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Within returns a tokenizer with the same tokens that returns an error for texts with an id of n or above, which a
// model with n word embeddings cannot read. Published tokenizers may have such tokens, as a padding token that no text
// contains. Within returns t itself if it has none, or if it is nil.
func (t *Tokenizer) Within(n int) *Tokenizer {
	if t == nil || n >= t.VocabSize() {
		return t
	}
	c := *t
	c.rows = n
	c.target = t.target.Within(n)
	return &c
}

// Check returns an error that names the first id that [Tokenizer.Within] excludes, or nil if there is none.
func (t *Tokenizer) Check(ids []int32) error {
	if t.rows == 0 {
		return nil
	}
	for _, id := range ids {
		if int(id) >= t.rows {
			token, _ := t.Token(id)
			return fmt.Errorf("token %q has the id %d, but the model has word embeddings for %d ids; leave it out, or "+
				"give a model with its own tokenizer", token, id, t.rows)
		}
	}
	return nil
}

// ID returns the id of a token and whether the vocabulary has it.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token returns the token of an id and whether the id has one.
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

// MaxLength returns model_max_length of tokenizer_config.json, or 0 if that sets no limit. The model's own number of
// positions may be smaller.
func (t *Tokenizer) MaxLength() int { return t.maxLength }

// TruncationSide returns the end from which texts that are too long are cut, unless Options.Side names another:
// truncation_side of tokenizer_config.json, the direction of the truncation in tokenizer.json, or else Right.
func (t *Tokenizer) TruncationSide() Side { return t.side }

// Warnings lists settings of the checkpoint's files that have no effect, and contradictions between the files, with the
// value that is used.
func (t *Tokenizer) Warnings() []string { return t.warnings }

// PadID returns the id of the padding token, or -1 if there is none.
func (t *Tokenizer) PadID() int32 { return t.roles[rolePad] }

// UnkID returns the id of the token for unknown words, or -1 if there is none.
func (t *Tokenizer) UnkID() int32 { return t.roles[roleUnk] }

// ClsID returns the id of the token that begins an encoding, or -1 if there is none.
func (t *Tokenizer) ClsID() int32 { return t.roles[roleCls] }

// SepID returns the id of the token that ends a text, or -1 if there is none.
func (t *Tokenizer) SepID() int32 { return t.roles[roleSep] }

// MaskID returns the id of the token that masked language models fill in, or -1 if there is none.
func (t *Tokenizer) MaskID() int32 { return t.roles[roleMask] }

// BosID returns the id of the token that begins a text of a language model, or -1 if there is none.
func (t *Tokenizer) BosID() int32 { return t.roles[roleBos] }

// EosID returns the id of the token that ends a text of a language model, or -1 if there is none.
func (t *Tokenizer) EosID() int32 { return t.roles[roleEos] }

// IsSpecial reports whether id is a special token, which Decode can leave out.
func (t *Tokenizer) IsSpecial(id int32) bool {
	token, ok := t.Token(id)
	return ok && t.special[token]
}

// role is the purpose for which a model uses a token.
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

// roleNames gives each role its key in tokenizer_config.json and the default token of BERT's tokenizers.
var roleNames = [roleCount]struct{ key, usual string }{
	rolePad:  {"pad_token", "[PAD]"},
	roleUnk:  {"unk_token", "[UNK]"},
	roleCls:  {"cls_token", "[CLS]"},
	roleSep:  {"sep_token", "[SEP]"},
	roleMask: {"mask_token", "[MASK]"},
	roleBos:  {"bos_token", ""},
	roleEos:  {"eos_token", ""},
}
