package models

import (
	"fmt"
	"sort"
	"strconv"

	"github.com/spalora/spalora/checkpoint"
)

// Info is what a checkpoint says beside its architecture: in config.json, and in generation_config.json, which wins where both
// name a token.
type Info struct {
	ModelType string         // model_type
	Labels    map[int]string // id2label, nil if it is not there
	Problem   string         // problem_type, "" if it is not there
	Classes   []string       // architectures, nil if it is not there
	EosIDs    []int32        // eos_token_id: the tokens that end a text; nil if there is none
	BosID     int32          // bos_token_id, -1 if it is not there
	PadID     int32          // pad_token_id, -1 if it is not there
}

// ReadInfo reads the parts of config.json that are the same for all architectures.
func ReadInfo(src *checkpoint.Source) (Info, error) {
	var c struct {
		ModelType string            `json:"model_type"`
		ID2Label  map[string]string `json:"id2label"`
		Problem   *string           `json:"problem_type"`
		Classes   []string          `json:"architectures"`
	}
	if err := src.DecodeConfig(&c); err != nil {
		return Info{}, err
	}
	i := Info{ModelType: c.ModelType, Classes: c.Classes}
	if c.Problem != nil {
		i.Problem = *c.Problem
	}
	for k, v := range c.ID2Label {
		n, err := strconv.Atoi(k)
		if err != nil || n < 0 || strconv.Itoa(n) != k { // "01" would stand beside "1"
			return Info{}, fmt.Errorf("models: %s: config.json: id2label has the key %q; want 0, 1, …", src.Name(), k)
		}
		if i.Labels == nil {
			i.Labels = map[int]string{}
		}
		i.Labels[n] = v
	}
	return i, i.readTokenIDs(src)
}

// LabelNames returns id2label as a list, or nil if the checkpoint has none. Keys that are not 0..n−1 and a name that two
// classes share are errors.
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
