package embed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/nn/op"
)

// Pooling says how the hidden states of a text become one vector: one of the constants below or several, separated by
// commas, whose vectors follow one another. "" is Mean. Special tokens count as others do, as in
// sentence-transformers.
type Pooling string

// The ways of pooling, by the names that sentence-transformers gives them.
const (
	Mean         Pooling = "mean"                 // the mean over all tokens
	First        Pooling = "cls"                  // the first token ([CLS])
	Max          Pooling = "max"                  // the largest value of each column
	MeanSqrt     Pooling = "mean_sqrt_len_tokens" // the sum divided by the square root of the number of tokens
	WeightedMean Pooling = "weightedmean"         // the mean with the weights 1, 2, 3 …
	Last         Pooling = "lasttoken"            // the last token
)

// poolings lists the ways of pooling in the order in which keys of 1_Pooling/config.json switch them on.
var poolings = []struct {
	name Pooling
	key  string
	way  op.Pooling
}{
	{First, "pooling_mode_cls_token", op.PoolFirst},
	{Max, "pooling_mode_max_tokens", op.PoolMax},
	{Mean, "pooling_mode_mean_tokens", op.PoolMean},
	{MeanSqrt, "pooling_mode_mean_sqrt_len_tokens", op.PoolMeanSqrt},
	{WeightedMean, "pooling_mode_weightedmean_tokens", op.PoolWeightedMean},
	{Last, "pooling_mode_lasttoken", op.PoolLast},
}

// poolingNames lists the ways of pooling in messages.
const poolingNames = "mean, cls, max, mean_sqrt_len_tokens, weightedmean or lasttoken"

// String returns the names, "mean" for "".
func (p Pooling) String() string {
	if p == "" {
		return string(Mean)
	}
	return string(p)
}

// names returns the names one by one.
func (p Pooling) names() []string { return strings.Split(p.String(), ",") }

// ways returns the ways of pooling for the operator.
func (p Pooling) ways() []op.Pooling {
	var list []op.Pooling
	for _, name := range p.names() {
		for _, x := range poolings {
			if string(x.name) == name {
				list = append(list, x.way)
			}
		}
	}
	return list
}

// ParsePooling reads a name of a pooling, or several that are separated by commas.
func ParsePooling(s string) (Pooling, error) {
	names := strings.Split(s, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if len(Pooling(names[i]).ways()) == 0 || names[i] == "" {
			return "", fmt.Errorf("pooling is %q; want %s, or several with commas between them", s, poolingNames)
		}
	}
	return Pooling(strings.Join(names, ",")), nil
}

// poolingName is the file of an adapter that names the pooling.
const poolingName = "pooling.json"

// savedPooling is the content of the file.
type savedPooling struct {
	Mode string `json:"pooling_mode"`
}

// savePooling writes the file into the directory of an adapter.
func savePooling(dir string, p Pooling) error {
	text, err := json.Marshal(savedPooling{p.String()})
	if err != nil {
		return err
	}
	return files.WriteFile(filepath.Join(dir, poolingName), files.Bytes(append(text, '\n')))
}

// adapterPooling returns the pooling that an adapter was trained with, if its directory says so.
func adapterPooling(dir string) (p Pooling, found bool, err error) {
	if dir == "" {
		return "", false, nil
	}
	name := filepath.Join(dir, poolingName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err == nil {
		var saved savedPooling
		if err = json.Unmarshal(text, &saved); err == nil {
			p, err = ParsePooling(saved.Mode)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	}
	return p, true, base.Input(err)
}

// poolingOf returns the pooling that a setting names, that the adapter was trained with, or that the Pooling module of
// the checkpoint has; the mean if there is none of them. The setting must not contradict the adapter. An empty string
// means that a setting or an adapter is not given.
func (m *modules) poolingOf(setting, adapter string) (Pooling, error) {
	asked := Mean
	if setting != "" {
		var err error
		if asked, err = ParsePooling(setting); err != nil {
			return "", base.Settings(fmt.Errorf("`pooling`: %w", err))
		}
	}
	p, found, err := adapterPooling(adapter)
	switch {
	case err != nil:
		return "", err
	case found && setting != "" && p != asked:
		return "", base.Settings(fmt.Errorf("`pooling` is %v, but the adapter %s was trained with %v; leave it out",
			asked, adapter, p))
	case found:
		return p, nil
	case setting != "":
		return asked, nil
	}
	return m.pooling, m.poolingErr
}

// poolingIn returns the pooling that the content of the Pooling module's file names. The error does not name the file.
func poolingIn(content map[string]json.RawMessage) (Pooling, error) {
	one, given := content["pooling_mode"]
	if given && string(one) != "null" {
		var names []string
		if json.Unmarshal(one, &names) != nil {
			var name string
			if err := json.Unmarshal(one, &name); err != nil {
				return "", fmt.Errorf("pooling_mode: want a name or a list of names: %w", err)
			}
			names = []string{name}
		}
		list := strings.Join(names, ",")
		p, err := ParsePooling(list)
		if err != nil {
			return "", fmt.Errorf("the pooling %s is not supported; %s are, see `pooling`", list, poolingNames)
		}
		return p, nil
	}
	var on []string
	for _, x := range poolings {
		raw, ok := content[x.key]
		if !ok {
			continue
		}
		given = true
		var yes bool
		if err := json.Unmarshal(raw, &yes); err != nil {
			return "", fmt.Errorf("%s: %w", x.key, err)
		}
		if yes {
			on = append(on, string(x.name))
		}
	}
	switch {
	case len(on) > 0:
		return Pooling(strings.Join(on, ",")), nil
	case given || content["word_embedding_dimension"] != nil || content["embedding_dimension"] != nil:
		return Mean, nil // as sentence-transformers
	}
	return "", errors.New("it names no pooling; say which with `pooling`")
}

// poolingConfig returns the content of the Pooling module's file for vectors of tokens of the given width. Keys that
// older versions of sentence-transformers know say it if they can.
func poolingConfig(p Pooling, width int, excludePrompt bool) map[string]any {
	c := map[string]any{
		"word_embedding_dimension": width, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": false,
	}
	var inOrder []string
	for _, x := range poolings {
		if slices.Contains(p.names(), string(x.name)) {
			c[x.key] = true
			inOrder = append(inOrder, string(x.name))
		}
	}
	if !slices.Equal(inOrder, p.names()) {
		c = map[string]any{"embedding_dimension": width, "pooling_mode": p.names()}
	}
	if excludePrompt {
		c["include_prompt"] = false
	}
	return c
}
