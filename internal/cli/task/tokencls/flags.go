package tokencls

import (
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks/tokencls"
)

// addReading defines the flags that say how files of tagged sentences are read.
func addReading(fs *pflag.FlagSet, o *tagged.Options) {
	fs.StringVar(&o.TokensColumn, "tokens-column", "",
		"`name` of the key with the list of words, or of the column of CSV with the word, or number of the column "+
			"of CoNLL, from 0; default: tokens, words or other usual names, the first column, FORM")
	fs.StringVar(&o.TagsColumn, "tags-column", "",
		"`name` of the key with the list of tags or spans, or of the column of CSV, or number of the column of CoNLL "+
			"with the tag; default: tags, ner_tags and other usual names, the last column, UPOS")
	fs.StringVar(&o.TextColumn, "text-column", "",
		"`name` of the key with the text, for rows of raw texts with spans of characters; default: text or sentence")
	fs.StringVar(&o.SentenceColumn, "sentence-column", "",
		"`name` of the column of CSV or TSV that says to which sentence a word belongs, in all of its rows or in that of "+
			"its first word; default: sentence #, sentence_id, sentence and other usual names")
	fs.StringVar((*string)(&o.Format), "format", "",
		"conll, conllu, csv, tsv, jsonl or txt; default: from the file's name")
	cli.AddDelimiter(fs, &o.Delimiter, "`character` between columns of CoNLL or CSV, \\t for a tab; default: for CoNLL "+
		"tabs if the first row has one, else spaces")
	fs.BoolVar(&o.NoQuotes, "no-quotes", false, "quotes in CSV or TSV are part of the text")
	fs.BoolVar(&o.Strict, "strict", false,
		"refuse tags that break the rules of the scheme, and spans that are not on borders of words, "+
			"overlap, or do not count code points, instead of repairing and counting them")
	cli.AddReplaceInvalid(fs, &o.ReplaceInvalid)
}

// addScheme defines the flags that say which entities tags spell. from says what the scheme is by default.
func addScheme(fs *pflag.FlagSet, scheme, mode *string, from string) {
	fs.StringVar(scheme, "scheme", "",
		"how tags spell entities: IOB2 (BIO), IOB1, IOE1, IOE2, IOBES, BILOU, or none; default: "+from)
	cli.Default(fs, mode, "seqeval-mode", tokencls.DefaultMode,
		"which entities count in metrics: default, or strict: those spelled by the rules of the scheme")
}

// addWindows defines the flags about sentences that are long.
func addWindows(fs *pflag.FlagSet, maxLength, stride **int) {
	cli.AddMaxLength(fs, maxLength, "a sentence")
	cli.Optional(fs, stride, "stride", tokencls.DefaultStride,
		"tokens that the windows of a longer sentence share, at most half of them; -1: cut it instead")
}
