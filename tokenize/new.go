package tokenize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Custom describes a tokenizer that is not read from files: its parts may be code of another library, and everything
// else is that of this package.
type Custom struct {
	// Name is what adapters and messages call the tokenizer; "": custom.
	Name string
	Parts
	// Vocabulary has the token of each id, "" for ids without one.
	Vocabulary []string
	// Added are the tokens that are matched in the text before the parts see it. Those that the vocabulary lacks get the
	// next ids.
	Added []AddedToken
	// The tokens that models use for a purpose; "": none. A token that the vocabulary lacks is an error.
	PadToken, UnkToken, ClsToken, SepToken, MaskToken, BosToken, EosToken string
	// Single and Pair are the templates of a text and of a text with its pair, as TemplateProcessing of the reference has
	// them: "[CLS] $A [SEP]" and "[CLS] $A [SEP] $B:1 [SEP]:1". Blanks separate tokens of the vocabulary and the texts $A
	// and $B; a number after a colon is the token type. "" is "$A" and "$A $B:1"; give both or none.
	Single, Pair string
	Decoder      Decoder
	// MaxLength is the number of tokens to which tasks cut texts where no setting says otherwise; 0: what the model
	// allows.
	MaxLength int
	// Side is the end from which long texts are cut; the zero value is Right.
	Side Side
	// NoTypes makes all token types 0, whatever the templates say.
	NoTypes bool
	// SplitSpecialTokens makes special tokens that a text spells out ordinary text.
	SplitSpecialTokens bool
	// TrimOffsets excludes the white space at the ends of a token from its offsets. PrefixSpace says that the
	// pre-tokenizer puts a blank before a text, which is then not excluded.
	TrimOffsets, PrefixSpace bool
}

// AddedToken is a token that is matched in the text before the model sees it.
type AddedToken struct {
	Content    string
	SingleWord bool // not inside a word
	LStrip     bool // takes white space before it
	RStrip     bool // takes white space after it
	Normalized bool // is matched in the normalized text
	Special    bool // Decode can leave it out
}

// Decoder joins tokens to a text. The zero value puts a blank between two tokens.
type Decoder struct{ decoder decoder }

// DecodeWordPiece returns the decoder of BERT's vocabularies: tokens with the prefix, usually "##", continue the word
// before. cleanUp removes the blanks before English punctuation.
func DecodeWordPiece(prefix string, cleanUp bool) Decoder {
	return Decoder{chain(wordPieceDecoder(prefix, cleanUp))}
}

// DecodeByteLevel returns the decoder of byte-level vocabularies, as GPT-2's.
func DecodeByteLevel() Decoder { return Decoder{chain(byteLevelDecoder)} }

// DecodeMetaspace returns the decoder of vocabularies in which a mark, usually U+2581, stands for a blank. prefix says
// that the first token begins with a mark that the text lacks.
func DecodeMetaspace(mark rune, prefix bool) Decoder {
	return Decoder{chain(metaspaceDecoder(mark, prefix))}
}

// DecodeSuffix returns the decoder of vocabularies in which a suffix that is not empty, as "</w>", ends a word.
func DecodeSuffix(suffix string) Decoder { return Decoder{chain(suffixDecoder(suffix))} }

// New returns the tokenizer that c describes. Offsets, words, added tokens, templates, truncation, windows and decoding
// are those of every Tokenizer; a part that fails for a text makes encoding it an error. New returns an error if a
// setting contradicts the vocabulary, or if a part returns different results for the same text.
func New(c Custom) (*Tokenizer, error) {
	t, err := c.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("tokenize: %w", err)
	}
	return t, nil
}

