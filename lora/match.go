package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
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
	if len(names) == 1 && names[0] == AllLinear {
		return Pattern(AllLinear)
	}
	return Targets{names: slices.Clone(names)}
}

// Pattern returns the targets whose whole path matches the regular expression (RE2 syntax), or all-linear.
func Pattern(expression string) Targets { return Targets{pattern: expression} }

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
		return json.Unmarshal(text, &t.pattern)
	}
	return json.Unmarshal(text, &t.names)
}

func (t Targets) check() error {
	for _, n := range t.names {
		if n == "" {
			return errors.New("target_modules has an empty name")
		}
	}
	if t.pattern == "" || t.pattern == AllLinear {
		return nil
	}
	if _, err := t.expression(); err != nil {
		return err
	}
	return nil
}

func (t Targets) expression() (*regexp.Regexp, error) {
	re, err := regexp.Compile(`^(?:` + t.pattern + `)$`)
	if err != nil {
		return nil, fmt.Errorf("target_modules %q is not a regular expression in RE2 syntax "+
			"(no look-around, no back-references): %w", t.pattern, err)
	}
	return re, nil
}

// matcher returns a function that returns the indices of the targets that match a path.
func (t Targets) matcher() (func(path string) []int, error) {
	if t.pattern != "" {
		re, err := t.expression()
		if err != nil {
			return nil, err
		}
		return func(path string) []int {
			if re.MatchString(path) {
				return []int{0}
			}
			return nil
		}, nil
	}
	return func(path string) (hits []int) {
		for i, n := range t.names {
			if path == n || strings.HasSuffix(path, "."+n) {
				hits = append(hits, i)
			}
		}
		return hits
	}, nil
}

// list returns the names, or the pattern as the only element.
func (t Targets) list() []string {
	if t.pattern != "" {
		return []string{t.pattern}
	}
	return t.names
}
