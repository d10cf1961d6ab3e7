package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Overrides are other values for some layers, as rank_pattern and alpha_pattern of adapter_config.json: the first whose
// Pattern matches a layer counts.
type Overrides[T int | float64] []Override[T]

// Override is another value for some layers: those whose path, or the end of it after a dot, matches Pattern, a regular
// expression of Python.
type Override[T int | float64] struct {
	Pattern string
	Value   T
}

// MarshalJSON returns a JSON object in the order of the list.
func (o Overrides[T]) MarshalJSON() ([]byte, error) {
	return orderedObject(len(o), func(i int) (string, any) { return o[i].Pattern, o[i].Value })
}

// UnmarshalJSON sets o from a JSON object, in its order. It returns an error for any other value.
func (o *Overrides[T]) UnmarshalJSON(text []byte) error {
	*o = nil
	if string(text) == "null" {
		return nil
	}
	return readOrdered(text, func(key string, value T) { *o = append(*o, Override[T]{key, value}) })
}

// String returns the list as [ParseOverrides] reads it: pattern=value, …
func (o Overrides[T]) String() string {
	var list []string
	for _, x := range o {
		list = append(list, fmt.Sprintf("%s=%v", x.Pattern, x.Value))
	}
	return strings.Join(list, ",")
}

// ParseOverrides returns the overrides in text, pattern=value separated by commas, in their order. A part without a
// value at its end belongs to the pattern that goes on after the comma, as in q{1,2}=4. It returns an error if a value
// is missing or not a number of type T.
func ParseOverrides[T int | float64](text string) (Overrides[T], error) {
	var list Overrides[T]
	pattern := ""
	for part := range strings.SplitSeq(text, ",") {
		pattern += part
		at := strings.LastIndexByte(part, '=')
		var value T
		if at < 0 || json.Unmarshal([]byte(strings.TrimSpace(part[at+1:])), &value) != nil {
			pattern += ","
			continue
		}
		pattern = strings.TrimSpace(pattern[:len(pattern)-len(part)+at])
		if pattern == "" {
			return nil, fmt.Errorf("%q has a value without a pattern; want pattern=value", text)
		}
		list = append(list, Override[T]{pattern, value})
		pattern = ""
	}
	if pattern != "" {
		return nil, fmt.Errorf("%q has no value of type %T at its end; want pattern=value, separated by commas",
			strings.TrimSuffix(pattern, ","), *new(T))
	}
	return list, nil
}

// selector says which of the layers that target_modules names are adapted, and with which rank and scale, as PEFT does.
type selector struct {
	config   Config
	exclude  func(path string) ([]int, error)
	patterns []*expression // of layers_pattern
	ranks    []*expression // of rank_pattern
	alphas   []*expression // of alpha_pattern
}

// newSelector compiles the expressions of c. It returns one error for all that are not valid.
func newSelector(c Config) (*selector, error) {
	s := &selector{config: c}
	var errs []error
	keep := func(field string, text string, list *[]*expression) {
		re, err := compileStart(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", field, err))
		}
		*list = append(*list, re)
	}
	var err error
	if s.exclude, err = c.ExcludeModules.matcher("exclude_modules"); err != nil {
		errs = append(errs, err)
	}
	if len(c.LayersToTransform) > 0 && c.TargetModules.pattern != "" {
		errs = append(errs, fmt.Errorf("layers_to_transform needs a list of names in target_modules, got %q; write the "+
			"numbers of the layers into the expression", c.TargetModules.pattern))
	}
	if len(c.LayersPattern) > 0 && c.LayersToTransform == nil {
		errs = append(errs, errors.New("layers_pattern needs layers_to_transform; give both or none"))
	}
	for _, p := range c.LayersPattern {
		keep("layers_pattern", `(?:^|.*?\.)`+p+`\.(?P<idx>\d+)\.`, &s.patterns)
	}
	for _, o := range c.RankPattern {
		keep("rank_pattern", `(.*\.)?(`+o.Pattern+`)$`, &s.ranks)
		if o.Value < 1 {
			errs = append(errs, fmt.Errorf("rank_pattern has %d for %q; want 1 or more", o.Value, o.Pattern))
		}
	}
	for _, o := range c.AlphaPattern {
		keep("alpha_pattern", `(.*\.)?(`+o.Pattern+`)$`, &s.alphas)
		if !(o.Value > 0) || math.IsInf(o.Value, 0) {
			errs = append(errs, fmt.Errorf("alpha_pattern has %g for %q; want a number above 0", o.Value, o.Pattern))
		}
	}
	return s, errors.Join(errs...)
}

