package metrics

import "strings"

// Overlap is what a prediction and a reference have in common, from 0 to 1.
type Overlap struct {
	Precision float64 // share of the prediction
	Recall    float64 // share of the reference
	F1        float64 // their harmonic mean
}

// Rouge holds the ROUGE measures (Lin 2004, aclanthology.org/W04-1013) of one prediction: of single words, of pairs of
// words, of the longest common subsequence of words, and of the union of the subsequences of each line of the
// reference. They equal those of the Python package rouge_score.
type Rouge struct {
	R1, R2, L, LSum Overlap
}

// ScoreRouge compares a prediction with its references and returns, for each measure, that of the reference with the
// largest F1, the first among equal ones. Words are runs of the letters a to z and digits, of which stemming takes the
// stem if they have more than three characters. Without references all measures are 0.
func ScoreRouge(prediction string, references []string, stemming bool) Rouge {
	var best Rouge
	p := newSummary(prediction, stemming)
	for i, text := range references {
		r := p.against(newSummary(text, stemming))
		for _, x := range [...]struct {
			to   *Overlap
			from Overlap
		}{{&best.R1, r.R1}, {&best.R2, r.R2}, {&best.L, r.L}, {&best.LSum, r.LSum}} {
			if i == 0 || x.from.F1 > x.to.F1 {
				*x.to = x.from
			}
		}
	}
	return best
}

// summary is a text as words.
type summary struct {
	words []string
	lines [][]string
}

func newSummary(text string, stemming bool) summary {
	var s summary
	for line := range strings.SplitSeq(text, "\n") {
		words := rougeWords(line, stemming)
		s.words, s.lines = append(s.words, words...), append(s.lines, words)
	}
	return s
}

// rougeWords returns the words of a line.
func rougeWords(line string, stemming bool) []string {
	var words []string
	var word []byte
	end := func() {
		if len(word) > 0 {
			w := string(word)
			if stemming && len(w) > 3 {
				w = stem(w)
			}
			words, word = append(words, w), word[:0]
		}
	}
	for _, r := range line {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			word = append(word, byte(r))
		case r >= 'A' && r <= 'Z':
			word = append(word, byte(r)-'A'+'a')
		case r == '\u212a': // the sign of Kelvin: its small letter is k
			word = append(word, 'k')
		case r == '\u0130': // İ: its small letter is i with a dot above, a character of its own
			word = append(word, 'i')
			end()
		default:
			end()
		}
	}
	end()
	return words
}

// against compares a prediction with a reference.
func (p summary) against(r summary) Rouge {
	var s Rouge
	s.R1, s.R2 = groupOverlap(p.words, r.words, 1), groupOverlap(p.words, r.words, 2)
	if len(p.words) > 0 && len(r.words) > 0 {
		s.L = overlap(newSubsequences(r.words, p.words).length(), len(p.words), len(r.words))
		s.LSum = overlap(p.unionHits(r), len(p.words), len(r.words))
	}
	return s
}

// overlap returns the measures of a number of hits.
func overlap(hits, predicted, wanted int) Overlap {
	o := Overlap{Precision: float64(hits) / float64(max(predicted, 1)), Recall: float64(hits) / float64(max(wanted, 1))}
	if sum := o.Precision + o.Recall; sum > 0 {
		o.F1 = 2 * o.Precision * o.Recall / sum
	}
	return o
}

// groupOverlap compares the groups of n words.
func groupOverlap(predicted, wanted []string, n int) Overlap {
	p, r, hits := groups(predicted, n, n), groups(wanted, n, n), 0
	for g, count := range r {
		hits += min(count, p[g])
	}
	return overlap(hits, len(predicted)-n+1, len(wanted)-n+1)
}

// groups counts the groups of least to most words. Words have no spaces.
func groups(words []string, least, most int) map[string]int {
	count := map[string]int{}
	for n := least; n <= most; n++ {
		for i := range len(words) - n + 1 {
			count[strings.Join(words[i:i+n], " ")]++
		}
	}
	return count
}

// unionHits returns the number of words of a reference that are in the union of the common subsequences of its lines
// with all lines of the prediction, each word at most as often as both texts have it.
func (p summary) unionHits(r summary) (hits int) {
	left, wanted := groups(p.words, 1, 1), groups(r.words, 1, 1)
	for _, line := range r.lines {
		in := make([]bool, len(line))
		for _, other := range p.lines {
			newSubsequences(line, other).mark(in)
		}
		for i, word := range line {
			if in[i] && left[word] > 0 && wanted[word] > 0 {
				hits++
				left[word]--
				wanted[word]--
			}
		}
	}
	return hits
}

// subsequences has the lengths of the longest common subsequences of all beginnings of two lists of words.
type subsequences struct {
	a, b  []string
	table []int32 // (len(a)+1)×(len(b)+1)
}

func newSubsequences(a, b []string) subsequences {
	s := subsequences{a, b, make([]int32, (len(a)+1)*(len(b)+1))}
	for i, x := range a {
		for j, y := range b {
			if x == y {
				*s.at(i+1, j+1) = *s.at(i, j) + 1
			} else {
				*s.at(i+1, j+1) = max(*s.at(i, j+1), *s.at(i+1, j))
			}
		}
	}
	return s
}

func (s subsequences) at(i, j int) *int32 { return &s.table[i*(len(s.b)+1)+j] }

func (s subsequences) length() int { return int(*s.at(len(s.a), len(s.b))) }

// mark marks the words of a that are in the subsequence. Of several longest ones it takes the one that rouge_score
// finds.
func (s subsequences) mark(in []bool) {
	for i, j := len(s.a), len(s.b); i > 0 && j > 0; {
		switch {
		case s.a[i-1] == s.b[j-1]:
			i, j = i-1, j-1
			in[i] = true
		case *s.at(i, j-1) > *s.at(i-1, j):
			j--
		default:
			i--
		}
	}
}

// RougeMean is the mean of the measures of several predictions.
type RougeMean struct {
	sum Rouge
	n   int
}

// Add counts a prediction.
func (m *RougeMean) Add(r Rouge) {
	m.n++
	for _, x := range [...]struct{ to, from *Overlap }{
		{&m.sum.R1, &r.R1}, {&m.sum.R2, &r.R2}, {&m.sum.L, &r.L}, {&m.sum.LSum, &r.LSum},
	} {
		x.to.Precision += x.from.Precision
		x.to.Recall += x.from.Recall
		x.to.F1 += x.from.F1
	}
}

// Mean returns the means, from 0 to 1; all are 0 before the first Add.
func (m *RougeMean) Mean() Rouge {
	mean := func(o Overlap) Overlap {
		n := float64(max(m.n, 1))
		return Overlap{o.Precision / n, o.Recall / n, o.F1 / n}
	}
	return Rouge{mean(m.sum.R1), mean(m.sum.R2), mean(m.sum.L), mean(m.sum.LSum)}
}
