package cli

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/lora"
)

// rememberedKey is the annotation of flags whose values adapters remember.
const rememberedKey = "remembered"

// remembered marks flags of finetune that predict has too, and that must have one value in both for the same results: how long inputs
// may be, say. Adapters remember them.
func remembered(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		_ = fs.SetAnnotation(name, rememberedKey, []string{"true"}) // it errs for unknown flags
	}
}

// Typed tells of each flag whether it was given up to now, on the command line or in the file of --config; what [Recall] gives later does not count.
func Typed(fs *pflag.FlagSet) func(flag string) bool {
	typed := map[string]bool{}
	fs.Visit(func(f *pflag.Flag) { typed[f.Name] = true })
	return func(flag string) bool { return typed[flag] }
}

// Remember notes in an adapter the flags that are remembered and were given, and forgets those that were not.
func Remember(fs *pflag.FlagSet, set *lora.Set) {
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Annotations[rememberedKey] == nil {
			return
		}
		value := ""
		if f.Changed {
			value = f.Value.String()
		}
		set.SetNote(f.Name, value)
	})
}

// Recall gives the flags that are remembered, as far as nobody gave them, the values that the adapter in dir was trained with, and logs it. They then
// count as given. An adapter that cannot be read changes nothing here: to load it tells why.
func Recall(fs *pflag.FlagSet, dir string, log zerolog.Logger) error {
	if dir == "" {
		return nil
	}
	notes, err := lora.ReadNotes(dir)
	if err != nil {
		return nil
	}
	var text strings.Builder
	fs.VisitAll(func(f *pflag.Flag) {
		value, noted := notes[f.Name]
		if !noted || f.Changed || f.Annotations[rememberedKey] == nil || err != nil {
			return
		}
		if err = fs.Set(f.Name, value); err != nil {
			err = InputError(fmt.Errorf("%s: the adapter remembers --%s %q, which is no value of the flag", dir, f.Name, value))
		}
		fmt.Fprintf(&text, " --%s %s", f.Name, value)
	})
	if err == nil && text.Len() > 0 {
		log.Info().Msgf("%s was trained with%s: so it is done here", dir, text.String())
	}
	return err
}
