package tokenize

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Names of the files that Load reads.
const (
	tokenizerFile = "tokenizer.json"
	vocabFile     = "vocab.txt"
	configFile    = "tokenizer_config.json"
	specialFile   = "special_tokens_map.json"
	addedFile     = "added_tokens.json" // of old versions; refused
)

// Load reads a checkpoint's tokenizer: tokenizer.json if there is one, else
// vocab.txt with the settings of tokenizer_config.json. open returns the contents
// of the named file, or an error that is fs.ErrNotExist.
//
// Padding and truncation that tokenizer.json holds are checked but not applied
// by themselves, as in transformers. What would make ids differ from those of
// the reference implementation is an error that names the field.
func Load(open func(name string) ([]byte, error)) (*Tokenizer, error) {
	set, err := readSettings(open)
	if err != nil {
		return nil, err
	}
	raw, err := open(tokenizerFile)
	parse, file := parseTokenizer, tokenizerFile
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = open(vocabFile)
		parse, file = set.parseVocab, vocabFile
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("tokenize: neither %s nor %s found: %w", tokenizerFile, vocabFile, fs.ErrNotExist)
		}
		if _, err := open(addedFile); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("tokenize: %s beside %s is not read: save the tokenizer with transformers to get a %s",
				addedFile, vocabFile, tokenizerFile)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", file, err)
	}
	s, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return build(file, s, set)
}

// spec is a tokenizer as its file describes it.
type spec struct {
	vocab        []string // of the model, by id
	unk, prefix  string
	maxChars     int
	added        []addedToken // in the order of the file
	normalizer   normalizer
	preTokenizer preTokenizer
	template     template
	decoder      decoder
}

// build makes the tokenizer that s describes.
func build(file string, s *spec, set *settings) (*Tokenizer, error) {
	t := &Tokenizer{
		normalizer: s.normalizer, preTokenizer: s.preTokenizer, template: s.template, decoder: s.decoder,
		tokens: s.vocab, ids: make(map[string]int32, len(s.vocab)+len(s.added)), special: map[string]bool{},
		maxLength: set.maxLength,
	}
	t.scratch.New = func() any { return new(buffers) }
	for id, token := range s.vocab {
		t.ids[token] = int32(id)
	}
	unk, ok := t.ids[s.unk]
	if !ok {
		return nil, fmt.Errorf("tokenize: %s: model: unknown token %q is not in the vocabulary", file, s.unk)
	}
	t.model = newWordPiece(s.vocab, unk, s.prefix, s.maxChars)
	if err := t.addTokens(s.added); err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", file, err)
	}
	if err := t.checkTemplate(); err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", file, err)
	}
	if err := t.setRoles(set); err != nil {
		return nil, err
	}
	t.warnings = set.contradictions(s)
	return t, nil
}

// addTokens takes in the added tokens. Those that the model's vocabulary lacks
// must continue its ids.
func (t *Tokenizer) addTokens(added []addedToken) error {
	var errs []error
	var bySource, byNormal []addedToken
	var source, normal []string
	taken := map[string]bool{}
	contents := map[string]string{} // of normalized tokens, by pattern
	buf := new(buffers)
	t.spelling = slices.Clone(t.tokens)
	for i, a := range added {
		err := t.addToken(a, taken)
		if err == nil && a.normalized {
			buf.a.load(a.content, 0)
			pattern := string(t.normalizer.normalize(&buf.a, buf).text)
			if first, twice := contents[pattern]; twice {
				err = fmt.Errorf("is %q after normalization, as %q is", pattern, first)
			} else if pattern == "" {
				err = errors.New("nothing is left of it after normalization")
			}
			contents[pattern] = a.content
			t.spelling[a.id] = pattern
			byNormal, normal = append(byNormal, a), append(normal, pattern)
		} else {
			bySource, source = append(bySource, a), append(source, a.content)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("added_tokens[%d] %q: %w", i, a.content, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	t.source, t.normal = newMatcher(bySource, source), newMatcher(byNormal, normal)
	return nil
}

// addToken gives a its place in the vocabulary. taken holds the tokens before it.
func (t *Tokenizer) addToken(a addedToken, taken map[string]bool) error {
	id, known := t.ids[a.content]
	switch {
	case a.content == "":
		return errors.New("empty")
	case taken[a.content]:
		return errors.New("listed twice")
	case known && a.id != id:
		return fmt.Errorf("id %d, but the vocabulary gives it %d", a.id, id)
	case !known && int(a.id) != len(t.tokens):
		return fmt.Errorf("id %d, but the next free id is %d", a.id, len(t.tokens))
	case !known:
		t.ids[a.content] = a.id
		t.tokens = append(t.tokens, a.content)
		t.spelling = append(t.spelling, a.content)
	}
	taken[a.content] = true
	if a.special {
		t.special[a.content] = true
	}
	return nil
}

// checkTemplate refuses a template whose tokens have other ids in the vocabulary.
func (t *Tokenizer) checkTemplate() error {
	for _, p := range slices.Concat(t.template.single, t.template.pair) {
		for i, token := range p.tokens {
			if id, ok := t.ids[token]; !ok {
				return fmt.Errorf("post_processor: %q is not in the vocabulary", token)
			} else if id != p.ids[i] {
				return fmt.Errorf("post_processor: %q has id %d, but the vocabulary gives it %d", token, p.ids[i], id)
			}
		}
	}
	return nil
}

// setRoles finds the ids of the tokens that the settings give roles. Only those
// that the settings name must be in the vocabulary.
func (t *Tokenizer) setRoles(set *settings) error {
	var errs []error
	for r, name := range roleNames {
		t.roles[r] = -1
		token, named := set.role(name.key, name.usual)
		if id, ok := t.ids[token]; ok && token != "" {
			t.roles[r] = id
		} else if named {
			errs = append(errs, fmt.Errorf("tokenize: %s %q is not in the vocabulary", name.key, token))
		}
	}
	return errors.Join(errs...)
}
