package base

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spalora/spalora/lora"
)

// Option is a setting that an adapter remembers, so that prediction and later runs use the value it was trained with
// unless they are given another one.
type Option struct {
	name string                  // key of the note: the name of the flag, "max-length"
	text func() string           // the value as a note has it, "" if the setting is not given
	set  func(text string) error // sets the setting to the value in a note
}

// setting is a type of settings that adapters remember.
type setting interface{ int | string | bool | float64 }

// Given returns the option for a setting whose zero value means that it is not given.
func Given[T setting](name string, to *T) Option {
	return Option{name, func() string {
		var zero T
		if *to == zero {
			return ""
		}
		return fmt.Sprint(*to)
	}, func(text string) (err error) {
		*to, err = parse[T](text)
		return err
	}}
}

// Optional returns the option for a setting that is nil if it is not given.
func Optional[T setting](name string, to **T) Option {
	return Option{name, func() string {
		if *to == nil {
			return ""
		}
		return fmt.Sprint(**to)
	}, func(text string) error {
		v, err := parse[T](text)
		*to = &v
		return err
	}}
}

// Quoted returns the option for a text that is nil if it is not given. The note has it in quotes, so that it may be
// empty.
func Quoted(name string, to **string) Option {
	return Option{name, func() string {
		if *to == nil {
			return ""
		}
		return strconv.Quote(**to)
	}, func(text string) error {
		v, err := strconv.Unquote(text)
		*to = &v
		return err
	}}
}

// parse reads the value in a note.
func parse[T setting](text string) (v T, err error) {
	switch to := any(&v).(type) {
	case *int:
		*to, err = strconv.Atoi(text)
	case *string:
		*to = text
	case *bool:
		*to, err = strconv.ParseBool(text)
	case *float64:
		*to, err = strconv.ParseFloat(text, 64)
	}
	return v, err
}

// Remember writes the options that are given as notes of an adapter, and removes the notes of the others.
func Remember(set *lora.Set, options []Option) {
	for _, o := range options {
		set.SetNote(o.name, o.text())
	}
}

// Recall sets the options that are not given to the values that the adapter in dir was trained with, and describes
// them for a log line ("" if there are none). If the adapter cannot be read, Recall changes nothing and returns no
// error; loading it does.
func Recall(dir string, options []Option) (what string, err error) {
	if dir == "" {
		return "", nil
	}
	notes, err := lora.ReadNotes(dir)
	if err != nil {
		return "", nil
	}
	var list []string
	for _, o := range options {
		value, noted := notes[o.name]
		if !noted || o.text() != "" {
			continue
		}
		name := strings.ReplaceAll(o.name, "-", "_")
		if err := o.set(value); err != nil {
			return "", Input(fmt.Errorf("%s: the adapter remembers `%s %q`, which is not a value of that setting",
				dir, name, value))
		}
		list = append(list, fmt.Sprintf("`%s %s`", name, value))
	}
	return strings.Join(list, " "), nil
}
