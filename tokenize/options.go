package tokenize

// Strategy is the choice of the text to shorten if an input is longer than Options.MaxLength.
type Strategy int

const (
	// LongestFirst shortens the longer text until both have the same length, then both equally. If there is only one text,
	// it shortens that.
	LongestFirst Strategy = iota
	// OnlyFirst shortens the text, never the pair.
	OnlyFirst
	// OnlySecond shortens the pair, never the text.
	OnlySecond
	// DoNotTruncate makes Encode return an error if an input is too long.
	DoNotTruncate
)

// String returns the strategy's name in the spelling of transformers.
func (s Strategy) String() string {
	switch s {
	case LongestFirst:
		return "longest_first"
	case OnlyFirst:
		return "only_first"
	case OnlySecond:
		return "only_second"
	case DoNotTruncate:
		return "do_not_truncate"
	}
	return "unknown"
}

// Side is the end of a text from which truncation removes tokens.
type Side int

const (
	OwnSide Side = iota // the side that the checkpoint's files name: Tokenizer.TruncationSide
	Right               // drop the last tokens
	Left                // drop the first tokens
)

// String returns "right" or "left", and "own" for OwnSide.
func (s Side) String() string {
	switch s {
	case Right:
		return "right"
	case Left:
		return "left"
	}
	return "own"
}

// Options says how to encode. The zero value adds the special tokens, does not truncate and fills in only ids and
// types.
type Options struct {
	// MaxLength is the maximum number of tokens of an encoding, including special tokens. 0 means no limit.
	MaxLength int
	// Truncation chooses the text to shorten if MaxLength is exceeded.
	Truncation Strategy
	// Side is the end from which truncation removes tokens; the zero value is the side that the checkpoint's files name.
	Side Side
	// NoSpecial leaves out the tokens that the checkpoint's template adds, such as [CLS] and [SEP]. Special tokens that
	// are spelled out in the text are still recognised.
	NoSpecial bool
	// Target encodes a target text of an encoder–decoder, as text_target of transformers: with the pieces and the
	// language of the target, if the tokenizer has any.
	Target bool
	// Offsets requests Encoding.Offsets.
	Offsets bool
	// Words requests Encoding.Words and Encoding.Sequences.
	Words bool
}

// Input is one example: a text, a text and its pair, or words.
type Input struct {
	Text    string
	Pair    string
	HasPair bool
	// Words, unless nil, are the words of the text. Each word is encoded as a separate text (is_split_into_words of
	// transformers): Encoding.Words are indices in Words, and Encoding.Offsets are code points of the word. A word of
	// which the tokenizer leaves nothing, such as one of control characters, has no token.
	Words []string
}

// Encoding is an encoded input. Its slices have the length of IDs or are nil, and belong to the caller.
type Encoding struct {
	// IDs are the token ids.
	IDs []int32
	// Types are the token type ids: 0 and 1 for a BERT text and its pair.
	Types []int32
	// Offsets are half-open ranges of code points of the text, of the pair or of the word from which the tokens were made,
	// so that string([]rune(text)[from:to]) is the source of a token. Tokens that the template added have [0 0].
	Offsets [][2]int
	// Words are the numbers of the words that the tokens belong to, counted within the text or the pair before truncation,
	// and -1 for tokens that the template added. The pre-tokenizer defines the words of a text.
	Words []int32
	// Sequences are 0 for tokens of the text, 1 for tokens of the pair and -1 for tokens that the template added.
	Sequences []int8
	// Truncated is the number of tokens of text and pair that were dropped.
	Truncated int
}
