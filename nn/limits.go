package nn

// Limits holds the limits of the inputs that a text model accepts. Models embed it with the tag hf:"-".
type Limits struct {
	Positions int // tokens of a sequence at most
	Words     int // number of token ids
	Types     int // number of token types: rows of that table, 0 without one
}

// MaxLength returns the largest number of tokens of a sequence.
func (l Limits) MaxLength() int { return l.Positions }

// Vocabulary returns the number of token ids that the model knows.
func (l Limits) Vocabulary() int { return l.Words }

// TokenTypes returns the number of token types that the model distinguishes. With 0 or 1 the token types of a batch
// have no effect.
func (l Limits) TokenTypes() int { return l.Types }

// setVocabulary changes the number of token ids.
func (l *Limits) setVocabulary(n int) { l.Words = n }
