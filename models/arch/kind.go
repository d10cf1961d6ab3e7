package arch

// Kind is what a head computes.
type Kind int

// The kinds of heads.
const (
	Sequence      Kind = iota // logits for each sequence
	Token                     // logits for each token
	Question                  // logits of the start and the end of an answer for each token
	Choice                    // a score for each sequence, which is one choice of a question
	Features                  // no head: the hidden states
	Causal                    // logits of the next token
	Seq2Seq                   // logits of the next token of a target, given a source
	Speech                    // logits of the next token of a text, given sound
	Image                     // logits for each image
	ImageTeacher              // logits for each image, with a head that learned from a teacher beside another
	ImageFeatures             // no head: the hidden states of images
)

// String returns the kind as messages name it.
func (k Kind) String() string {
	return [...]string{
		"sequence-classification", "token-classification", "question-answering", "multiple-choice", "feature-extraction",
		"causal-language-model", "sequence-to-sequence", "speech-to-text", "image-classification",
		"image-classification-with-teacher", "image-feature-extraction",
	}[k]
}

// Trained reports whether the head belongs to a task, so that it is drawn anew if a checkpoint lacks it and does not
// count as part of the base model. The head of a language model, causal or with an encoder, is part of it.
func (k Kind) Trained() bool { return k.Does() == "" }

// Does says what models with a head do that belongs to them, for messages; "" for a head that a task trains.
func (k Kind) Does() string {
	switch k {
	case Causal:
		return "predict the next token"
	case Seq2Seq:
		return "have an encoder and a decoder of text"
	case Speech:
		return "write text for sound"
	case ImageTeacher:
		return "classify images with a teacher's head"
	}
	return ""
}
