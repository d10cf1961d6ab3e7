package arch

// Kind is what a head computes.
type Kind int

// The kinds of heads.
const (
	Sequence Kind = iota // logits for each sequence
	Token                // logits for each token
	Question             // logits of the start and the end of an answer for each token
	Choice               // a score for each sequence, which is one choice of a question
	Features             // no head: the hidden states
	Causal               // logits of the next token
	Seq2Seq              // logits of the next token of a target, given a source
)

// String returns the kind as messages name it.
func (k Kind) String() string {
	return [...]string{
		"sequence-classification", "token-classification", "question-answering", "multiple-choice", "feature-extraction",
		"causal-language-model", "sequence-to-sequence",
	}[k]
}

// Trained reports whether the head belongs to a task, so that it is drawn anew if a checkpoint lacks it and does not
// count as part of the base model. The head of a language model, causal or with an encoder, is part of it.
func (k Kind) Trained() bool { return k != Causal && k != Seq2Seq }
