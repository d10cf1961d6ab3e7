package data

// SplitOff divides the sentences into two tables: held gets about fraction of them, rest
// keeps the others, both in the order of the file. Equal sentences go to the same side, so
// that none of held was trained on. The choice depends on seed and the order of the
// sentences only, the same on every machine. What was counted when the file was read, or
// its tags repaired, stays with rest, so that it is told once. It is an error if fraction
// is not between 0 and 1 or a part would be empty.
func (t *TokenTable) SplitOff(fraction float64, seed uint64) (rest, held *TokenTable, err error) {
	texts := make([]string, len(t.Examples))
	for i := range t.Examples {
		texts[i] = t.Examples[i].Text
	}
	take, n, err := holdOutGroups(texts, fraction, seed)
	if err != nil {
		return nil, nil, err
	}
	r, h := *t, *t
	r.Examples, h.Examples = divide(t.Examples, take)
	if len(r.Examples) == 0 || len(h.Examples) == 0 {
		return nil, nil, optionError("%s of %s (%d of them different) cannot be split into two parts with a fraction of %v", plural(len(t.Examples), "sentence"), t.Name, n, fraction)
	}
	h.Blank, h.Replaced, h.Moved, h.Overlapping, h.Repaired = 0, 0, 0, 0, 0
	h.movedLine, h.overlapLine, h.repairedLine = 0, 0, 0
	return &r, &h, nil
}
