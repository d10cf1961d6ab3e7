package tagged

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

// TestFollows: the tags of a sentence follow each other exactly if RepairTags leaves them as they are. All sentences of
// up to four words with two types are tried, and those without types.
func TestFollows(t *testing.T) {
	for _, k := range schemes {
		sound := 0
		for _, kinds := range [][]string{{"-A", "-B"}, {""}} {
			tags := []string{"O"}
			for _, letter := range k.letters {
				for _, kind := range kinds {
					tags = append(tags, string(letter)+kind)
				}
			}
			var try func(sentence []string)
			try = func(sentence []string) {
				_, changed, err := RepairTags(sentence, k.scheme)
				if err != nil {
					t.Fatal(err)
				}
				follow := true
				for i, last := range append([]string{""}, sentence...) {
					follow = follow && k.scheme.Follows(last, append(slices.Clone(sentence), "")[i])
				}
				if follow != (changed == 0) {
					t.Fatalf("%s: %v: follow %v, but %d are repaired", k.scheme, sentence, follow, changed)
				}
				if follow {
					sound++
				}
				if len(sentence) < 4 {
					for _, tag := range tags {
						try(append(slices.Clone(sentence), tag))
					}
				}
			}
			try([]string{"O"})
			for _, tag := range tags[1:] {
				try([]string{tag})
			}
		}
		if sound < 50 {
			t.Errorf("%s: only %d sentences follow the rules", k.scheme, sound)
		}
	}
	if !Plain.Follows("", "NOUN") || !Plain.Follows("I-X", "") {
		t.Error("the scheme none forbids a tag")
	}
}

func TestForbidden(t *testing.T) {
	mask, err := IOB2.Forbidden([]string{"B-X", "I-X", "O", "I-Y"})
	want := []bool{
		false, false, true, false, true, // the beginning: neither I-X nor I-Y
		false, false, false, false, true, // B-X: not I-Y
		false, false, false, false, true, // I-X: not I-Y
		false, false, true, false, true, // O: neither
		false, false, true, false, false, // I-Y: not I-X
	}
	if err != nil || !slices.Equal(mask, want) {
		t.Errorf("%v, %v; want %v", mask, err, want)
	}
	for _, c := range []struct {
		scheme Scheme
		names  []string
		want   string
	}{
		{Plain, []string{"NOUN"}, "spell no entities"},
		{IOB2, []string{"O", "LABEL_0"}, `"LABEL_0" is none of the scheme IOB2`},
		{IOBES, []string{"B-X", "I-X", "E-X"}, "add the tag O"},
		{IOB2, []string{"I-X"}, "add the tag O"},
	} {
		_, err := c.scheme.Forbidden(c.names)
		if !errors.Is(err, data.ErrOption) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %v: %v, want %q", c.scheme, c.names, err, c.want)
		}
	}
}
