package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
)

// NamedAdapter is the directory of an adapter, with the name by which rows ask for it.
type NamedAdapter struct{ Name, Dir string }

// namedAdapters is the value of a flag of name=directory pairs, separated by commas or given several times. A pair that
// has a comma stands in double quotes. A YAML file may have a list of pairs or a mapping in its place.
type namedAdapters struct{ to *[]NamedAdapter }

// adaptersType is the type of flags of name=directory pairs.
const adaptersType = "adapters"

// Set adds the pairs in text.
func (a namedAdapters) Set(text string) error {
	pairs, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w; put a pair that has a comma in double quotes, and double the quotes in it", err)
	}
	if len(pairs) == 0 {
		return errors.New("is empty; give name=directory")
	}
	for _, pair := range pairs {
		if err := a.Append(pair); err != nil {
			return err
		}
	}
	return nil
}

// Append adds a pair. The name ends at the first =, so a directory may have more of them.
func (a namedAdapters) Append(pair string) error {
	name, dir, ok := strings.Cut(pair, "=")
	name = strings.TrimSpace(name)
	switch twice := func(n NamedAdapter) bool { return n.Name == name }; {
	case !ok:
		return fmt.Errorf("%q is not name=directory", pair)
	case name == "":
		return fmt.Errorf("%q has no name before the =", pair)
	case strings.TrimSpace(dir) == "":
		return fmt.Errorf("%q has no directory behind the =", pair)
	case name == data.BaseName:
		return fmt.Errorf("%q: the name %s is that of the base model; choose another one", pair, name)
	case slices.ContainsFunc(*a.to, twice):
		return fmt.Errorf("the name %q is given twice; give each adapter a name of its own", name)
	}
	*a.to = append(*a.to, NamedAdapter{name, dir})
	return nil
}

// Replace sets the pairs.
func (a namedAdapters) Replace(pairs []string) error {
	*a.to = nil
	for _, pair := range pairs {
		if err := a.Append(pair); err != nil {
			return err
		}
	}
	return nil
}

// GetSlice returns the pairs.
func (a namedAdapters) GetSlice() []string {
	if a.to == nil { // as pflag makes one to recognise defaults
		return nil
	}
	var pairs []string
	for _, n := range *a.to {
		pairs = append(pairs, n.Name+"="+n.Dir)
	}
	return pairs
}

// String returns the pairs as Set reads them.
func (a namedAdapters) String() string {
	var quoted []string
	for _, pair := range a.GetSlice() {
		quoted = append(quoted, quoteField(pair))
	}
	return strings.Join(quoted, ",")
}

// Type returns the type, by which config files know the flag.
func (a namedAdapters) Type() string { return adaptersType }

// quoteField returns a text as one field of flags that split their text at commas.
func quoteField(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// addAdapters defines --adapters.
func addAdapters(fs *pflag.FlagSet, to *[]NamedAdapter) {
	fs.Var(namedAdapters{to}, "adapters", "adapters by name, `name=directory`, separated by commas or given several "+
		"times: each row of --input names the one that serves it in its field adapter; a row without one is for the base "+
		"model")
}
