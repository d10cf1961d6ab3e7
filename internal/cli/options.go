package cli

import (
	"regexp"
	"strings"

	"github.com/spf13/pflag"
)

// optionName matches a quoted string, which is skipped, or an option as library packages name it: a word in backquotes,
// with a value behind a space or without.
var optionName = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|`([A-Za-z0-9_]+)( [^`]*)?`")

// OptionsAsFlags returns the text of an error or warning with the options that it names in backquotes as flags:
// `label_column` becomes --label-column and `format csv` becomes --format csv if fs has such a flag; otherwise only the
// backquotes are removed. Text between double quotes is not changed: it is quoted from a file.
func OptionsAsFlags(fs *pflag.FlagSet, text string) string {
	return optionName.ReplaceAllStringFunc(text, func(match string) string {
		m := optionName.FindStringSubmatch(match)
		if m[1] == "" {
			return match
		}
		if f := fs.Lookup(strings.ReplaceAll(m[1], "_", "-")); f != nil {
			return "--" + f.Name + m[2]
		}
		return m[1] + m[2]
	})
}
