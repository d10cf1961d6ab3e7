package seq2seq

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// Texts are the settings of how sources and targets become tokens, which adapters remember. The zero value of each is
// the default.
type Texts struct {
	// SourcePrefix is put before every source, as "summarize: " for T5.
	SourcePrefix *string
	// SourceLang and TargetLang are the languages of the texts: codes of the tokenizer, as en_XX or eng_Latn, if it has
	// any. They also name the texts of a row with a "translation" object; of en_XX that is en_XX or en.
	SourceLang, TargetLang string
	// MaxSourceLength and MaxTargetLength are the largest numbers of tokens, special tokens included; what is longer is
	// cut. 0: StandardSource and StandardTarget, or less if model or tokenizer allow less.
	MaxSourceLength, MaxTargetLength int
}

// The default lengths, those of transformers' examples.
const (
	StandardSource = 1024
	StandardTarget = 128
)

// options lists the settings as adapters remember them.
func (t *Texts) options() []base.Option {
	return []base.Option{
		base.Quoted("source-prefix", &t.SourcePrefix),
		base.Given("source-lang", &t.SourceLang), base.Given("target-lang", &t.TargetLang),
		base.Given("max-source-length", &t.MaxSourceLength), base.Given("max-target-length", &t.MaxTargetLength),
	}
}

// tokenizer returns the tokenizer for the languages. Codes that only name columns are of no use to a tokenizer without
// languages.
func (t *Texts) tokenizer(tok *tokenize.Tokenizer) (*tokenize.Tokenizer, error) {
	if t.SourceLang == "" && t.TargetLang == "" || tok.SourceLanguage() == "" {
		return tok, nil
	}
	c, err := tok.WithLanguages(t.SourceLang, t.TargetLang)
	if err != nil {
		return nil, fmt.Errorf("`source_lang` and `target_lang`: %w", err)
	}
	return c, nil
}

// config returns the configuration of a predictor, and the tokenizer to use.
func (t *Texts) config(
	m models.Seq2SeqLM, tok *tokenize.Tokenizer, core tasks.CoreConfig,
) (Config, *tokenize.Tokenizer, error) {
	c := Config{CoreConfig: core, SourcePrefix: tasks.Value(t.SourcePrefix), TargetLanguage: t.TargetLang != ""}
	c.MaxLength, c.MaxTargetLength = t.MaxSourceLength, t.MaxTargetLength
	tok, err := t.tokenizer(tok)
	return c, tok, err
}

// length returns the largest number of tokens of a source or a target: the setting, or a default that model and
// tokenizer allow.
func length(given, standard int, m models.TextModel, tok *tokenize.Tokenizer) int {
	return cmp.Or(given, min(standard, tasks.TextLimit(m, tok, 0)))
}

// checkLengths returns the errors about lengths that the model or the special tokens do not allow.
func checkLengths(m models.TextModel, tok *tokenize.Tokenizer, source, target int) error {
	var errs []error
	for _, side := range []struct {
		option string
		length int
		target bool
	}{{"max_source_length", source, false}, {"max_target_length", target, true}} {
		switch e, err := tok.Encode("", tokenize.Options{Target: side.target}); {
		case err != nil:
			errs = append(errs, err)
		case side.length < 1 || side.length > m.MaxLength():
			errs = append(errs, fmt.Errorf("`%s` is %d; want 1 to %d, the positions of the model, or 0 for the default",
				side.option, side.length, m.MaxLength()))
		case side.length < len(e.IDs):
			errs = append(errs, fmt.Errorf("`%s` is %d, but the special tokens alone are %d; raise it", side.option,
				side.length, len(e.IDs)))
		}
	}
	return errors.Join(errs...)
}
