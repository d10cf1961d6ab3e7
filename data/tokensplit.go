package data

import "fmt"

// SplitOff divides the sentences into two tables: held gets about fraction of them, rest
// keeps the others, both in the order of the file. The choice depends on seed and the
// number of sentences only, the same on every machine. It is an error if fraction is not
// between 0 and 1 or a part would be empty.
func (t *TokenTable) SplitOff(fraction float64, seed uint64) (rest, held *TokenTable, err error) {
	take, err := holdOut(len(t.Examples), fraction, seed)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (%s, %s)", err, t.Name, plural(len(t.Examples), "sentence"))
	}
	r, h := *t, *t
	r.Examples, h.Examples = divide(t.Examples, take)
	return &r, &h, nil
}
