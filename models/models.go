// Package models opens checkpoints: it finds the architecture that config.json names, builds the model with the head
// that a task needs, and fills it. A new architecture is a folder with a descriptor (see package arch) and one line
// in architectures.go.
package models

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is a model that this package opens.
type Model interface {
	spago.Model
	// String returns the module tree in the style of PyTorch.
	String() string
}

// TextModel is a model that reads token ids, or writes them.
type TextModel interface {
	Model
	// MaxLength returns the largest number of tokens of a sequence.
	MaxLength() int
	// Vocabulary returns the number of token ids.
	Vocabulary() int
	// TokenTypes returns the number of token types. Below 2 the model ignores the types of a batch.
	TokenTypes() int
}

// SequenceClassifier is a model with a head that gives one row of logits for each sequence.
type SequenceClassifier interface {
	TextModel
	// Logits returns B×labels for the B sequences of b.
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Labels returns the number of columns of the logits.
	Labels() int
}

// TokenClassifier is a model with a head that gives one row of logits for each token.
type TokenClassifier interface {
	TextModel
	// Logits returns N×labels for the N tokens of b, or p.Keep's rows of it.
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Labels returns the number of columns of the logits.
	Labels() int
}

// QuestionAnswerer is a model with a head that finds the answer to a question in a text.
type QuestionAnswerer interface {
	TextModel
	// Logits returns N×2 for the N tokens of b, or p.Keep's rows of it. Column 0 scores that the answer begins with the
	// token, column 1 that it ends with it.
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
}

// MultipleChoice is a model with a head that scores each choice of a question. A choice is a sequence.
type MultipleChoice interface {
	TextModel
	// Logits returns B×1 for the B sequences of b.
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
}

// Encoder is a model without a head, for feature extraction.
type Encoder interface {
	TextModel
	// Forward returns the hidden states after the last block: N×Width for the N tokens of b, or p.Keep's rows of it.
	Forward(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Width returns the number of columns of a hidden state.
	Width() int
}

// CausalLM is a model that predicts the next token.
type CausalLM interface {
	TextModel
	// Logits returns the logits of the next token, rows×V: of every row of b, or of p.Keep's.
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Loss returns the summed cross-entropy (1×1) of the rows of b that have a label, with p.Smoothing. b.Labels has N
	// entries: the id after each row, batch.Ignore for none.
	Loss(p *nn.Pass, b *batch.Batch) (sum mat.Tensor, stats op.TargetStats)
	// NewCache returns an empty cache for the given number of sequences of at most capacity tokens.
	NewCache(sequences, capacity int) *nn.Cache
	// Init draws all weights from seed.
	Init(seed uint64) error
}

// Seq2SeqLM is an encoder–decoder that writes a target for a source. A batch holds the sources, its Target the inputs
// of the decoder and, for a loss, their labels: the ids that they should predict. Both have as many sequences.
type Seq2SeqLM interface {
	TextModel
	// Encode returns the encoder's rows for the sources of b.
	Encode(p *nn.Pass, b *batch.Batch) *nn.Memory
	// Decode returns the logits of the next token, rows×V, for the decoder's inputs b, which read p.Memory: of every row,
	// or of p.Keep's. With p.Cache it appends the rows to it, and only the first call for its sequences needs a memory.
	Decode(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Logits returns Encode and Decode of b and b.Target, rows×V: of every row of the target, or of p.Keep's.
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Loss returns the summed cross-entropy (1×1) of the rows of b.Target that have a label, with p.Smoothing.
	// b.Target.Labels has an entry for each row, batch.Ignore for none.
	Loss(p *nn.Pass, b *batch.Batch) (sum mat.Tensor, stats op.TargetStats)
	// Shift returns the decoder's inputs for the labels of one target, as many ids.
	Shift(labels []int32) []int32
	// NewCache returns an empty cache for the given number of targets of at most capacity tokens.
	NewCache(sequences, capacity int) *nn.Cache
	// Init draws all weights from seed.
	Init(seed uint64) error
}

// SpeechSeq2SeqLM is an encoder–decoder that writes a text for sound. A batch holds the frames of a window of each
// clip, rows of log-mel features (Features, Frames()×Bins() for a whole window), and its Target the decoder's side, as
// for text. A window with fewer frames is computed as the beginning of a whole one would be, without the rest.
type SpeechSeq2SeqLM interface {
	Seq2SeqLM
	// Bins returns the number of columns of a frame.
	Bins() int
	// Frames returns the number of frames of a whole window. Windows have an even number of frames.
	Frames() int
}

// ImageClassifier is a model with a head that gives one row of logits for each image. A batch holds the patches of
// each image as rows of Features, from left to right and from top to bottom, each with its values channel by channel
// and row by row.
type ImageClassifier interface {
	Model
	// Logits returns B×labels for the B images of b. Without b.Grids, each has the size that Image returns.
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Labels returns the number of columns of the logits.
	Labels() int
	// Image returns the size of the images that the positions were learned for.
	Image() (channels, height, width int)
	// Patch returns the size of a patch.
	Patch() (height, width int)
	// Init draws all weights from seed.
	Init(seed uint64) error
}

// ImageEncoder is a model of images without a head, for features. Batches are as for an [ImageClassifier].
type ImageEncoder interface {
	Model
	// Rows returns the sequences of hidden states for those of patches: each has the rows of tokens first.
	Rows(patches op.Seqs) op.Seqs
	// Forward returns the hidden states after the last norm, N×Width for the N rows of Rows(b.Seqs), or p.Keep's of them.
	Forward(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Pooled returns the pooler's row for each of the B images of b, made of the first row of each.
	Pooled(p *nn.Pass, b *batch.Batch) mat.Tensor
	// Width returns the number of columns of a hidden state.
	Width() int
	// Image returns the size of the images that the positions were learned for.
	Image() (channels, height, width int)
	// Patch returns the size of a patch.
	Patch() (height, width int)
}
