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
)

// Pooling says how the hidden states of a text become one vector.
type Pooling uint8

// The ways of pooling. Special tokens count as others do, as in sentence-transformers.
const (
	Mean  Pooling = iota // the mean over all tokens
	First                // the first token ([CLS])
)

// String returns the name that sentence-transformers gives it.
func (p Pooling) String() string {
	if p == First {
		return "cls"
	}
	return "mean"
}

// ParsePooling reads "mean" or "cls".
func ParsePooling(s string) (Pooling, error) {
	for _, p := range []Pooling{Mean, First} {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("pooling is %q; want mean or cls", s)
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
		return 0, false, nil
	}
	name := filepath.Join(dir, poolingName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
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
			return 0, base.Settings(fmt.Errorf("`pooling`: %w", err))
		}
	}
	p, found, err := adapterPooling(adapter)
	switch {
	case err != nil:
		return 0, err
	case found && setting != "" && p != asked:
		return 0, base.Settings(fmt.Errorf("`pooling` is %v, but the adapter %s was trained with %v; leave it out",
			asked, adapter, p))
	case found:
		return p, nil
	case setting != "":
		return asked, nil
	}
	return m.ownPooling()
}

// ownPooling reads the file of the Pooling module, which has a key for each way of pooling, or one for all.
func (m *modules) ownPooling() (Pooling, error) {
	c, name := map[string]any{}, m.path(m.pooling)
	found, err := m.read(m.pooling, &c)
	switch {
	case err != nil:
		return 0, err
	case !found && m.named:
		return 0, base.Input(fmt.Errorf("%s: there is no such file, but modules.json names it; "+
			"copy it too, or say with `pooling` what it has", name))
	case !found:
		return Mean, nil
	}
	var modes []string
	for key, v := range c {
		if on, ok := v.(bool); ok && on && strings.HasPrefix(key, "pooling_mode_") {
			modes = append(modes, key)
		}
	}
	slices.Sort(modes)
	one, _ := c["pooling_mode"].(string)
	if len(modes) == 0 && one != "" {
		modes = []string{one}
	}
	switch strings.Join(modes, ", ") {
	case "pooling_mode_mean_tokens", "mean":
		return Mean, nil
	case "pooling_mode_cls_token", "cls":
		return First, nil
	case "":
		return 0, base.Input(fmt.Errorf("%s: it names no pooling; say which with `pooling`", name))
	}
	return 0, base.Input(fmt.Errorf("%s: the pooling %s is not supported; mean and cls are, see `pooling`",
		name, strings.Join(modes, ", ")))
}
