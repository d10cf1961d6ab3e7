package nn

// Limits say what a model of texts can be given. Models embed it, tagged "-".
type Limits struct {
	Positions int // tokens of a sequence
	Words     int // token ids
	Types     int // token types: rows of that table, 0 without one
}

// MaxLength returns how many tokens a sequence may have.
func (l Limits) MaxLength() int { return l.Positions }

// Vocabulary returns how many token ids the model knows.
func (l Limits) Vocabulary() int { return l.Words }

// TokenTypes returns how many token types the model tells apart; with 0 or 1 it makes no difference which ones a batch has.
func (l Limits) TokenTypes() int { return l.Types }