func (c Custom) tokenizer() (*Tokenizer, error) {
	t := &Tokenizer{
		decoder: c.Decoder.decoder, tokens: slices.Clone(c.Vocabulary), missing: map[int32]bool{},
		ids: make(map[string]int32, len(c.Vocabulary)), special: map[string]bool{}, maxLength: c.MaxLength, side: c.Side,
		untyped: c.NoTypes, splits: c.SplitSpecialTokens, scratch: newScratch(),
	}
	if t.decoder == nil {
		t.decoder = chain(blanks())
	}
	if t.side == OwnSide {
		t.side = Right
	}
	if c.MaxLength < 0 || t.side != Right && t.side != Left {
		return nil, fmt.Errorf("MaxLength is %d and Side %d; want at least 0, and Right or Left", c.MaxLength, c.Side)
	}
	seen := make(map[string]int, len(c.Vocabulary))
	for id, token := range c.Vocabulary {
		if first, twice := seen[token]; twice && token != "" {
			return nil, fmt.Errorf("the vocabulary has %q with the ids %d and %d", token, first, id)
		}
		if seen[token] = id; token == "" {
			t.missing[int32(id)] = true
		}
	}
	added, ids := c.added(seen, len(c.Vocabulary)-len(t.missing))
	var err error
	if t.template, err = c.template(ids); err != nil {
		return nil, err
	}
	if err := c.Parts.within(t); err != nil {
		return nil, err
	}
	s := &spec{vocab: t.tokens, added: added, model: func(*Tokenizer) (model, error) { return t.model, nil }}
	if err := t.complete(s); err != nil {
		return nil, err
	}
	for r, token := range c.roles() {
		t.roles[r] = -1
		if id, ok := t.ids[token]; ok && token != "" {
			t.roles[r] = id
		} else if token != "" {
			return nil, fmt.Errorf("%s %q is not in the vocabulary", roleNames[r].key, token)
		}
	}
	return t, t.identify(c)
}

// roles returns the tokens with a purpose.
func (c Custom) roles() [roleCount]string {
	return [roleCount]string{
		rolePad: c.PadToken, roleUnk: c.UnkToken, roleCls: c.ClsToken, roleSep: c.SepToken, roleMask: c.MaskToken,
		roleBos: c.BosToken, roleEos: c.EosToken,
	}
}

// added returns the added tokens, and the ids of all tokens. known are the ids of the vocabulary, which has n tokens.
func (c Custom) added(known map[string]int, n int) (list []addedToken, ids map[string]int32) {
	ids = make(map[string]int32, len(known))
	for token, id := range known {
		ids[token] = int32(id)
	}
	for _, a := range c.Added {
		id, ok := ids[a.Content]
		if !ok || a.Content == "" {
			id = int32(n)
			ids[a.Content] = id
			n++
		}
		list = append(list, addedToken{a.Content, id, a.SingleWord, a.LStrip, a.RStrip, a.Normalized, a.Special})
	}
	return list, ids
}

// template returns the template of both specifications.
func (c Custom) template(ids map[string]int32) (t template, err error) {
	if (c.Single == "") != (c.Pair == "") {
		return t, fmt.Errorf("the templates are %q and, for pairs, %q; give both or none", c.Single, c.Pair)
	}
	t = plain
	if c.Single != "" {
		if t.single, err = parsePlaces(c.Single, ids, [2]int{1, 0}); err == nil {
			t.pair, err = parsePlaces(c.Pair, ids, [2]int{1, 1})
		}
	}
	t.trim = trimmingOf(c.TrimOffsets, c.PrefixSpace)
	return t, err
}

// The texts in the specification of a template.
const (
	textPlace = "$A"
	pairPlace = "$B"
)

// parsePlaces reads the specification of a template in which the texts occur as often as want says.
func parsePlaces(spec string, ids map[string]int32, want [2]int) ([]part, error) {
	var list []part
	var uses [2]int
	for _, name := range strings.Fields(spec) {
		typ := int32(0)
		if i := strings.LastIndexByte(name, ':'); i > 0 {
			if n, err := strconv.ParseUint(name[i+1:], 10, 31); err == nil {
				name, typ = name[:i], int32(n)
			}
		}
		if i := slices.Index([]string{textPlace, pairPlace}, name); i >= 0 {
			uses[i]++
			list = append(list, part{text: i, typ: typ})
			continue
		}
		id, ok := ids[name]
		if !ok {
			return nil, fmt.Errorf("template %q: %q is not in the vocabulary", spec, name)
		}
		p := oneToken(name, id)
		p.typ = typ
		list = append(list, p)
	}
	if uses != want {
		return nil, fmt.Errorf("template %q: $A occurs %d times and $B %d times, want %d and %d",
			spec, uses[0], uses[1], want[0], want[1])
	}
	return list, nil
}

