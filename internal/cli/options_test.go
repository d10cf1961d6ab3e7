package cli_test

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
)

func TestOptionsAsFlags(t *testing.T) {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, name := range []string{"text-column", "text-pair-column", "label-column", "format", "delimiter", "no-header"} {
		fs.String(name, "", "")
	}
	for text, want := range map[string]string{
		"say which with `label_column`":                   "say which with --label-column",
		"see `text_column` and `text_pair_column`":        "see --text-column and --text-pair-column",
		"(use `format csv`, tsv or jsonl if it has)":      "(use --format csv, tsv or jsonl if it has)",
		"try `delimiter '\\t'` or `format tsv`":           "try --delimiter '\\t' or --format tsv",
		"`label_column 2`: without a header":              "--label-column 2: without a header",
		"use `scheme none`, as `block_size` is unknown":   "use scheme none, as block_size is unknown",
		"there is \"`format`\", \"a \\\"`format`\\\" b\"": "there is \"`format`\", \"a \\\"`format`\\\" b\"",
		"a \"quote\" and `format`, 5\" and `no_header`":   "a \"quote\" and --format, 5\" and --no-header",
		"`not-an-option`, ``, `":                          "`not-an-option`, ``, `",
		"nothing":                                         "nothing",
	} {
		if got := cli.OptionsAsFlags(fs, text); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
