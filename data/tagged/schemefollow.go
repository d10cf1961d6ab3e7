package tagged

import (
	"strings"

	"github.com/spalora/spalora/data"
)

// Follows reports whether the rules of the scheme allow a word with the tag next directly after one with the tag last.
// last "" is the beginning of a sentence, next "" its end. The tags of a sentence are those that [RepairTags] leaves
// unchanged exactly if each follows the one before. In the scheme [Plain] all tags follow each other.
func (s Scheme) Follows(last, next string) bool {
	a, lastKind := s.cut(last)
	b, kind := s.cut(next)
	same := kind == lastKind
	inside, continues := a == 'B' || a == 'I', b == 'I' || b == 'E'
	switch s {
	case IOB1:
		return b != 'B' || inside && same
	case IOB2:
		return b != 'I' || inside && same
	case IOE1:
		return a != 'E' || continues && same
	case IOE2:
		return a != 'I' || continues && same
	case IOBES, BILOU:
		return inside == continues && (!inside || same)
	}
	return true
}

// cut returns the letter, in the spelling of IOBES, and the type of a tag.
func (s Scheme) cut(tag string) (letter rune, kind string) {
	if s == BILOU {
		tag = rename([]string{tag}, "LU", "ES")[0]
	}
	return cutTag(tag)
}

// Forbidden returns which transitions between tags the scheme forbids, (K+1)×(K+1) row by row for K names: element
// [i+1][j+1] is name j directly after name i, row 0 the beginning of a sentence and column 0 its end. It returns an
// error if the scheme is [Plain], if a name is not a tag of the scheme, or if the names do not allow sentences of every
// length.
func (s Scheme) Forbidden(names []string) ([]bool, error) {
	if s == Plain {
		return nil, data.OptionErrorf("the tags spell no entities, so that no tag is forbidden after another")
	}
	fits := false
	for _, name := range names {
		if !s.has(name) {
			return nil, data.OptionErrorf("the tag %s is none of the scheme %s (%s)", data.Excerpt(name), string(s), s.list())
		}
		fits = fits || s.Follows("", name) && s.Follows(name, name) && s.Follows(name, "")
	}
	if !fits {
		return nil, data.OptionErrorf("by the scheme %s, there are sentences that no tags of %s fit; add the tag O to the "+
			"`labels`", string(s), strings.Join(names, ", "))
	}
	k := len(names)
	mask := make([]bool, (k+1)*(k+1))
	all := append([]string{""}, names...)
	for i, last := range all {
		for j, next := range all {
			mask[i*(k+1)+j] = i+j > 0 && !s.Follows(last, next)
		}
	}
	return mask, nil
}
