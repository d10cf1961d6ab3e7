package tokenize

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// naming says how settings name tokens of a tokenizer.
type naming struct {
	file   bool // beside tokenizer.json, which lists added tokens of its own
	drop   bool // of which those that added_tokens_decoder lacks are no added tokens
	usual  bool // the usual tokens of roles count as if the settings named them
	create bool // and get ids if the vocabulary lacks them
}

// namedTokens collects the added tokens of a tokenizer.
type namedTokens struct {
	naming
	s    *settings
	t    *spec
	ids  map[string]int32
	next int32 // id of the next new token
}

// nameTokens adds to t, in transformers' order, the tokens that the settings list, then those of roles and the special
// ones without a role. It returns the ids of all tokens.
func (s *settings) nameTokens(t *spec, n naming) map[string]int32 {
	l := &namedTokens{naming: n, s: s, t: t, ids: make(map[string]int32, len(t.vocab))}
	for id, token := range t.vocab {
		if !t.missing[int32(id)] {
			l.ids[token] = int32(id)
		}
	}
	l.next = int32(len(t.vocab) - len(t.missing))
	listed := s.listed()
	if n.drop && s.complete() {
		l.keepOnly(listed)
	}
	for _, a := range t.added {
		l.ids[a.content] = a.id
		l.next = max(l.next, a.id+1)
	}
	for _, a := range listed {
		l.list(a)
	}
	for _, r := range tokenOrder {
		token, named := s.role(roleNames[r].key, s.usualToken(r))
		if _, known := l.ids[token]; named || n.usual && (known || n.create) {
			l.add(s.roleToken(roleNames[r].key, token))
		}
	}
	for _, a := range s.withoutRole() {
		l.add(a)
	}
	return l.ids
}

// tokenOrder is the order in which the tokens of roles get ids.
var tokenOrder = []role{roleBos, roleEos, roleUnk, roleSep, rolePad, roleCls, roleMask}

// keepOnly removes the added tokens of tokenizer.json that are not listed.
func (l *namedTokens) keepOnly(listed []addedToken) {
	var lost []string
	l.t.added = slices.DeleteFunc(l.t.added, func(a addedToken) bool {
		gone := !slices.ContainsFunc(listed, func(b addedToken) bool { return a.content == b.content })
		if gone && !l.s.names(a.content) {
			lost = append(lost, a.content)
		}
		return gone
	})
	if len(lost) > 0 {
		l.s.warn("%s: added_tokens_decoder lacks %s, which %s adds; as in transformers, they are read as ordinary text: "+
			"list them, too, or remove added_tokens_decoder", configFile, quoteSome(lost), tokenizerFile)
	}
}

// list adds a token that the settings list with its id.
func (l *namedTokens) list(a addedToken) {
	declared := a.id
	i := slices.IndexFunc(l.t.added, func(b addedToken) bool { return a.content == b.content })
	_, known := l.ids[a.content]
	var id int32 // that the token gets
	switch {
	case i >= 0:
		if a.id = l.t.added[i].id; l.s.complete() {
			l.t.added[i] = a
		}
		id = a.id
	case a.content == "":
		l.s.config.get("added_tokens_decoder").fail("the token with id %d is empty", declared)
		return
	default:
		l.add(a)
		id = l.ids[a.content]
	}
	if id == declared {
		return
	}
	from := l.s.older
	if l.s.complete() {
		from = l.s.config.get("added_tokens_decoder")
	}
	holder := ""
	if int(declared) < len(l.t.vocab) && !l.t.missing[declared] {
		holder = l.t.vocab[declared]
	}
	for _, b := range l.t.added {
		if b.id == declared {
			holder = b.content
		}
	}
	switch {
	case !l.file:
		from.fail("%q has id %d, but the vocabulary gives it %d", a.content, declared, id)
	case known:
		l.s.warn("%s gives %q the id %d, but %s gives it %d, which is used", label(from), a.content, declared,
			tokenizerFile, id)
	case holder != "":
		l.s.warn("%s gives the id %d to %q, but %s gives it to %q; %q gets %d, as in transformers: make the files agree",
			label(from), declared, a.content, tokenizerFile, holder, a.content, id)
	default:
		l.s.warn("%s gives %q the id %d, but it gets %d, the next one after those of %s, as in transformers: make the "+
			"files agree", label(from), a.content, declared, id, tokenizerFile)
	}
}

// label returns the name of a field for a message.
func label(f field) string { return strings.TrimSuffix(f.path, ":") }

// add adds a token unless it is there, with its id in the vocabulary or the next new one.
func (l *namedTokens) add(a addedToken) {
	if a.content == "" || slices.ContainsFunc(l.t.added, func(b addedToken) bool { return a.content == b.content }) {
		return
	}
	id, known := l.ids[a.content]
	if !known {
		id = l.next
		l.next++
	}
	a.id, l.ids[a.content] = id, id
	l.t.added = append(l.t.added, a)
}

// listed returns the tokens that the settings list with their ids, in the order of these: added_tokens_decoder of
// tokenizer_config.json or, without it, added_tokens.json.
func (s *settings) listed() []addedToken {
	var out []addedToken
	if s.complete() {
		f := s.config.get("added_tokens_decoder")
		if !f.is() {
			return nil
		}
		for key := range f.object() {
			a := f.get(key)
			id, err := strconv.ParseInt(key, 10, 32)
			if err != nil || id < 0 {
				a.fail("want an id as the key")
				continue
			}
			if a.object() != nil {
				out = append(out, parseAddedToken(a, int32(id)))
			}
		}
	} else {
		for token := range s.older.object() {
			special := s.isRole(token) || !s.lateSpecial().is() && s.names(token)
			id := field{s.older.path + " " + strconv.Quote(token), s.older.get(token).value, s.older.errs}.id()
			out = append(out, addedToken{content: token, id: id, special: special, normalized: !special})
		}
	}
	slices.SortFunc(out, func(a, b addedToken) int {
		return cmp.Or(cmp.Compare(a.id, b.id), strings.Compare(a.content, b.content))
	})
	return out
}

