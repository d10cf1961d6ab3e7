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
	// Name is the key of the note: the name of the flag, "max-length".
	Name string
	// Value points to the setting: *int, *string, *bool or *float64, whose zero value means that it is not given, or a
	// pointer to one of these pointers, of which nil means that.
	Value any
}

// text returns the value as a note has it, "" if the setting is not given.
func (o Option) text() string {
	switch v := o.Value.(type) {
	case *int:
		if *v != 0 {
			return strconv.Itoa(*v)
		}
	case **int:
		if *v != nil {
			return strconv.Itoa(**v)
		}
	case *string:
		return *v
	case *bool:
		if *v {
			return "true"
		}
	case **bool:
		if *v != nil {
			return strconv.FormatBool(**v)
		}
	case *float64:
		if *v != 0 {
			return strconv.FormatFloat(*v, 'g', -1, 64)
		}
	case **float64:
		if *v != nil {
			return strconv.FormatFloat(**v, 'g', -1, 64)
		}
	default:
		panic(fmt.Sprintf("base: option %s has the type %T", o.Name, o.Value))
	}
	return ""
}

// set sets the setting to the value in a note.
func (o Option) set(text string) (err error) {
	switch v := o.Value.(type) {
	case *int:
		*v, err = strconv.Atoi(text)
	case **int:
		*v = new(int)
		**v, err = strconv.Atoi(text)
	case *string:
		*v = text
	case *bool:
		*v, err = strconv.ParseBool(text)
	case **bool:
		*v = new(bool)
		**v, err = strconv.ParseBool(text)
	case *float64:
		*v, err = strconv.ParseFloat(text, 64)
	case **float64:
		*v = new(float64)
		**v, err = strconv.ParseFloat(text, 64)
	default:
		panic(fmt.Sprintf("base: option %s has the type %T", o.Name, o.Value))
	}
	return err
}

// Remember writes the options that are given as notes of an adapter, and removes the notes of the others.
func Remember(set *lora.Set, options []Option) {
	for _, o := range options {
		set.SetNote(o.Name, o.text())
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
		value, noted := notes[o.Name]
		if !noted || o.text() != "" {
			continue
		}
		name := strings.ReplaceAll(o.Name, "-", "_")
		if err := o.set(value); err != nil {
			return "", Input(fmt.Errorf("%s: the adapter remembers `%s %q`, which is not a value of that setting",
				dir, name, value))
		}
		list = append(list, fmt.Sprintf("`%s %s`", name, value))
	}
	return strings.Join(list, " "), nil
}
