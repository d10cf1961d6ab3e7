package data

import (
	"cmp"
	"math"
	"slices"
)

// SplitOff divides the rows of t into two tables: held gets round(fraction × rows) of
// them, rest keeps the others, both in the order of t. The choice depends on
// seed and the rows' order only, the same on every machine. What was counted
// when the file was read stays with rest, so that it is told once. It is an error
// if fraction is not between 0 and 1 or a part would be empty.
func (t *Table) SplitOff(fraction float64, seed uint64) (rest, held *Table, err error) {
	all := make([]int, len(t.Examples))
	for i := range all {
		all[i] = i
	}
	return t.splitStrata([][]int{all}, "", fraction, seed)
}

// SplitClasses does what SplitOff does, class by class, for rows whose label is
// one class: each class gives fraction of its rows, rounded so that
// round(fraction × rows) are held in all (largest remainders first), and keeps at
// least one. Rows without a label count as a class.
func (t *Table) SplitClasses(fraction float64, seed uint64) (rest, held *Table, err error) {
	return t.splitStrata(t.strata(), " that leave each class a row to train on", fraction, seed)
}

// splitStrata divides rows stratum by stratum. parts ends the error about what cannot be divided.
func (t *Table) splitStrata(strata [][]int, parts string, fraction float64, seed uint64) (rest, held *Table, err error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, nil, optionError("the part to split off (%v) is not between 0 and 1", fraction)
	}
	counts := shares(strata, fraction, len(t.Examples))
	take := make([]bool, len(t.Examples))
	n := 0
	for i, rows := range strata {
		order := slices.Clone(rows)
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(mix(seed, a), mix(seed, b)), cmp.Compare(a, b))
		})
		for _, r := range order[:counts[i]] {
			take[r] = true
			n++
		}
	}
	if n == 0 || n == len(t.Examples) {
		return nil, nil, optionError("%s of %s cannot be split into two parts with a fraction of %v%s", t.Name, plural(len(t.Examples), "row"), fraction, parts)
	}
	r, h := *t, *t
	r.Examples, h.Examples = divide(t.Examples, take)
	h.Blank, h.Replaced, h.Dropped = 0, 0, 0
	return &r, &h, nil
}

// strata returns the row numbers of each class, classes in the order of their
// first row.
func (t *Table) strata() [][]int {
	var out [][]int
	index := map[string]int{}
	for i := range t.Examples {
		key := t.Examples[i].Label.String()
		c, ok := index[key]
		if !ok {
			c = len(out)
			index[key] = c
			out = append(out, nil)
		}
		out[c] = append(out[c], i)
	}
	return out
}

// shares returns how many rows each class gives: floor(fraction × rows), then
// one more for the largest remainders until round(fraction × total) is reached,
// never all rows of a class. Equal remainders go by class order.
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

// shuffled returns the numbers below n in an order that depends on seed only.
func shuffled(n int, seed uint64) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(mix(seed, a), mix(seed, b)), cmp.Compare(a, b)) })
	return order
}

// holdOutGroups chooses about fraction of the rows, keeping rows of one key together: group by group in an
// order that depends on seed, a group is held if that comes nearer to what was asked for. It returns the
// choice for each row and the number of groups. It is an error if fraction is not between 0 and 1.
func holdOutGroups(keys []string, fraction float64, seed uint64) (take []bool, groups int, err error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, 0, optionError("the part to split off (%v) is not between 0 and 1", fraction)
	}
	number := map[string]int{} // of each group, in the order of the file
	var sizes []int
	for _, key := range keys {
		n, ok := number[key]
		if !ok {
			n = len(sizes)
			number[key] = n
			sizes = append(sizes, 0)
		}
		sizes[n]++
	}
	order := shuffled(len(sizes), seed)
	left := float64(fraction * float64(len(keys)))
	held := make([]bool, len(sizes))
	for _, g := range order {
		if size := float64(sizes[g]); size < 2*left {
			held[g] = true
			left -= size
		}
	}
	take = make([]bool, len(keys))
	for i, key := range keys {
		take[i] = held[number[key]]
	}
	return take, len(sizes), nil
}

// divideByContext divides the questions of a file into two parts that share no context. contexts has that of each.
func divideByContext[Q any](name string, list []Q, contexts []string, fraction float64, seed uint64) (rest, held []Q, err error) {
	take, n, err := holdOutGroups(contexts, fraction, seed)
	if err != nil {
		return nil, nil, err
	}
	if rest, held = divide(list, take); len(rest) == 0 || len(held) == 0 {
		return nil, nil, optionError("%s of %s about %s cannot be split into two parts with a fraction of %v that share no context",
			name, plural(len(list), "question"), plural(n, "context"), fraction)
	}
	return rest, held, nil
}

// divide returns what is not taken of a list and what is, both in its order.
func divide[E any](list []E, take []bool) (rest, held []E) {
	for i, e := range list {
		if take[i] {
			held = append(held, e)
		} else {
			rest = append(rest, e)
		}
	}
	return rest, held
}

// mix is the finaliser of SplitMix64 over seed and row: a random order that
// every machine and Go version agrees on.
func mix(seed uint64, row int) uint64 {
	z := seed + uint64(row+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
