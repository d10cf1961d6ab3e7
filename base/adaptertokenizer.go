package base

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/tokenize"
)

// chatFiles are the files of a chat template, which belong to a tokenizer.
var chatFiles = []string{"chat_template.jinja", "chat_template.json"}

// ForAdapter returns b as the adapter in dir is used with it: with the tokenizer in dir, and the chat template there,
// if that tokenizer has more tokens than b's, as after tokens were added to it. Otherwise, and for a custom tokenizer
// or none, it returns b itself. The result shares the checkpoint with b, which the caller must close in its place.
// ForAdapter returns an error if the tokenizer in dir cannot be read.
func (b *Base) ForAdapter(dir string, log zerolog.Logger) (*Base, error) {
	if dir == "" || b.Tokenizer == nil || b.CustomTokenizer() != "" {
		return b, nil
	}
	own, err := ownFiles(func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) })
	if err != nil {
		return nil, Input(err)
	}
	if !b.differs(own) {
		return b, nil
	}
	other, err := b.with(own)
	if err != nil {
		return nil, Input(fmt.Errorf("%s: %w", dir, err))
	}
	if n := b.Tokenizer.VocabSize(); other.Tokenizer.VocabSize() > n {
		log.Info().Msgf("%s has a tokenizer of %d tokens, %s one of %d; the adapter's is used", dir,
			other.Tokenizer.VocabSize(), b.Name, n)
		return other, nil
	}
	return b, nil
}

// OwnFileNames lists the files that [Base.OwnFiles] may hold.
func OwnFileNames() []string { return slices.Concat(tokenizerFiles, chatFiles) }

// ownFiles reads those files of a tokenizer and a chat template that exist.
func ownFiles(read func(name string) ([]byte, error)) (map[string][]byte, error) {
	own := map[string][]byte{}
	for _, name := range OwnFileNames() {
		text, err := read(name)
		switch {
		case err == nil:
			own[name] = text
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return own, nil
}

// differs reports whether the vocabulary in files is not that of the checkpoint's files, byte by byte.
func (b *Base) differs(own map[string][]byte) bool {
	for _, name := range []string{
		"tokenizer.json", "vocab.json", "vocab.txt", "added_tokens.json", "tokenizer_config.json",
	} {
		text, ok := own[name]
		if !ok {
			continue
		}
		if is, err := b.File(name); err != nil || !bytes.Equal(is, text) {
			return true
		}
	}
	return false
}

// with returns b with files in place of the checkpoint's of the same names, and the tokenizer that they describe.
func (b *Base) with(own map[string][]byte) (*Base, error) {
	other := *b
	other.own, other.checkpoint = own, b.bare()
	other.File = func(name string) ([]byte, error) {
		if text, ok := own[name]; ok {
			return text, nil
		}
		return b.File(name)
	}
	var err error
	other.Tokenizer, err = tokenize.Load(other.File)
	return &other, err
}

// bare returns the base without the files of an adapter.
func (b *Base) bare() *Base {
	if b.checkpoint != nil {
		return b.checkpoint
	}
	return b
}

// OwnFiles returns the files of the tokenizer that an adapter for b has beside its tensors: those that ForAdapter
// found. The caller must not change them.
func (b *Base) OwnFiles() map[string][]byte { return b.own }