// blockNumber is PEFT's expression for the number of the block that a path is in, where layers_pattern has none.
var blockNumber = regexp.MustCompile(`^.*?\.[^.]*\.(\d+)\.`)

// selects reports whether a layer that target_modules names is adapted.
func (s *selector) selects(path string) (bool, error) {
	hits, err := s.exclude(path)
	if err != nil || len(hits) > 0 {
		return false, err
	}
	if len(s.config.LayersToTransform) == 0 || slices.Contains(s.config.TargetModules.names, path) {
		return true, nil // layers_to_transform does not limit what is named by its whole path
	}
	number := ""
	if len(s.patterns) == 0 {
		if m := blockNumber.FindStringSubmatch(path); m != nil {
			number = m[1]
		}
	}
	for _, p := range s.patterns {
		if number, err = p.group(path, "idx"); err != nil {
			return false, err
		}
		if number != "" {
			break
		}
	}
	n, err := strconv.Atoi(number)
	return err == nil && slices.Contains(s.config.LayersToTransform, n), nil
}

// rank returns the rank and lora_alpha of a layer.
func (s *selector) rank(path string) (r int, alpha float64, err error) {
	r, alpha = s.config.R, s.config.Alpha
	i, err := first(s.ranks, path)
	if err != nil {
		return 0, 0, err
	}
	if i >= 0 {
		r = s.config.RankPattern[i].Value
	}
	if i, err = first(s.alphas, path); err != nil {
		return 0, 0, err
	}
	if i >= 0 {
		alpha = s.config.AlphaPattern[i].Value
	}
	return r, alpha, nil
}

// first returns the index of the first expression that matches path, -1 if there is none.
func first(list []*expression, path string) (int, error) {
	for i, e := range list {
		if found, err := e.match(path); err != nil || found {
			return i, err
		}
	}
	return -1, nil
}

// unused describes the entries of rank_pattern and alpha_pattern that match no adapted layer, and exclude_modules if it
// matches no module of paths. PEFT warns about them too.
func (s *selector) unused(adapted []pair, paths []string) (list []string, err error) {
	for _, f := range []struct {
		field    string
		patterns []*expression
		text     func(i int) string
	}{
		{"rank_pattern", s.ranks, func(i int) string { return s.config.RankPattern[i].Pattern }},
		{"alpha_pattern", s.alphas, func(i int) string { return s.config.AlphaPattern[i].Pattern }},
	} {
		for i, e := range f.patterns {
			found := false
			for _, p := range adapted {
				if found, err = e.match(p.path); err != nil {
					return nil, err
				}
				if found {
					break
				}
			}
			if !found {
				list = append(list, fmt.Sprintf("%s %q matches no adapted layer", f.field, f.text(i)))
			}
		}
	}
	if s.config.ExcludeModules.empty() {
		return list, nil
	}
	for _, path := range paths {
		if hits, err := s.exclude(path); err != nil || len(hits) > 0 {
			return list, err
		}
	}
	return append(list, fmt.Sprintf("exclude_modules %s matches no module", s.config.ExcludeModules)), nil
}

// limits names the fields that leave modules out, for messages.
func (c Config) limits() string {
	var fields []string
	if !c.ExcludeModules.empty() {
		fields = append(fields, fmt.Sprintf("exclude_modules %s", c.ExcludeModules))
	}
	if len(c.LayersToTransform) > 0 {
		fields = append(fields, fmt.Sprintf("layers_to_transform %v", c.LayersToTransform))
	}
	if len(c.LayersPattern) > 0 {
		fields = append(fields, fmt.Sprintf("layers_pattern %s", strings.Join(c.LayersPattern, ",")))
	}
	if len(fields) == 0 {
		return ""
	}
	return " within " + strings.Join(fields, ", ")
}
