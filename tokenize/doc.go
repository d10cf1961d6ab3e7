// Package tokenize turns text into token ids and back, as the tokenizers library of Hugging Face does.
//
// A Tokenizer is loaded from the files of a checkpoint:
//
//	dir := os.DirFS("all-MiniLM-L6-v2")
//	tok, err := tokenize.Load(func(name string) ([]byte, error) { return fs.ReadFile(dir, name) })
//	enc, err := tok.Encode("Hello, world!", tokenize.Options{MaxLength: 512, Offsets: true})
//
// A text passes five stages: added tokens are cut out of it, the rest is normalized, split into words, and split into
// pieces that have ids; then the text is truncated and the template adds the special tokens. Each byte of the
// normalized text remembers the code point that it came from, which gives the offsets.
//
// Text consists of Unicode code points: a byte that is not valid UTF-8 counts as U+FFFD, here and in offsets, as in
// []rune(text). If a text spells out a special token, such as "[SEP]", the tokenizer produces the special token, as in
// the reference; remove such tokens from text that is not trusted.
//
// Models are WordPiece, BPE and Unigram. A tokenizer.json with any part that docs/tokenizers.md does not list is
// refused by name.
package tokenize
