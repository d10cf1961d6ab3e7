package lora

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// AllLinear is the target that selects every linear layer except the head.
const AllLinear = "all-linear"

// Targets selects the modules that get a correction, as PEFT's target_modules does: by a list of names, each equal to a
// module's path or to the end of it after a dot; by a regular expression that matches the whole path; or by all-linear.
// The zero value selects nothing.
type Targets struct {
	names   []string
	pattern string
}

// Names returns targets by name: "query" selects every module whose path is query or ends in .query. The single name
// all-linear selects every linear layer except the head.
func Names(names ...string) Targets {
	if len(names) == 1 && strings.EqualFold(names[0], AllLinear) {
		return Pattern(AllLinear)
	}
	return Targets{names: slices.Clone(names)}
}

// Pattern returns the targets whose whole path matches the regular expression, in the syntax of Python's re, or
// all-linear, in capital or small letters as in PEFT.
func Pattern(expression string) Targets {
	if strings.EqualFold(expression, AllLinear) {
		expression = AllLinear
	}
	return Targets{pattern: expression}
}

func (t Targets) empty() bool { return t.pattern == "" && len(t.names) == 0 }

// String returns the pattern, or the names separated by commas.
func (t Targets) String() string {
	if t.pattern != "" {
		return t.pattern
	}
	return strings.Join(t.names, ",")
}

// Equal reports whether t and u have the same pattern and the same names in any order.
func (t Targets) Equal(u Targets) bool {
	a, b := slices.Clone(t.names), slices.Clone(u.names)
	slices.Sort(a)
	slices.Sort(b)
	return t.pattern == u.pattern && slices.Equal(a, b)
}

// MarshalJSON returns a JSON list of names, or a string for a regular expression or all-linear.
func (t Targets) MarshalJSON() ([]byte, error) {
	if t.pattern != "" {
		return json.Marshal(t.pattern)
	}
	return json.Marshal(t.names)
}

// UnmarshalJSON sets t from a JSON list of names or a string. It returns an error for any other value.
func (t *Targets) UnmarshalJSON(text []byte) error {
	*t = Targets{}
	if len(text) > 0 && text[0] == '"' {
		var expression string
		err := json.Unmarshal(text, &expression)
		*t = Pattern(expression)
		return err
	}
	return json.Unmarshal(text, &t.names)
}

// matcher returns a function that returns the indices of the targets that match a path. field names them in errors.
func (t Targets) matcher(field string) (func(path string) ([]int, error), error) {
	for _, n := range t.names {
		if n == "" {
			return nil, fmt.Errorf("%s has an empty name", field)
		}
	}
	if t.pattern == "" {
		return func(path string) (hits []int, err error) {
			for i, n := range t.names {
				if endsIn(path, n) {
					hits = append(hits, i)
				}
			}
			return hits, nil
		}, nil
	}
	re, err := compileFull(t.pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return func(path string) ([]int, error) {
		found, err := re.match(path)
		if err != nil || !found {
			return nil, err
		}
		return []int{0}, nil
	}, nil
}

// endsIn reports whether path is name or ends in it after a dot.
func endsIn(path, name string) bool { return path == name || strings.HasSuffix(path, "."+name) }

// list returns the names, or the pattern as the only element.
func (t Targets) list() []string {
	if t.pattern != "" {
		return []string{t.pattern}
	}
	return t.names
}
