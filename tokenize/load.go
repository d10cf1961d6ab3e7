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
	bpeFile       = "vocab.json"
	mergesFile    = "merges.txt"
	modelFile     = "config.json"
	configFile    = "tokenizer_config.json"
	specialFile   = "special_tokens_map.json"
	addedFile     = "added_tokens.json" // written by old versions
	piecesFile    = "tokenizer.model"   // LLaMA's name of a SentencePiece model
)

// Load reads a checkpoint's tokenizer from tokenizer.json or, if that does not exist, from vocab.json with merges.txt,
// from vocab.txt, or from a SentencePiece model: spiece.model, sentencepiece.bpe.model or tokenizer.model, as the
// tokenizer class has it. MarianTokenizer reads source.spm, target.spm and vocab.json, ByT5Tokenizer none. As
// transformers does, it applies to each the settings of tokenizer_config.json,
// special_tokens_map.json and added_tokens.json, for the tokenizer class that they or config.json name. open returns
// the content of the named file, or an error that is fs.ErrNotExist if the file does not exist.
//
// Load checks the padding and the truncation of tokenizer.json, but as in transformers they are not applied
// automatically; they give the defaults of the side to cut and of the padding token. If anything would make ids differ
// from those of the reference implementation, Load returns an error that names the field.
func Load(open func(name string) ([]byte, error)) (*Tokenizer, error) { return load(open, false) }

// LoadLowercased reads a checkpoint's tokenizer as [Load] does and maps texts to lower case before the tokenizer's own
// normalization, as sentence-transformers does for do_lower_case: code point by code point, beside added tokens that
// are not normalized. If the tokenizer's normalizer is Lowercase or lists it, the tokenizer is that of Load.
func LoadLowercased(open func(name string) ([]byte, error)) (*Tokenizer, error) {
	return load(open, true)
}

func load(open func(name string) ([]byte, error), lower bool) (*Tokenizer, error) {
	set, err := readSettings(open)
	if err != nil {
		return nil, err
	}
	switch set.ownClass() {
	case marianClass:
		return loadMarian(open, set, lower)
	case byT5Class: // which has no file
		s, err := set.byT5()
		if err != nil {
			return nil, err
		}
		return finish(configFile, s, set, lower)
	}
	for _, f := range set.vocabularyFiles(open) {
		raw, err := open(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tokenize: %s: %w", f.name, err)
		}
		s, err := f.parse(raw)
		if err != nil {
			return nil, err
		}
		return finish(f.name, s, set, lower)
	}
	return nil, set.errNoFile(open)
}

// finish makes the tokenizer that s describes, which maps texts to lower case if lower is true.
func finish(file string, s *spec, set *settings, lower bool) (*Tokenizer, error) {
	if lower {
		s.normalizer = lowercased(s.normalizer)
	}
	return build(file, s, set)
}

// vocabularyFile is a file that may have a tokenizer's vocabulary, and how to read it.
type vocabularyFile struct {
	name  string
	parse func(raw []byte) (*spec, error)
}

// vocabularyFiles returns the files that may have the vocabulary; the first one that exists counts.
func (s *settings) vocabularyFiles(open func(string) ([]byte, error)) []vocabularyFile {
	list := []vocabularyFile{{tokenizerFile, s.parseTokenizerJSON}}
	pieces := func(name string) vocabularyFile {
		return vocabularyFile{name, func(raw []byte) (*spec, error) { return s.parsePieces(name, raw) }}
	}
	if class := pieceClasses[s.ownClass()]; class != nil {
		list = append(list, pieces(class.file))
		if class.file != piecesFile { // which transformers reads for every class
			list = append(list, pieces(piecesFile))
		}
		return list
	}
	return append(list,
		vocabularyFile{bpeFile, func(raw []byte) (*spec, error) { return s.parseVocabJSON(raw, open) }},
		vocabularyFile{vocabFile, s.parseVocab}, pieces(piecesFile))
}

// spec is a tokenizer as its files describe it.
type spec struct {
	kind         string         // of the model, as in tokenizer.json
	vocab        []string       // tokens of the model, by id
	missing      map[int32]bool // ids below the last one that the vocabulary lacks
	model        func(*Tokenizer) (model, error)
	scores       []float64    // of a Unigram model, by id
	merges       [][2]string  // of a BPE model
	exactScores  bool         // whether a Unigram model's scores are read exactly, or rounded as by libraryFloat
	added        []addedToken // in the order of the file
	normalizer   normalizer
	preTokenizer preTokenizer
	template     template
	decoder      decoder
	side         Side   // direction of the stored truncation; OwnSide without one
	pad          string // token of the stored padding, or ""
	languages    *languages
}

