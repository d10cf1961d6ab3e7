package generation

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/tasks"
)

// AddTargets defines the flags of training an encoder–decoder to write targets. main is the measure of generated
// texts that decides which state is best.
func AddTargets(fs *pflag.FlagSet, t *tasks.TargetTraining, main string) {
	fs.Float64Var(&t.LabelSmoothingFactor, "label-smoothing-factor", 0,
		"share of the loss that is spread over the whole vocabulary")
	fs.BoolVar(&t.GradientCheckpointing, "gradient-checkpointing", false,
		"compute each block again in the backward: less memory, more time, the same results")
	fs.BoolVar(&t.PredictWithGenerate, "predict-with-generate", false,
		"generate targets in evaluations and score them; "+main+" then decides which state is best")
	fs.IntVar(&t.GenerationNumBeams, "generation-num-beams", 0,
		"beams of --predict-with-generate; 0: those of generation_config.json, else 1")
	fs.IntVar(&t.GenerationMaxLength, "generation-max-length", 0,
		"tokens of a target of --predict-with-generate; 0: --max-target-length")
}

// Sample is what a text was generated for, the text, and the references of the row.
type Sample struct {
	Of, Written string
	References  []string
}

// Samples prints samples of a run: those before training at once, those at its end with the results.
type Samples struct{ after strings.Builder }

// Show prints samples that were taken before training, and keeps those at the end for [Samples.Print].
func (s *Samples) Show(out io.Writer, trained bool, list []Sample) {
	when := map[bool]string{false: "before training", true: "after training"}[trained]
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "%s: %s\n  written:   %s\n", when, oneLine(x.Of), oneLine(x.Written))
		if len(x.References) > 0 {
			fmt.Fprintf(&b, "  reference: %s\n", oneLine(x.References[0]))
		}
	}
	if trained {
		s.after = b
		return
	}
	fmt.Fprint(out, b.String())
}

// Print prints the samples at the end.
func (s *Samples) Print(out io.Writer) error {
	_, err := fmt.Fprint(out, s.after.String())
	return err
}

// shownText is the largest number of characters of a text that samples show.
const shownText = 200

// oneLine returns a text without line ends, cut if it is long.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if list := []rune(text); len(list) > shownText {
		return string(list[:shownText]) + "…"
	}
	return text
}
