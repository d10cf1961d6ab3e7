package causallm

import (
	"bufio"
	"fmt"

	"github.com/spalora/spalora/tasks/causallm"
)

// Marks of what is learned: colours on a terminal, brackets elsewhere.
const (
	learnedColour = "\x1b[32m"
	plainColour   = "\x1b[0m"
)

// preview prints sequences as they are trained on.
func (r *finetuning) preview(sequences [][]causallm.PreviewToken) error {
	begin, end := "[", "]"
	if r.env.Colour {
		begin, end = learnedColour, plainColour
	}
	w := bufio.NewWriter(r.env.Out)
	for i, sequence := range sequences {
		fmt.Fprintf(w, "── %d: %d tokens\n", i+1, len(sequence))
		learned := false
		for _, token := range sequence {
			switch {
			case token.Trained && !learned:
				fmt.Fprint(w, begin)
			case !token.Trained && learned:
				fmt.Fprint(w, end)
			}
			learned = token.Trained
			fmt.Fprint(w, token.Text)
		}
		if learned {
			fmt.Fprint(w, end)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