// isRole reports whether the settings give a token a role.
func (s *settings) isRole(token string) bool {
	for r := range roleNames {
		if t, named := s.role(roleNames[r].key, ""); named && t == token {
			return true
		}
	}
	return false
}

// names reports whether the settings name a token as special.
func (s *settings) names(token string) bool {
	return s.isRole(token) || slices.ContainsFunc(s.withoutRole(), func(a addedToken) bool { return a.content == token })
}

// usualToken returns the token of a role that no file names.
func (s *settings) usualToken(r role) string {
	if s.usual != nil {
		return s.usual[roleNames[r].key]
	}
	return roleNames[r].usual
}

// roleToken returns the token of a role with its properties.
func (s *settings) roleToken(key, token string) addedToken {
	f := s.get(key)
	if _, ok := f.value.(map[string]any); ok {
		return parseSpecialToken(f)
	}
	var a addedToken
	if class := pieceClasses[s.class]; class != nil && key == roleNames[roleMask].key {
		a = class.mask
	}
	a.content, a.special = token, true
	return a
}

// parseSpecialToken reads a special token, which is a text or an object with its properties.
func parseSpecialToken(f field) addedToken {
	a := addedToken{content: contentOf(f).text(), special: true}
	if _, ok := f.value.(map[string]any); ok {
		a.singleWord, a.lstrip, a.rstrip = f.get("single_word").optionalTruth(), f.get("lstrip").optionalTruth(),
			f.get("rstrip").optionalTruth()
		a.normalized = !f.get("normalized").is() || f.get("normalized").truth()
	}
	return a
}

// withoutRole returns the special tokens that have no role: first those with a name of their own, then the others.
func (s *settings) withoutRole() []addedToken {
	var out []addedToken
	each := func(f field) {
		m, _ := f.value.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			out = append(out, parseSpecialToken(f.get(name)))
		}
	}
	each(s.ownTokens())
	each(s.get("model_specific_special_tokens"))
	extra := s.extraSpecial()
	for _, f := range extra {
		if _, ok := f.value.(map[string]any); ok {
			each(f)
		}
	}
	for _, f := range extra {
		if _, ok := f.value.([]any); ok {
			for _, token := range f.list() {
				out = append(out, parseSpecialToken(token))
			}
		}
	}
	if !s.listsSpecial() {
		out = append(out, s.classExtra...)
	}
	return out
}

// listsSpecial reports whether the settings list special tokens without a role, so that the class adds none. As in
// transformers, a list without tokens does, too.
func (s *settings) listsSpecial() bool {
	is := func(f field, key string) bool {
		_, names := f.get(key).value.(map[string]any)
		return has(f, key) && !names
	}
	return is(s.config, newerSpecial) || is(s.config, olderSpecial) || !s.complete() && is(s.special, newerSpecial)
}

// ownTokens returns the members such as image_token: tokens with a name that is no role.
func (s *settings) ownTokens() field {
	out := map[string]any{}
	for _, f := range []field{s.config, s.special} {
		if f.path == s.special.path && s.complete() {
			continue
		}
		for name, value := range f.object() {
			_, isText := value.(string)
			isRole := slices.ContainsFunc(roleNames[:], func(r struct{ key, usual string }) bool { return r.key == name })
			if strings.HasSuffix(name, "_token") && !isRole && isText {
				out[name] = value
			}
		}
	}
	return field{s.config.path, out, s.config.errs}
}

// The names of the special tokens without a role, before transformers 5 and since.
const olderSpecial, newerSpecial = "additional_special_tokens", "extra_special_tokens"

// extraSpecial returns the lists, or objects, of special tokens without a role. As in transformers, the newer name
// takes precedence in each file, and special_tokens_map.json adds to tokenizer_config.json.
func (s *settings) extraSpecial() []field {
	var out []field
	use := func(f field) {
		switch f.value.(type) {
		case nil, []any, map[string]any:
			out = append(out, f)
		default:
			f.fail("want an array or an object, got %s", kind(f.value))
		}
	}
	if f := s.configSpecial(); f.is() {
		use(f)
	}
	if s.complete() {
		return out
	}
	if f := s.special.get(newerSpecial); f.is() {
		use(f)
	} else if f := s.lateSpecial(); f.is() {
		use(f)
	}
	return out
}

// configSpecial returns the special tokens without a role of tokenizer_config.json.
func (s *settings) configSpecial() field {
	if f := s.config.get(newerSpecial); !empty(f) {
		return f
	}
	return s.config.get(olderSpecial)
}

// lateSpecial returns additional_special_tokens of special_tokens_map.json if these tokens count. transformers adds
// them after the tokens of added_tokens.json, so one that is in both files is not special. Beside a SentencePiece model
// it does not read them.
func (s *settings) lateSpecial() field {
	f := s.special.get(olderSpecial)
	if s.fromPieces || s.configSpecial().is() || s.special.get(newerSpecial).is() {
		f.value = nil
	}
	return f
}

// empty reports whether f is missing, or an array or object without members.
func empty(f field) bool {
	switch v := f.value.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return !f.is()
}

// quoteSome returns the first of a list of tokens, quoted, and the number of the others.
func quoteSome(tokens []string) string {
	const some = 5
	list := make([]string, 0, some)
	for _, t := range tokens[:min(len(tokens), some)] {
		list = append(list, strconv.Quote(t))
	}
	out := strings.Join(list, ", ")
	if more := len(tokens) - some; more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