// writePlaces is the inverse of parsePlaces.
func writePlaces(list []part) (string, error) {
	var names []string
	for _, p := range list {
		if p.once {
			return "", fmt.Errorf("the template has %q only after texts that do not end with it, which a specification "+
				"cannot say", p.tokens)
		}
		places := p.tokens
		if p.text >= 0 {
			places = []string{[]string{textPlace, pairPlace}[p.text]}
		}
		for _, name := range places {
			if len(strings.Fields(name)) != 1 || p.text < 0 && (name == textPlace || name == pairPlace) {
				return "", fmt.Errorf("the template's token %q cannot be written in a specification", name)
			}
			names = append(names, fmt.Sprintf("%s:%d", name, p.typ))
		}
	}
	return strings.Join(names, " "), nil
}

// Custom returns the description of t, for a tokenizer that differs from it in some parts. It returns an error if the
// description cannot express a template.
func (t *Tokenizer) Custom() (Custom, error) {
	c := Custom{
		Parts: t.Parts(), Vocabulary: slices.Clone(t.tokens), Decoder: Decoder{t.decoder}, MaxLength: t.maxLength,
		Side: t.side, NoTypes: t.untyped, SplitSpecialTokens: t.splits, TrimOffsets: t.template.trim != keepOffsets,
		PrefixSpace: t.template.trim == trimPrefixed,
	}
	for id := range t.missing {
		c.Vocabulary[id] = ""
	}
	for _, m := range []*matcher{t.source, t.normal} {
		if m == nil {
			continue
		}
		for _, a := range m.tokens {
			c.Added = append(c.Added,
				AddedToken{a.content, a.singleWord, a.lstrip, a.rstrip, a.normalized, a.special})
		}
	}
	for r, to := range [roleCount]*string{
		rolePad: &c.PadToken, roleUnk: &c.UnkToken, roleCls: &c.ClsToken, roleSep: &c.SepToken, roleMask: &c.MaskToken,
		roleBos: &c.BosToken, roleEos: &c.EosToken,
	} {
		*to, _ = t.Token(t.roles[r])
	}
	var err error
	if c.Single, err = writePlaces(t.template.single); err == nil {
		c.Pair, err = writePlaces(t.template.pair)
	}
	if err != nil {
		return Custom{}, fmt.Errorf("tokenize: %w", err)
	}
	return c, nil
}

// Identity identifies a tokenizer that [New] has made, by its name and a hash of its settings and of what it makes of
// some texts. It is "" for tokenizers that are read from files. Adapters remember it, so that they are not used with
// another tokenizer by mistake.
func (t *Tokenizer) Identity() string { return t.identity }

// probes are the texts whose results identify a custom tokenizer.
var probes = []string{
	"The quick brown fox jumps over the lazy dog.", "Don't stop; we'll see: 3.14 or 1,000?", " two  blanks\tand\nlines ",
	"CamelCase snake_case kebab-case http://example.com/a?b=c#d", "naïve café Ångström e\u0301",
	"Straße ΑΒΓ привет", "日本語のテキスト 中文", "한국어 हिन्दी العربية",
	"🙂👩\u200d👩\u200d👧 ½ ﬁ", "$+<=>^`|~ {}[]()",
	"pneumonoultramicroscopicsilicovolcanoconiosis",
	"a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9",
}

// identify sets the identity of t, which c describes. It returns an error if a part returns different results for the
// same text.
func (t *Tokenizer) identify(c Custom) error {
	c.Name = strings.TrimSpace(c.Name)
	if c.Name == "" {
		c.Name = "custom"
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %+v %q %q %q %d %d %t %t %t %t\n", c.Vocabulary, c.Added, c.roles(), c.Single, c.Pair, c.MaxLength,
		t.side, c.NoTypes, c.SplitSpecialTokens, c.TrimOffsets, c.PrefixSpace)
	for _, text := range probes {
		in, o := Input{Text: text, Pair: text, HasPair: true}, Options{Offsets: true, Words: true}
		e, err := t.encode(in, o)
		t.scratch = newScratch() // forget results
		again, errAgain := t.encode(in, o)
		if (err == nil) != (errAgain == nil) || !slices.Equal(e.IDs, again.IDs) || !slices.Equal(e.Offsets, again.Offsets) {
			return fmt.Errorf("the parts return other tokens for %s when they are called again; "+
				"give parts without chance, as a model without dropout", excerpt(text))
		}
		if err != nil {
			fmt.Fprintln(h, "error")
			continue
		}
		fmt.Fprintf(h, "%d %d %d %d %q\n", e.IDs, e.Types, e.Offsets, e.Words, t.Decode(e.IDs, false))
	}
	t.identity = c.Name + " " + hex.EncodeToString(h.Sum(nil)[:8])
	return nil
}
