package tagged

import (
	"fmt"
	"strings"
)

// pattern is a pair of words one behind the other: letters of the first, letters of the second, and whether their types
// must be equal (=), different (!) or either (*).
type pattern struct {
	last, letter string
	kinds        byte
}

const anyLetter = "IOBESUL"

// grammar says where entities begin, continue and end by the rules of a scheme. An entity that does not end by the
// rules does not count.
type grammar struct{ begin, inside, end []pattern }

// grammars are those of seqeval's strict mode, with what it leaves out: in IOE2, an entity whose last word is I is
// none, for example, and in IOB1 neither is a lone B.
var grammars = map[Scheme]grammar{
	IOB1: {
		begin:  []pattern{{"O", "I", '*'}, {"I", "I", '!'}, {"B", "I", '*'}, {"IB", "B", '='}},
		inside: []pattern{{"BI", "I", '='}},
		end:    []pattern{{"I", "I", '!'}, {"I", "OB", '*'}, {"B", "O", '*'}, {"B", "I", '!'}, {"B", "B", '='}},
	},
	IOE1: {
		begin:  []pattern{{"O", "I", '*'}, {"I", "I", '!'}, {"E", "I", '*'}, {"E", "E", '='}},
		inside: []pattern{{"I", "IE", '='}},
		end:    []pattern{{"I", "IE", '!'}, {"I", "O", '*'}, {"E", "IE", '='}},
	},
	IOB2: {
		begin:  []pattern{{anyLetter, "B", '*'}},
		inside: []pattern{{"BI", "I", '='}},
		end:    []pattern{{"BI", "OB", '*'}, {"BI", "I", '!'}},
	},
	IOE2: {
		begin:  []pattern{{"OE", "IE", '*'}, {"I", "IE", '!'}},
		inside: []pattern{{"I", "IE", '='}},
		end:    []pattern{{"E", anyLetter, '*'}},
	},
	IOBES: {
		begin:  []pattern{{anyLetter, "BS", '*'}},
		inside: []pattern{{"BI", "IE", '='}},
		end:    []pattern{{"SE", anyLetter, '*'}},
	},
	BILOU: {
		begin:  []pattern{{anyLetter, "BU", '*'}},
		inside: []pattern{{"BI", "IL", '='}},
		end:    []pattern{{"UL", anyLetter, '*'}},
	},
}

// strictTag is a tag cut as seqeval's strict mode does.
type strictTag struct {
	letter byte
	kind   string
}

func match(patterns []pattern, last, tag strictTag) bool {
	for _, p := range patterns {
		if strings.IndexByte(p.last, last.letter) >= 0 && strings.IndexByte(p.letter, tag.letter) >= 0 &&
			(p.kinds == '*' || (p.kinds == '=') == (last.kind == tag.kind)) {
			return true
		}
	}
	return false
}

// StrictEntities returns the entities that tags spell by the rules of a scheme, as seqeval finds them in its strict
// mode, which finds only entities that the rules allow. It returns an error if a tag is not one of the scheme, or the
// scheme is [Plain].
func StrictEntities(tags []string, s Scheme) ([]Entity, error) {
	g, ok := grammars[s]
	if !ok {
		return nil, fmt.Errorf("data: tags of the scheme %q spell no entities", string(s))
	}
	cut := make([]strictTag, len(tags)+1)
	cut[len(tags)] = strictTag{'O', "_"}
	for i, tag := range tags {
		if tag == "" || tag[0] != 'O' && strings.IndexByte(s.letters(), tag[0]) < 0 {
			return nil, fmt.Errorf("data: the tag %q of word %d is none of the scheme %s (%s)", tag, i, string(s), s.list())
		}
		cut[i] = strictTag{tag[0], strings.Trim(tag[1:], "-")}
		if cut[i].kind == "" {
			cut[i].kind = "_"
		}
	}
	var out []Entity
	last := strictTag{'O', "_"}
	for i := 0; i < len(cut); {
		if !match(g.begin, last, cut[i]) {
			last = cut[i]
			i++
			continue
		}
		end := i + 1
		for match(g.inside, cut[end-1], cut[end]) {
			end++
		}
		if match(g.end, cut[end-1], cut[end]) {
			out = append(out, Entity{cut[i].kind, i, end})
		}
		last = cut[end-1]
		i = end
	}
	return out, nil
}
