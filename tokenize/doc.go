// Package tokenize turns text into token ids and back, as Hugging Face
// tokenizers does.
//
// A Tokenizer is loaded from the files of a checkpoint:
//
//	dir := os.DirFS("all-MiniLM-L6-v2")
//	tok, err := tokenize.Load(func(name string) ([]byte, error) { return fs.ReadFile(dir, name) })
//	enc, err := tok.Encode("Hello, world!", tokenize.Options{MaxLength: 512, Offsets: true})
//
// A text passes five stations: added tokens are cut out of it, the rest is
// normalized, split into words, and split into the pieces that have ids; then
// truncation and the template with the special tokens follow. Each byte of
// the normalized text remembers the code point that it came from, which gives
// the offsets.
//
// Text is Unicode code points: a byte that is not valid UTF-8 counts as U+FFFD,
// here and in offsets, as in []rune(text). Special tokens that are spelled out in
// a text, such as "[SEP]", become the special token, as in the reference; remove
// them from text that is not trusted.
//
// Models are WordPiece, BPE and Unigram. A tokenizer.json with any other part than
// the ones listed in docs/tokenizers.md is refused by name.
package tokenize
