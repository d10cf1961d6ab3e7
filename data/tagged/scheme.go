package tagged

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// Scheme says how the tags of words spell entities: a letter, and behind a hyphen the type of the entity. O is a word
// that is in none.
type Scheme string

// The schemes. The first letter of a tag is the position of the word in an entity.
const (
	IOB1  Scheme = "IOB1"  // I in an entity, B where one follows another of its type at once
	IOB2  Scheme = "IOB2"  // B begins an entity, I continues it (also called BIO)
	IOE1  Scheme = "IOE1"  // I in an entity, E where another of its type follows at once
	IOE2  Scheme = "IOE2"  // E ends an entity, I comes before
	IOBES Scheme = "IOBES" // B begins, I continues, E ends, S is a whole entity
	BILOU Scheme = "BILOU" // as IOBES, with L for E and U for S
	Plain Scheme = "none"  // the tags spell no entities: part of speech, for example
)

// schemes are those that spell entities, in the order in which [GuessScheme] prefers them, with the letters that they
// know.
var schemes = []struct {
	scheme  Scheme
	letters string
}{{IOB2, "BI"}, {IOBES, "BIES"}, {IOB1, "BI"}, {IOE2, "IE"}, {IOE1, "IE"}, {BILOU, "BILU"}}

// letters returns the letters of a scheme's tags but O.
func (s Scheme) letters() string {
	for _, k := range schemes {
		if k.scheme == s {
			return k.letters
		}
	}
	return ""
}

// ParseScheme reads the name of a scheme in any case; BIO, IOB and BIOES stand for IOB2, IOB1 and IOBES.
func ParseScheme(s string) (Scheme, error) {
	switch name := strings.ToUpper(s); name {
	case "BIO":
		return IOB2, nil
	case "IOB":
		return IOB1, nil
	case "BIOES":
		return IOBES, nil
	case "NONE":
		return Plain, nil
	default:
		if Scheme(name).letters() != "" {
			return Scheme(name), nil
		}
	}
	return "", data.OptionErrorf("tag scheme %q is none of IOB2 (BIO), IOB1, IOE1, IOE2, IOBES, BILOU, none", s)
}

// Entity is a run of words that name one thing: words From ≤ i < To.
type Entity struct {
	Type     string
	From, To int
}

// cutTag returns the letter and the type of a tag: "B-PER" is B and PER. A tag without a type has the type "_", as in
// seqeval; an empty tag is O.
func cutTag(tag string) (letter rune, kind string) {
	if tag == "" {
		tag = outside
	}
	letter, n := utf8.DecodeRuneInString(tag)
	_, kind, cut := strings.Cut(tag[n:], "-")
	if !cut {
		kind = tag[n:]
	}
	if kind == "" {
		kind = "_"
	}
	return letter, kind
}

// Entities returns the entities that tags spell, as seqeval's get_entities finds them in its default mode: B, I, E and
// S are known, a new type begins a new entity whatever its letter, and so tags that no scheme allows, such as an I
// after O, are entities too.
func Entities(tags []string) []Entity {
	var out []Entity
	last, lastKind, from := 'O', "", 0
	for i := 0; i <= len(tags); i++ {
		letter, kind := 'O', "_"
		if i < len(tags) {
			letter, kind = cutTag(tags[i])
		}
		if entityEnds(last, letter, lastKind != kind) {
			out = append(out, Entity{lastKind, from, i})
		}
		if entityBegins(last, letter, lastKind != kind) {
			from = i
		}
		last, lastKind = letter, kind
	}
	return out
}

// entityEnds reports whether an entity ends between two words.
func entityEnds(last, letter rune, other bool) bool {
	switch last {
	case 'E', 'S':
		return true
	case 'B', 'I':
		if strings.ContainsRune("BSO", letter) {
			return true
		}
	case 'O', '.':
		return false
	}
	return other
}