// build makes the tokenizer that s describes.
func build(file string, s *spec, set *settings) (*Tokenizer, error) {
	t := &Tokenizer{
		normalizer: s.normalizer, preTokenizer: s.preTokenizer, template: s.template, decoder: s.decoder,
		tokens: s.vocab, missing: s.missing, ids: make(map[string]int32, len(s.vocab)+len(s.added)),
		special:   map[string]bool{},
		maxLength: set.maxLength, scratch: newScratch(),
		side: set.truncationSide(s.side), untyped: !set.typed(),
		splits: set.flag("split_special_tokens", false),
	}
	if set.cleans(s.kind) {
		t.decoder = cleaned(t.decoder)
	}
	if err := set.err(); err != nil {
		return nil, err
	}
	if err := t.complete(s); err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", file, err)
	}
	if err := t.setRoles(set); err != nil {
		return nil, err
	}
	t.warnings = set.warnings
	if s.languages == nil {
		return t, nil
	}
	t.languages = s.languages
	return t.WithLanguages("", "")
}

// complete makes the vocabulary, the model and the added tokens that s describes.
func (t *Tokenizer) complete(s *spec) error {
	for id, token := range s.vocab {
		if !t.missing[int32(id)] {
			t.ids[token] = int32(id)
		}
	}
	var err error
	if t.model, err = s.model(t); err != nil {
		return err
	}
	if err := t.addTokens(s.added); err != nil {
		return err
	}
	if err := t.checkTemplate(); err != nil {
		return err
	}
	if t.template.trim != keepOffsets {
		t.space = make([]blanksAround, len(t.tokens))
		for id, token := range t.tokens {
			t.space[id] = countBlanks(token)
		}
	}
	return nil
}

// addTokens adds the added tokens. The ids of those that the model's vocabulary lacks must continue its ids.
func (t *Tokenizer) addTokens(added []addedToken) error {
	var errs []error
	var bySource, byNormal []addedToken
	var source, normal []string
	taken := map[string]bool{}
	contents := map[string]string{} // of normalized tokens, by pattern
	buf := new(buffers)
	t.spelling = slices.Clone(t.tokens)
	next := int32(len(t.tokens) - len(t.missing)) // the reference counts tokens and ignores their ids
	for i, a := range added {
		err := t.addToken(a, taken, &next)
		if err == nil && a.normalized {
			buf.a.load(a.content, 0)
			buf.err = nil
			pattern := string(t.normalizer.normalize(&buf.a, buf).text)
			if buf.err != nil {
				err = buf.err
			} else if first, twice := contents[pattern]; twice {
				err = fmt.Errorf("is %q after normalization, as %q is", pattern, first)
			} else if pattern == "" {
				err = errors.New("normalization leaves nothing of it")
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
	t.source, t.normal = newMatcher(bySource, source, t.splits), newMatcher(byNormal, normal, t.splits)
	return nil
}

// addToken adds a to the vocabulary. taken holds the preceding tokens; next is the id for a new token.
func (t *Tokenizer) addToken(a addedToken, taken map[string]bool, next *int32) error {
	id, known := t.ids[a.content]
	switch {
	case a.content == "":
		return errors.New("empty")
	case taken[a.content]:
		return errors.New("listed more than once")
	case known && a.id != id:
		return fmt.Errorf("id %d, but the vocabulary gives it %d", a.id, id)
	case !known && a.id != *next:
		return fmt.Errorf("id %d, but the next free id is %d", a.id, *next)
	case !known && t.has(a.id):
		return fmt.Errorf("id %d is that of %q in the vocabulary, whose ids have gaps", a.id, t.tokens[a.id])
	case !known:
		t.ids[a.content] = a.id
		for int(a.id) >= len(t.tokens) {
			t.tokens, t.spelling = append(t.tokens, ""), append(t.spelling, "")
		}
		t.tokens[a.id], t.spelling[a.id] = a.content, a.content
		delete(t.missing, a.id)
		*next++
	}
	taken[a.content] = true
	if a.special {
		t.special[a.content] = true
	}
	return nil
}

// checkTemplate returns an error if a token of the template has another id in the vocabulary.
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

// setRoles finds the ids of the tokens that the settings give roles. Only tokens that the settings name must be in the
// vocabulary.
func (t *Tokenizer) setRoles(set *settings) error {
	var errs []error
	for r, name := range roleNames {
		t.roles[r] = -1
		token, named := set.role(name.key, set.usualToken(role(r)))
		if id, ok := t.ids[token]; ok && token != "" {
			t.roles[r] = id
		} else if named {
			errs = append(errs, fmt.Errorf("tokenize: %s %q is not in the vocabulary", name.key, token))
		}
	}
	return errors.Join(errs...)
}
