package data

import "fmt"

// Ignore marks a label that does not count in a loss or a metric.
const Ignore int32 = -100

// Batch is what a model is given for one step, for all tasks. The rows of all
// B sequences stand one after another without padding, N = ΣT.
//
// A batch belongs to whoever asked for it: the set that made it keeps no
// reference to its slices.
type Batch struct {
	// Rows holds the B numbers of the examples in their set (global example
	// numbers: they also seed dropout, so that a batch's split does not matter).
	Rows []int
	// IDs holds the N token ids.
	IDs []int32
	// Types holds the N token type ids; nil if the model has none.
	Types []int32
	// Starts holds B+1 row offsets: sequence i is rows Starts[i] to Starts[i+1].
	Starts []int
	// Features holds N×C inputs that are not tokens (speech, images).
	Features []float32
	// Target is the decoder's side of a sequence-to-sequence batch, else nil.
	Target *Batch
	// Labels holds classes: k for each item; Ignore means no target.
	Labels []int32
	// Values holds regression targets, or multi-label rows of 0 and 1 (B×k).
	Values []float32
	// Groups holds G+1 offsets of the sequences that belong to one question
	// (multiple choice): question g is sequences Groups[g] to Groups[g+1].
	Groups []int
}

// Set is a list of examples that can be batched.
//
// Batch is safe for concurrent use, so that batches can be made ahead of time.
type Set interface {
	// Len returns the number of examples.
	Len() int
	// Tokens returns the length of example i in tokens.
	Tokens(i int) int
	// Batch makes a batch of the examples with these numbers, in this order.
	Batch(rows []int) *Batch
}

// Split names the part that a set plays in a run.
type Split int

// The three parts of a run: what is trained on, what chooses the best state,
// and what is scored once at the end.
const (
	Train Split = iota
	Eval
	Test
)

// String returns the name of the split as it is written in logs and files.
func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case Eval:
		return "eval"
	case Test:
		return "test"
	}
	return fmt.Sprintf("Split(%d)", int(s))
}
