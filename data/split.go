package data

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// SplitStrata chooses rows to hold out stratum by stratum: each stratum gives fraction of its rows, rounded so that
// round(fraction × rows) are held in all (largest remainders first), and keeps at least one. strata has the numbers of
// the rows of each, n rows in all. The choice depends on seed and the row numbers only, the same on every machine.
func SplitStrata(strata [][]int, n int, fraction float64, seed uint64) (take []bool, err error) {
	if err := checkFraction(fraction); err != nil {
		return nil, err
	}
	counts := shares(strata, fraction, n)
	take = make([]bool, n)
	for i, rows := range strata {
		for _, r := range shuffled(rows, seed)[:counts[i]] {
			take[r] = true
		}
	}
	return take, nil
}

// SplitRows chooses round(fraction × n) of n rows to hold out. The choice depends on seed and n only, the same on
// every machine.
func SplitRows(n int, fraction float64, seed uint64) (take []bool, err error) {
	if err := checkFraction(fraction); err != nil {
		return nil, err
	}
	take = make([]bool, n)
	for _, i := range shuffled(numbers(n), seed)[:int(math.Round(float64(fraction*float64(n))))] {
		take[i] = true
	}
	return take, nil
}

// SplitGroups divides the rows of f into two files that share no group; group returns that of row i. Group by group in
// an order that depends on seed, a group is held out if that comes nearer to fraction. The error about rows that do not
// divide calls rows and groups by their nouns ("question", "about context").
func SplitGroups[E Row[E], K any, P Of[E, K]](
	f P, group func(i int, e E) string, rows, groups string, fraction float64, seed uint64,
) (rest, held P, err error) {
	if err := checkFraction(fraction); err != nil {
		return nil, nil, err
	}
	b := f.base()
	number := map[string]int{} // of each group, in the order of the file
	var sizes []int
	of := make([]int, b.Len()) // the group of each row
	for i, e := range b.All() {
		key := group(i, e)
		n, ok := number[key]
		if !ok {
			n = len(sizes)
			number[key] = n
			sizes = append(sizes, 0)
		}
		sizes[n]++
		of[i] = n
	}
	left := float64(fraction * float64(b.Len()))
	chosen := make([]bool, len(sizes))
	for _, g := range shuffled(numbers(len(sizes)), seed) {
		if size := float64(sizes[g]); size < 2*left {
			chosen[g] = true
			left -= size
		}
	}
	take := make([]bool, b.Len())
	for i, g := range of {
		take[i] = chosen[g]
	}
	link, noun, _ := strings.Cut(groups, " ")
	what := Plural(b.Len(), rows) + " " + link + " " + Plural(len(sizes), noun)
	return Divide[E, K](f, take, fraction, what, " that share no "+noun)
}

// checkFraction returns an error if fraction is not between 0 and 1.
func checkFraction(fraction float64) error {
	if !(fraction > 0 && fraction < 1) {
		return OptionErrorf("the part to split off (%v) is not between 0 and 1", fraction)
	}
	return nil
}

// shares returns how many rows each class gives: floor(fraction × rows), then one more for the largest remainders
// until round(fraction × total) is reached, never all rows of a class. Equal remainders go by class order.
func shares(classes [][]int, fraction float64, total int) []int {
	counts := make([]int, len(classes))
	remainders := make([]float64, len(classes))
	order := make([]int, len(classes))
	left := int(math.Round(float64(fraction * float64(total))))
	for i, rows := range classes {
		exact := float64(fraction * float64(len(rows)))
		counts[i] = min(int(exact), len(rows)-1)
		remainders[i] = exact - float64(counts[i])
		order[i] = i
		left -= counts[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	for given := true; left > 0 && given; {
		given = false
		for _, c := range order {
			if left > 0 && counts[c] < len(classes[c])-1 {
				counts[c]++
				left--
				given = true
			}
		}
	}
	return counts
}

// numbers returns 0 to n-1.
func numbers(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// shuffled returns row numbers in an order that depends on seed only.
func shuffled(rows []int, seed uint64) []int {
	return slices.SortedFunc(slices.Values(rows), func(a, b int) int {
		return cmp.Or(cmp.Compare(mix(seed, a), mix(seed, b)), cmp.Compare(a, b))
	})
}

// mix is the finaliser of SplitMix64 over seed and row: a random order that every machine and Go version agrees on.
func mix(seed uint64, row int) uint64 {
	z := seed + uint64(row+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