// entityBegins reports whether an entity begins with the word of letter.
func entityBegins(last, letter rune, other bool) bool {
	switch letter {
	case 'B', 'S':
		return true
	case 'E', 'I':
		if strings.ContainsRune("ESO", last) {
			return true
		}
	case 'O', '.':
		return false
	}
	return other
}

// rename returns tags with each letter of from replaced by the one at its place in to.
func rename(tags []string, from, to string) []string {
	out := slices.Clone(tags)
	for i, tag := range out {
		if tag == "" {
			continue
		}
		if k := strings.IndexByte(from, tag[0]); k >= 0 {
			out[i] = to[k:k+1] + tag[1:]
		}
	}
	return out
}

// RepairTags returns tags that spell, by the rules of the scheme, the entities that [Entities] finds in them (of BILOU,
// with L for E and U for S), and how many of them it had to change. Only the letters change: in IOB2, I-X at the start,
// after O or after another type becomes B-X; in IOB1, B-X that does not follow an entity of X becomes I-X; in IOBES, a
// lone B-X becomes S-X, the last I-X of an entity E-X, and so on. Tags of a sound sentence stay as they are, and so
// does everything in the scheme [Plain]. It is an error if a tag is none of the scheme's.
func RepairTags(tags []string, s Scheme) (out []string, changed int, err error) {
	if s == Plain {
		return tags, 0, nil
	}
	for i, tag := range tags {
		if !s.has(tag) {
			return nil, 0, fmt.Errorf("the tag %q of word %d is none of the scheme %s (%s)", tag, i, string(s), s.list())
		}
	}
	read := tags
	if s == BILOU {
		read = rename(tags, "LU", "ES")
	}
	out = slices.Clone(tags)
	found := Entities(read)
	for n, e := range found {
		before := n > 0 && found[n-1].To == e.From && found[n-1].Type == e.Type
		after := n+1 < len(found) && found[n+1].From == e.To && found[n+1].Type == e.Type
		for i := e.From; i < e.To; i++ {
			out[i] = s.letter(i == e.From, i == e.To-1, before, after) + tags[i][1:]
			if out[i] != tags[i] {
				changed++
			}
		}
	}
	return out, changed, nil
}

// letter returns the letter of a word by its place in an entity: first or last of it, and with an entity of the same
// type directly before or after.
func (s Scheme) letter(first, last, before, after bool) string {
	single := first && last
	switch {
	case s == IOBES && single:
		return "S"
	case s == BILOU && single:
		return "U"
	case (s == IOBES || s == BILOU || s == IOB2) && first, s == IOB1 && first && before:
		return "B"
	case (s == IOBES || s == IOE2) && last, s == IOE1 && last && after:
		return "E"
	case s == BILOU && last:
		return "L"
	}
	return "I"
}

// has reports whether a tag can be one of the scheme: O, or one of its letters, with a type behind a hyphen or alone.
func (s Scheme) has(tag string) bool {
	if s == Plain || tag == outside {
		return tag != ""
	}
	return tag != "" && strings.IndexByte(s.letters(), tag[0]) >= 0 && (len(tag) == 1 || tag[1] == '-')
}

// list shows the tags of a scheme in a message.
func (s Scheme) list() string {
	names := []string{outside}
	for _, c := range s.letters() {
		names = append(names, string(c)+"-…")
	}
	return strings.Join(names, ", ")
}

// Repair returns a file in which the tags of every sentence are as [RepairTags] makes them. Repaired counts those that
// changed.
func (f *File) Repair(s Scheme) (*File, error) {
	var bad data.Faults
	total, line := 0, f.repairedLine
	repaired := data.Map(f, func(e Sentence) Sentence {
		tags, changed, err := RepairTags(e.Tags, s)
		if err != nil {
			bad.Add(e.Line, err)
			return e
		}
		if changed > 0 && f.Repaired+total == 0 {
			line = e.Line
		}
		if e.Tags != nil {
			e.Tags = tags
		}
		total += changed
		return e
	})
	repaired.Repaired += total
	repaired.repairedLine = line
	return repaired, bad.Err(f.Name)
}
