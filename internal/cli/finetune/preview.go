package finetune

import (
	"bufio"
	"fmt"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/tasks"
)

// Marks of what is learned: colours on a terminal, brackets elsewhere.
const (
	learnedColour = "\x1b[32m"
	plainColour   = "\x1b[0m"
)

// writePreview prints the first sequences as they are trained on.
func (r *causalRun) writePreview(task *tasks.CausalLM) error {
	begin, end := "[", "]"
	if r.env.Colour {
		begin, end = learnedColour, plainColour
	}
	w := bufio.NewWriter(r.env.Out)
	for i, sequence := range task.Preview(batch.Train, r.preview) {
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
