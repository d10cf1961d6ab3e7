package metrics

import (
	"fmt"
	"strings"

	"github.com/spalora/spalora/tasks/metrics/normalize"
)

// CHRF collects what chrF (Popović 2015, aclanthology.org/W15-3049) and chrF++ (2017, aclanthology.org/W17-4770)
// count: groups of characters without white space, and for chrF++ groups of words, too. The score equals sacreBLEU's
// with its default settings. It is not safe for concurrent use.
type CHRF struct {
	words  int // number of words of the longest groups
	counts chrfCounts
	refs   referenceCount
}

const (
	chrfChars = 6 // characters of the longest groups
	chrfWords = 2 // words of the longest groups of chrF++
	chrfBeta  = 2 // how much more recall counts than precision
)

// groupCount is the number of groups of one length in a prediction and a reference, and of those in both.
type groupCount struct{ predicted, wanted, hits int }

type chrfCounts [chrfChars + chrfWords]groupCount

// NewCHRF returns an empty chrF, or chrF++ with plus.
func NewCHRF(plus bool) *CHRF {
	c := &CHRF{}
	if plus {
		c.words = chrfWords
	}
	return c
}

// Add counts a prediction with the reference that it is nearest to; there must be at least one.
func (c *CHRF) Add(prediction string, references []string) {
	p, best, highest := c.groups(prediction), chrfCounts{}, -1.0
	for _, text := range references {
		var counts chrfCounts
		r := c.groups(text)
		for i := range counts {
			counts[i] = compareGroups(p[i], r[i])
		}
		if s := counts.score(); s > highest {
			best, highest = counts, s
		}
	}
	for i, n := range best {
		c.counts[i].predicted += n.predicted
		c.counts[i].wanted += n.wanted
		c.counts[i].hits += n.hits
	}
	c.refs.add(len(references))
}

// Score returns the score of all predictions that were added, from 0 to 100.
func (c *CHRF) Score() float64 { return c.counts.score() }

// Signature returns sacreBLEU's description of the settings.
func (c *CHRF) Signature() string {
	return fmt.Sprintf("nrefs:%v|case:mixed|eff:yes|nc:%d|nw:%d|space:no|version:%s", c.refs, chrfChars, c.words,
		sacreVersion)
}

// groups counts the groups of characters, by their length, and after them those of words.
func (c *CHRF) groups(text string) (list [chrfChars + chrfWords]map[string]int) {
	fields := strings.FieldsFunc(text, normalize.IsSpace)
	chars := []rune(strings.Join(fields, ""))
	for n := 1; n <= chrfChars; n++ {
		count := map[string]int{}
		for i := range len(chars) - n + 1 {
			count[string(chars[i:i+n])]++
		}
		list[n-1] = count
	}
	if c.words > 0 {
		words := withoutPunctuation(fields)
		for n := 1; n <= c.words; n++ {
			list[chrfChars+n-1] = groups(words, n, n)
		}
	}
	return list
}

// withoutPunctuation separates a mark of punctuation at the end of each word, or else at its beginning.
func withoutPunctuation(fields []string) []string {
	const marks = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	var words []string
	for _, w := range fields {
		last := len(w) - 1
		switch {
		case last == 0:
			words = append(words, w)
		case strings.IndexByte(marks, w[last]) >= 0:
			words = append(words, w[:last], w[last:])
		case strings.IndexByte(marks, w[0]) >= 0:
			words = append(words, w[:1], w[1:])
		default:
			words = append(words, w)
		}
	}
	return words
}

// compareGroups counts the groups of one length. Those of the prediction do not count if the reference has none.
func compareGroups(predicted, wanted map[string]int) (n groupCount) {
	for g, count := range predicted {
		if len(wanted) > 0 {
			n.predicted += count
		}
		n.hits += min(count, wanted[g])
	}
	for _, count := range wanted {
		n.wanted += count
	}
	return n
}

// score returns the weighted harmonic mean of precision and recall, which are averaged over the lengths of groups that
// both texts have.
func (c *chrfCounts) score() float64 {
	precision, recall, lengths := 0.0, 0.0, 0
	for _, n := range c {
		if n.predicted > 0 && n.wanted > 0 {
			precision += float64(n.hits) / float64(n.predicted)
			recall += float64(n.hits) / float64(n.wanted)
			lengths++
		}
	}
	if lengths == 0 || precision+recall == 0 {
		return 0
	}
	precision, recall = precision/float64(lengths), recall/float64(lengths)
	const factor = chrfBeta * chrfBeta
	return 100 * (1 + factor) * precision * recall / (factor*precision + recall)
}
