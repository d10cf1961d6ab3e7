package batch

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/nn/op"
)

// Ignore marks a label that does not count in a loss or a metric.
const Ignore int32 = -100

// Batch is the input of a model for one forward, with the targets of a loss, for all tasks. It is ragged: the rows of
// all B sequences follow one another without padding, N = ΣT.
//
// A batch belongs to the caller that asked for it: the set that made it keeps no reference to its slices.
type Batch struct {
	// Seqs holds the B+1 row offsets of the sequences (Starts) and the number of each sequence's example in its set
	// (Index), which seeds dropout, so that the division into batches does not matter. Its First is for caches and
	// nil in a batch that a set makes.
	Seqs op.Seqs
	// IDs holds the N token ids.
	IDs []int32
	// Types holds the N token type ids; nil if the model has none.
	Types []int32
	// Features holds N×C inputs that are not tokens: the frames of sound, the patches of images.
	Features []float32
	// Grids holds the number of patches of each image, down and across; nil if all have the size that the model was
	// trained with.
	Grids [][2]int
	// Target is the decoder's side of a sequence-to-sequence batch, else nil.
	Target *Batch
	// Labels holds classes: k for each item; Ignore means no target.
	Labels []int32
	// Values holds regression targets, or multi-label rows of 0 and 1 (B×k).
	Values []float32
	// Groups holds G+1 offsets of the sequences that belong to one question (multiple choice): question g is sequences
	// Groups[g] to Groups[g+1].
	Groups []int
}

// Set is a list of examples that batches are made of.
type Set interface {
	// Len returns the number of examples.
	Len() int
	// Tokens returns the length of example i in tokens.
	Tokens(i int) int
	// Batch makes a batch of the examples with the given numbers, in that order. The batch belongs to the caller.
	//
	// Batch may read files (decode audio and images) and draw from key (augmentation, masking). What it draws depends
	// on key and the example only, never on the other examples of the batch. For training, key is the run's seed with
	// the number of the epoch as Step; the zero key means evaluation, for which nothing is drawn.
	//
	// Batch is safe for concurrent use, so that batches can be made ahead of time. It returns an error if an example
	// cannot be read. A set that reads files returns an error soon after ctx is done.
	Batch(ctx context.Context, examples []int, key op.Key) (*Batch, error)
}

// Split names the use of a set in a run.
type Split int

// The splits of a run: Train is trained on, Eval decides which state is best, Test is scored once at the end.
const (
	Train Split = iota
	Eval
	Test
)

// String returns the split's name as logs and files have it: train, eval or test.
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
