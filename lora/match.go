package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// AllLinear as the only target means every linear layer but the head.
const AllLinear = "all-linear"

// Targets says which modules get a correction, as PEFT's target_modules does: a list of names, each equal to a module's
// path or to its end after a dot; or one regular expression that the whole path must match; or all-linear.
type Targets struct {
	names   []string
	pattern string
}

// Names returns targets by name: "query" means every module whose path is query or ends in .query. The single name
// all-linear means every linear layer but the head.
func Names(names ...string) Targets {
	if len(names) == 1 && names[0] == AllLinear {
		return Pattern(AllLinear)
	}
	return Targets{names: slices.Clone(names)}
}

// Pattern returns targets by a regular expression over the whole path, or all-linear.
func Pattern(expression string) Targets { return Targets{pattern: expression} }

func (t Targets) empty() bool { return t.pattern == "" && len(t.names) == 0 }

// String returns the targets as a flag has them.
func (t Targets) String() string {
	if t.pattern != "" {
		return t.pattern
	}
	return strings.Join(t.names, ",")
}

// Equal reports whether two targets say the same; the order of names means nothing.
func (t Targets) Equal(u Targets) bool {
	a, b := slices.Clone(t.names), slices.Clone(u.names)
	slices.Sort(a)
	slices.Sort(b)
	return t.pattern == u.pattern && slices.Equal(a, b)
}

// MarshalJSON writes a list, or a string for a regular expression or all-linear.
func (t Targets) MarshalJSON() ([]byte, error) {
	if t.pattern != "" {
		return json.Marshal(t.pattern)
	}
	return json.Marshal(t.names)
}

// UnmarshalJSON reads a list of names or a string.
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
		return nil, fmt.Errorf("target_modules %q is not a regular expression that is supported (no look-around, no back-references): %w", t.pattern, err)
	}
	return re, nil
}

// matcher returns a function from a path to the numbers of the targets that it matches.
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

// list names the targets for messages.
func (t Targets) list() []string {
	if t.pattern != "" {
		return []string{t.pattern}
	}
	return t.names
}
