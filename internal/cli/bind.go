package cli

import (
	"errors"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/lora"
)

// value is a type of flags that settings have.
type value interface {
	int | uint64 | float32 | float64 | string | bool
}

// bound is the value of a flag that stores into a setting when it is given, and not before.
type bound struct {
	pflag.Value
	store func() error
}

// Set reads the text of a flag that is given.
func (b bound) Set(text string) error {
	if err := b.Value.Set(text); err != nil {
		return err
	}
	return b.store()
}

// errZero is the error of a flag of [Default] that is zero, or empty.
var errZero = errors.New("want another value")

// Default defines a flag with a default for a setting whose zero value means that default. The setting stays zero
// until the flag is given; to give zero is an error.
func Default[T value](fs *pflag.FlagSet, to *T, name string, standard T, usage string) {
	v := new(T)
	var zero T
	define(fs, name, v, standard, usage, func() error {
		if *v == zero {
			return errZero
		}
		*to = *v
		return nil
	})
}

// Optional defines a flag with a default for a setting that is nil until the flag is given.
func Optional[T value](fs *pflag.FlagSet, to **T, name string, standard T, usage string) {
	v := new(T)
	define(fs, name, v, standard, usage, func() error {
		*to = new(T)
		**to = *v
		return nil
	})
}

// define defines a flag that reads into v and then calls store.
func define[T value](fs *pflag.FlagSet, name string, v *T, standard T, usage string, store func() error) {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	switch v := any(v).(type) {
	case *int:
		own.IntVar(v, name, any(standard).(int), usage)
	case *uint64:
		own.Uint64Var(v, name, any(standard).(uint64), usage)
	case *float32:
		own.Float32Var(v, name, any(standard).(float32), usage)
	case *float64:
		own.Float64Var(v, name, any(standard).(float64), usage)
	case *string:
		own.StringVar(v, name, any(standard).(string), usage)
	case *bool:
		own.BoolVar(v, name, any(standard).(bool), usage)
	}
	flag := own.Lookup(name)
	flag.Value = bound{flag.Value, store}
	fs.AddFlag(flag)
}

// pairs is the value of a flag of pattern=value pairs.
type pairs[T int | float64] struct{ to *lora.Overrides[T] }

// Overrides defines a flag of pattern=value pairs, separated by commas. A YAML file may have a mapping in its place.
func Overrides[T int | float64](fs *pflag.FlagSet, to *lora.Overrides[T], name, usage string) {
	fs.Var(pairs[T]{to}, name, usage)
}

// Set adds the pairs in text.
func (p pairs[T]) Set(text string) error {
	list, err := lora.ParseOverrides[T](text)
	*p.to = append(*p.to, list...)
	return err
}

// String returns the pairs as Set reads them.
func (p pairs[T]) String() string {
	if p.to == nil { // as pflag makes one to recognise defaults
		return ""
	}
	return p.to.String()
}

// Type returns the type for help texts.
func (p pairs[T]) Type() string { return pairsType }

// pairsType is the type of flags of pattern=value pairs.
const pairsType = "pairs"

// tokenRows is the value of a flag of rows of tables.
type tokenRows struct{ to *lora.TokenRows }

// TokenRows defines a flag of rows of tables: 3,17 or name=3,17;name=5. A YAML file may have a list or a mapping of
// lists in its place.
func TokenRows(fs *pflag.FlagSet, to *lora.TokenRows, name, usage string) {
	fs.Var(tokenRows{to}, name, usage)
}

// Set sets the rows to those in text.
func (r tokenRows) Set(text string) error {
	list, err := lora.ParseTokenRows(text)
	*r.to = list
	return err
}

// String returns the rows as Set reads them.
func (r tokenRows) String() string {
	if r.to == nil { // as pflag makes one to recognise defaults
		return ""
	}
	return r.to.String()
}

// Type returns the type for help texts.
func (r tokenRows) Type() string { return rowsType }

// rowsType is the type of flags of rows of tables.
const rowsType = "rows"
