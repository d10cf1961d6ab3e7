package models

import (
	"fmt"
	"sort"
	"strconv"

	"github.com/spalora/spalora/checkpoint"
)

// Info holds the fields of config.json that all architectures share. For special tokens generation_config.json takes
// precedence.
type Info struct {
	ModelType string         // model_type
	Labels    map[int]string // id2label; nil if the field is missing
	NumLabels int            // num_labels; 0 if the field is missing
	Problem   string         // problem_type; "" if the field is missing
	Classes   []string       // architectures; nil if the field is missing
	EosIDs    []int32        // eos_token_id: the tokens that end a text; nil if there is none
	BosID     int32          // bos_token_id; −1 if the field is missing
	PadID     int32          // pad_token_id; −1 if the field is missing
}

// ReadInfo reads the fields of config.json that all architectures share. An id2label with keys other than 0, 1, … and
// token ids that are not numbers are errors.
func ReadInfo(src *checkpoint.Source) (Info, error) {
	var c struct {
		ModelType string            `json:"model_type"`
		ID2Label  map[string]string `json:"id2label"`
		NumLabels int               `json:"num_labels"`
		Problem   *string           `json:"problem_type"`
		Classes   []string          `json:"architectures"`
	}
	if err := src.DecodeConfig(&c); err != nil {
		return Info{}, err
	}
	i := Info{ModelType: c.ModelType, Classes: c.Classes, NumLabels: c.NumLabels}
	if c.Problem != nil {
		i.Problem = *c.Problem
	}
	for k, v := range c.ID2Label {
		n, err := strconv.Atoi(k)
		if err != nil || n < 0 || strconv.Itoa(n) != k { // "01" would duplicate "1"
			return Info{}, fmt.Errorf("models: %s: config.json: id2label has the key %q; want 0, 1, …", src.Name(), k)
		}
		if i.Labels == nil {
			i.Labels = map[int]string{}
		}
		i.Labels[n] = v
	}
	return i, i.readTokenIDs(src)
}

// LabelNames returns id2label as a list, or nil if the checkpoint has none. It returns an error if the keys are not
// 0..n−1 or if two classes have the same name.
func (i Info) LabelNames() ([]string, error) {
	if i.Labels == nil {
		return nil, nil
	}
	keys := make([]int, 0, len(i.Labels))
	for k := range i.Labels {
		keys = append(keys, k)
	}
	sort.Ints(keys)
	names, seen := make([]string, len(keys)), make(map[string]bool, len(keys))
	for n, k := range keys {
		if n != k {
			return nil, fmt.Errorf("models: config.json: id2label lacks the key %d", n)
		}
		if names[n] = i.Labels[k]; seen[names[n]] {
			return nil, fmt.Errorf("models: config.json: id2label has the name %q twice", names[n])
		}
		seen[names[n]] = true
	}
	return names, nil
}
