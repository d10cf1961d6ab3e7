package tagged

import "github.com/spalora/spalora/data"

// SplitOff divides the sentences into two files: held gets about fraction of them, rest keeps the others, both in the
// order of the file. Equal sentences go to the same side, so that none of held was trained on. The choice depends on
// seed and the order of the sentences only, the same on every machine. What was counted when the file was read, or its
// tags repaired, stays with rest, so that it is reported once. It returns an error if fraction is not between 0 and 1
// or a part would be empty.
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	text := func(_ int, e Sentence) string { return e.Text }
	if rest, held, err = data.SplitGroups(f, text, "sentence", "with text", fraction, seed); err != nil {
		return nil, nil, err
	}
	held.Converted, held.Relocated, held.Moved, held.Overlapping, held.Repaired = 0, 0, 0, 0, 0
	held.convertedLine, held.relocatedLine, held.movedLine, held.overlapLine, held.repairedLine = 0, 0, 0, 0, 0
	held.apart = data.Tally{}
	return rest, held, nil
}
