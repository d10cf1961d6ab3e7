package base

import (
	"fmt"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/lora"
)

// CustomTokenizer returns the identity of b's tokenizer if it is a custom one, "" if it is that of the checkpoint's
// files or if the model reads no tokens.
func (b *Base) CustomTokenizer() string {
	if b.Tokenizer == nil {
		return ""
	}
	return b.Tokenizer.Identity()
}

// RememberTokenizer notes the tokenizer of b in an adapter if it is a custom one, and removes the note if it is that of
// the checkpoint's files.
func (b *Base) RememberTokenizer(set *lora.Set) {
	set.SetNote(lora.TokenizerNote, b.CustomTokenizer())
}

// checkTokenizer returns an error if an adapter was trained with a custom tokenizer that is not b's, or logs it if that
// is accepted. An adapter that was trained with the tokenizer of a checkpoint may be used with a custom one, which may
// do the same; that is logged.
func (b *Base) checkTokenizer(a Adapter, log zerolog.Logger) error {
	notes, err := lora.ReadNotes(a.Dir)
	if err != nil {
		return Input(err)
	}
	trained, given := notes[lora.TokenizerNote], b.CustomTokenizer()
	switch {
	case trained == given:
		return nil
	case trained == "":
		log.Warn().Msgf("%s: the adapter was trained with the tokenizer of a checkpoint and is used with the custom "+
			"tokenizer %s; results differ where the two do", a.Dir, given)
		return nil
	}
	what := "the tokenizer of " + b.Name
	if given != "" {
		what = "the custom tokenizer " + given
	}
	if a.OtherBase {
		log.Warn().Msgf("%s: the adapter was trained with the custom tokenizer %s and is used with %s", a.Dir, trained, what)
		return nil
	}
	return Input(fmt.Errorf("%s: the adapter was trained with the custom tokenizer %s, not with %s; give that tokenizer "+
		"from a Go program (WithTokenizer), or accept the other with `allow_other_base`", a.Dir, trained, what))
}
