package metrics

import (
	"fmt"
	"math"
)

// sacreVersion is the version of sacreBLEU whose scores ours equal, for signatures.
const sacreVersion = "2.6.0"

// BLEU collects what corpus BLEU (Papineni et al. 2002, aclanthology.org/P02-1040) counts. The score equals
// sacreBLEU's with its default settings: groups of up to four words, exponential smoothing, case-sensitive, no
// effective order. It is not safe for concurrent use.
type BLEU struct {
	tokenizer         Tokenizer
	hits, groups      [bleuOrder]int // by number of words − 1
	predicted, wanted int            // words
	refs              referenceCount
}

// bleuOrder is the number of words of the longest groups.
const bleuOrder = 4

// NewBLEU returns an empty BLEU with a tokenizer.
func NewBLEU(t Tokenizer) *BLEU { return &BLEU{tokenizer: t} }

// BLEUScore is a corpus BLEU with what it is made of.
type BLEUScore struct {
	Score            float64            // from 0 to 100
	Precisions       [bleuOrder]float64 // of groups of 1 to 4 words, from 0 to 100, smoothed
	BrevityPenalty   float64            // from 0 to 1
	PredictionLength int                // words of all predictions
	ReferenceLength  int                // words of the references that are nearest in length
	Signature        string             // sacreBLEU's description of the settings
}

// Add counts a prediction with its references, of which there must be at least one.
func (b *BLEU) Add(prediction string, references []string) {
	words := b.tokenizer.Words(prediction)
	most, nearest := map[string]int{}, -1
	for _, text := range references {
		r := b.tokenizer.Words(text)
		for n := 1; n <= bleuOrder; n++ {
			for g, count := range groups(r, n, n) {
				most[g] = max(most[g], count)
			}
		}
		far, old := distance(len(words), len(r)), distance(len(words), nearest)
		if nearest < 0 || far < old || far == old && len(r) < nearest {
			nearest = len(r)
		}
	}
	for n := 1; n <= bleuOrder; n++ {
		for g, count := range groups(words, n, n) {
			b.groups[n-1] += count
			b.hits[n-1] += min(count, most[g])
		}
	}
	b.predicted, b.wanted = b.predicted+len(words), b.wanted+max(nearest, 0)
	b.refs.add(len(references))
}

func distance(a, b int) int { return max(a-b, b-a) }

// Score returns the score of all predictions that were added.
func (b *BLEU) Score() BLEUScore {
	s := BLEUScore{BrevityPenalty: 1, PredictionLength: b.predicted, ReferenceLength: b.wanted}
	s.Signature = fmt.Sprintf("nrefs:%v|case:mixed|eff:no|tok:%s|smooth:exp|version:%s", b.refs, b.tokenizer, sacreVersion)
	if b.predicted == 0 && b.wanted > 0 {
		s.BrevityPenalty = 0
	} else if b.predicted < b.wanted {
		s.BrevityPenalty = math.Exp(1 - float64(b.wanted)/float64(b.predicted))
	}
	if b.hits == [bleuOrder]int{} {
		return s
	}
	smooth, logs := 1.0, 0.0
	for n := range bleuOrder {
		if b.groups[n] == 0 {
			return s // no prediction is so long: sacreBLEU's score is 0
		}
		if b.hits[n] == 0 {
			smooth *= 2
			s.Precisions[n] = 100 / (smooth * float64(b.groups[n]))
		} else {
			s.Precisions[n] = 100 * float64(b.hits[n]) / float64(b.groups[n])
		}
		logs += math.Log(s.Precisions[n])
	}
	s.Score = s.BrevityPenalty * math.Exp(logs/bleuOrder)
	return s
}

// referenceCount is the number of references of each prediction, 0 before the first, or −1 if it varies.
type referenceCount int

func (c *referenceCount) add(n int) {
	if *c == 0 {
		*c = referenceCount(n)
	} else if int(*c) != n {
		*c = -1
	}
}

// String returns the number, or var.
func (c referenceCount) String() string {
	if c < 0 {
		return "var"
	}
	return fmt.Sprint(int(c))
}
