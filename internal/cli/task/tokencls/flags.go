package cli

import (
	"fmt"
	"io"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tasks"
)

// TokenDataFlags are the flags that say how files of tagged sentences are read.
type TokenDataFlags struct {
	Tokens, Tags, Text string
	Format, Delimiter  string
	Scheme             string
	Strict             bool
	ReplaceInvalid     bool
}

// Add defines the flags.
func (d *TokenDataFlags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&d.Tokens, "tokens-column", "", "`name` of the key with the list of words, or number of the column with the word, from 0; default: tokens or words, the first column, FORM")
	fs.StringVar(&d.Tags, "tags-column", "", "`name` of the key with the list of tags or spans, or number of the column with the tag; default: tags, ner_tags and other usual names, the last column, UPOS")
	fs.StringVar(&d.Text, "text-column", "", "`name` of the key with the text, for rows of raw texts with spans of characters; default: text or sentence")
	fs.StringVar(&d.Format, "format", "", "conll, conllu, jsonl or txt; default: from the file's name")
	fs.StringVar(&d.Delimiter, "delimiter", "", "`character` between columns of CoNLL, \\t for a tab; default: tabs if the first row has one, else spaces")
	fs.BoolVar(&d.Strict, "strict", false, "refuse tags against the rules of the scheme and spans that are not on borders of words or overlap, instead of mending and counting them")
	fs.BoolVar(&d.ReplaceInvalid, "replace-invalid", false, "replace what is not UTF-8 by U+FFFD and count it, instead of stopping")
}

// SchemeFlag says how tags spell entities.
const SchemeFlag = "scheme"

// AddScheme defines --scheme and --seqeval-mode, by which entities are told from tags. from says what the scheme is by default.
func (d *TokenDataFlags) AddScheme(fs *pflag.FlagSet, mode *string, from string) {
	fs.StringVar(&d.Scheme, SchemeFlag, "", "how tags spell entities: IOB2 (BIO), IOB1, IOE1, IOE2, IOBES, BILOU, or none; default: "+from)
	fs.StringVar(mode, "seqeval-mode", "default", "which entities count in metrics: default, or strict: those spelled by the rules of the scheme")
	remembered(fs, SchemeFlag, "seqeval-mode")
}

// TokenDataFlagNames lists the flags of [TokenDataFlags.Add].
func TokenDataFlagNames() []string { return FlagNames(new(TokenDataFlags).Add) }

// Check reports values that have no meaning.
func (d *TokenDataFlags) Check() error {
	if d.Scheme == "" {
		return nil
	}
	_, err := tagged.ParseScheme(d.Scheme)
	return err
}

// Options returns how the flags want files to be read.
func (d *TokenDataFlags) Options() (tagged.Options, error) {
	f := FormatFlags{Delimiter: d.Delimiter}
	delimiter, err := f.delimiter()
	return tagged.Options{
		Format: data.Format(d.Format), Delimiter: delimiter, TokensColumn: d.Tokens, TagsColumn: d.Tags, TextColumn: d.Text,
		Strict: d.Strict, ReplaceInvalid: d.ReplaceInvalid,
	}, err
}

// FindScheme returns the scheme that --scheme names, else the one that the tags of the tables are written in. nil tables are skipped.
func (d *TokenDataFlags) FindScheme(tables ...*tagged.File) (s tagged.Scheme, why string, err error) {
	if d.Scheme != "" {
		s, err = tagged.ParseScheme(d.Scheme)
		return s, "--scheme", err
	}
	s, err = tagged.GuessScheme(tables...)
	return s, "guessed from the tags", err
}

// ReadTokens reads a file of tagged sentences, or standard input for "-".
func ReadTokens(path string, in io.Reader, o tagged.Options) (*tagged.File, error) {
	t, err := readFile(path, in, o, tagged.Read, tagged.ReadFrom)
	if err == nil && path == "-" {
		t.Name = stdinName
	}
	return t, err
}

// AddStride defines --stride, the tokens that neighbouring windows of a long sentence share.
func AddStride(fs *pflag.FlagSet, to *int) {
	fs.IntVar(to, "stride", 32, "tokens that the windows of a longer sentence share, at most half of them; -1: cut it instead")
	remembered(fs, "stride")
}

// CheckStride errs if a --stride of windows of sentences has no meaning.
func CheckStride(stride int) error {
	if stride < -1 {
		return fmt.Errorf("--stride is %d; want 0 or more, or -1 to cut long sentences", stride)
	}
	return nil
}

// TokenWarnings logs what became of sentences that a task has tokenised, with windows of so many tokens.
func TokenWarnings(log zerolog.Logger, t *tagged.File, c tasks.TokenCounts, limit int) {
	if c.Windowed > 0 {
		log.Info().Msgf("%s: %d of %d sentences are longer than %d tokens and are read in windows that overlap", t.Name, c.Windowed, c.Sentences, limit)
	}
	if c.Cut > 0 {
		log.Warn().Msgf("%s: %d of %d sentences are longer than %d tokens and were cut; %d words are lost and count in no score", t.Name, c.Cut, c.Sentences, limit, c.CutWords)
	}
	if c.Tokenless > 0 {
		in := ""
		if c.TokenlessTagged > 0 {
			in = fmt.Sprintf(", %d of them tagged", c.TokenlessTagged)
		}
		log.Warn().Msgf("%s: %d words have no token of their own%s; nothing is predicted for them, and they count in no score", t.Name, c.Tokenless, in)
	}
	if c.Empty > 0 {
		log.Warn().Msgf("%s: %d sentences have nothing to predict and were left out", t.Name, c.Empty)
	}
}

// RepairTags returns a table whose tags follow the rules of a scheme, or refuses tags that do not.
func RepairTags(t *tagged.File, s tagged.Scheme, strict bool) (*tagged.File, error) {
	mended, err := t.Repair(s)
	if err != nil || !strict || mended.Repaired == 0 {
		return mended, err
	}
	for i, e := range t.All() {
		repaired := mended.At(i).Tags
		for w, tag := range e.Tags {
			if want := repaired[w]; tag != want {
				return nil, data.Errorf(t.Name, e.Line, "word %d (%q) has the tag %s, which must be %s in the scheme %s; %d tags of the file are "+
					"against its rules. Correct them, or leave --strict out", w, e.Word(w), tag, want, s, mended.Repaired)
			}
		}
	}
	return mended, nil
}
