package tagged

import (
	"strings"

	"github.com/spalora/spalora/data"
)

// GuessScheme returns the scheme that the tags of the files are written in. Without a tag that has a letter and a
// hyphen (B-PER), and unless all tags are such letters alone, it is [Plain]. Otherwise it is the scheme, of those that
// have all letters, by whose rules the fewest tags would have to be repaired; of equals the first of IOB2, IOBES, IOB1,
// IOE2, IOE1, BILOU. nil files are skipped. It is an error if some tags are of a scheme and others are not, or if their
// letters are those of no one scheme.
func GuessScheme(files ...*File) (Scheme, error) {
	g, err := lookAtTags(files)
	if err != nil {
		return "", err
	}
	if g.plain {
		return Plain, nil
	}
	best, least := Scheme(""), 0
	for _, k := range schemes {
		if strings.Trim(g.letters, k.letters) != "" {
			continue
		}
		n := 0
		for _, f := range files {
			if f == nil {
				continue
			}
			for e := range f.Values() {
				_, changed, err := RepairTags(e.Tags, k.scheme)
				if err != nil {
					return "", err // not reached: the letters are known
				}
				n += changed
			}
		}
		if best == "" || n < least {
			best, least = k.scheme, n
		}
	}
	if best == "" {
		return "", data.Errorf(g.file, 0,
			"the tags begin with %s, and no scheme has all of these; say which it is with `scheme`, "+
				"or use `scheme none` for tags that spell no entities",
			strings.Join(strings.Split(g.letters, ""), ", "))
	}
	return best, nil
}

// tagLook is what a look at all tags finds.
type tagLook struct {
	letters string // of the tags that have one, each once
	plain   bool   // they spell no entities
	file    string // of the first tag with a letter
}

// lookAtTags collects the letters of tags.
func lookAtTags(files []*File) (g tagLook, err error) {
	var withType, odd string // the first tag with a letter and a type, and with neither
	var at *data.Error
	isOutside := false
	for _, f := range files {
		if f == nil {
			continue
		}
		for e := range f.Values() {
			for _, tag := range e.Tags {
				letter := strings.IndexByte("BIESLU", tag[0]) >= 0
				switch {
				case tag == outside:
					isOutside = true
				case letter && (len(tag) == 1 || tag[1] == '-'):
					if g.file == "" {
						g.file = f.Name
					}
					if len(tag) > 2 && withType == "" {
						withType = tag
					}
					if !strings.Contains(g.letters, tag[:1]) {
						g.letters += tag[:1]
					}
				case odd == "":
					odd, at = tag, data.Errorf(f.Name, e.Line, "")
				}
			}
		}
	}
	switch {
	case withType == "" && (odd != "" || !isOutside && !strings.Contains(g.letters, "B")):
		g.plain = true // S, U … are not letters of a scheme, but tags
	case odd != "":
		at.Msg = "the tag " + data.Excerpt(odd) + " has no letter in front of a type, as " + data.Excerpt(withType) +
			" has: correct it, or use `scheme none` for tags that spell no entities"
		return g, at
	}
	return g, nil
}
