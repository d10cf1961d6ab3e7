package tokenize

// Strategy says which of the two texts of an input gives way when the input is
// longer than Options.MaxLength.
type Strategy int

const (
	// LongestFirst shortens the longer text until both are equally long, then
	// both. With one text it shortens that text.
	LongestFirst Strategy = iota
	// OnlyFirst shortens the text, never the pair.
	OnlyFirst
	// OnlySecond shortens the pair, never the text.
	OnlySecond
	// DoNotTruncate makes an input that is too long an error.
	DoNotTruncate
)

// String returns the strategy's name as transformers spells it.
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

// Side is the end of a text that truncation takes tokens from.
type Side int

const (
	Right Side = iota // drop the last tokens
	Left              // drop the first tokens
)

// String returns "right" or "left".
func (s Side) String() string {
	if s == Left {
		return "left"
	}
	return "right"
}

// Options is how to encode. The zero value adds the special tokens, does not
// truncate and fills in ids and types only.
type Options struct {
	// MaxLength is the greatest number of tokens of an encoding, special tokens
	// counted. 0 means no limit.
	MaxLength int
	// Truncation says what to shorten when MaxLength is exceeded.
	Truncation Strategy
	// Side is the end that truncation takes tokens from.
	Side Side
	// NoSpecial leaves out the tokens that the checkpoint's template adds, such
	// as [CLS] and [SEP]. Those spelled out in the text are still recognised.
	NoSpecial bool
	// Offsets asks for Encoding.Offsets.
	Offsets bool
	// Words asks for Encoding.Words and Encoding.Sequences.
	Words bool
}

// Input is one example: a text, a text and its pair, or words.
type Input struct {
	Text    string
	Pair    string
	HasPair bool
	// Words, unless nil, are the text, each word encoded as if it were a text of
	// its own (is_split_into_words of transformers): Encoding.Words are indices in
	// Words and Encoding.Offsets code points of the word. A word of which the
	// tokenizer leaves nothing, as of control characters, has no token.
	Words []string
}

// Encoding is an encoded input. All slices are as long as IDs or nil, and belong
// to the caller.
type Encoding struct {
	// IDs are the token ids.
	IDs []int32
	// Types are the token type ids: 0 and 1 for a BERT text and its pair.
	Types []int32
	// Offsets are the half-open ranges of code points of the text, or of the
	// pair or the word, that the tokens were made from, so that string([]rune(text)[from:to])
	// is the source of a token. Tokens that the template added have [0 0].
	Offsets [][2]int
	// Words are the numbers of the words, counted within the text or pair before
	// truncation, that the tokens belong to; -1 for tokens that the template added.
	// What a word of a text is, the pre-tokenizer says.
	Words []int32
	// Sequences tell the tokens of the text (0) from those of the pair (1) and
	// those that the template added (-1).
	Sequences []int8
	// Truncated is how many tokens of text and pair were dropped.
	Truncated int
}
