package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/tasks"
)

// PoolingName is the file of an adapter that says how the vector of a text is made of its tokens.
const PoolingName = "pooling.json"

// savedPooling is pooling.json.
type savedPooling struct {
	Mode string `json:"pooling_mode"`
}

// SavePooling writes pooling.json into the directory of an adapter.
func SavePooling(dir string, p tasks.Pooling) error {
	text, err := json.Marshal(savedPooling{p.String()})
	if err != nil {
		return err
	}
	return files.WriteFile(filepath.Join(dir, PoolingName), files.Bytes(append(text, '\n')))
}

// Pooling returns the pooling that a flag names, that the adapter was trained with, or that the model's Pooling module says; the mean if nothing
// does. The flag must not contradict the adapter; "" is none of each.
func (s *SentenceEncoder) Pooling(flag, adapter string) (tasks.Pooling, error) {
	asked, err := tasks.MeanPooling, error(nil)
	if flag != "" {
		if asked, err = tasks.ParsePooling(flag); err != nil {
			return 0, UsageError(fmt.Errorf("--pooling: %w", err))
		}
	}
	if adapter != "" {
		var saved savedPooling
		found, err := readJSON(filepath.Join(adapter, PoolingName), &saved)
		if err != nil {
			return 0, err
		}
		if found {
			p, err := tasks.ParsePooling(saved.Mode)
			if err != nil {
				return 0, InputError(fmt.Errorf("%s: %w", filepath.Join(adapter, PoolingName), err))
			}
			if flag != "" && p != asked {
				return 0, UsageError(fmt.Errorf("--pooling is %v, but the adapter %s was trained with %v; leave the flag out", asked, adapter, p))
			}
			return p, nil
		}
	}
	if flag != "" || s.pooling == "" {
		return asked, nil
	}
	return s.modelPooling()
}

// modelPooling reads the file of sentence-transformers' Pooling module, which has a key for each way, or one for all.
func (s *SentenceEncoder) modelPooling() (tasks.Pooling, error) {
	c, path := map[string]any{}, s.pooling
	found, err := readJSON(path, &c)
	switch {
	case err != nil:
		return 0, err
	case !found && s.named:
		return 0, InputError(fmt.Errorf("%s: there is no such file, but modules.json names it; copy it too, or say with --pooling what it says", path))
	case !found:
		return tasks.MeanPooling, nil
	}
	var modes []string
	for key, v := range c {
		if on, ok := v.(bool); ok && on && strings.HasPrefix(key, "pooling_mode_") {
			modes = append(modes, key)
		}
	}
	slices.Sort(modes)
	name, _ := c["pooling_mode"].(string)
	if len(modes) == 0 && name != "" {
		modes = []string{name}
	}
	switch strings.Join(modes, ", ") {
	case "pooling_mode_mean_tokens", "mean":
		return tasks.MeanPooling, nil
	case "pooling_mode_cls_token", "cls":
		return tasks.FirstPooling, nil
	case "":
		return 0, InputError(fmt.Errorf("%s: it names no pooling; say which with --pooling", path))
	}
	return 0, InputError(fmt.Errorf("%s: the pooling %s is not supported; mean and cls are, see --pooling", path, strings.Join(modes, ", ")))
}

// readJSON decodes a file, if it is there.
func readJSON(path string, to any) (found bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err != nil && isFile(filepath.Dir(path)) { // the model is a GGUF file
		return false, nil
	}
	if err != nil {
		return false, InputError(err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		return false, InputError(fmt.Errorf("%s: %w", path, err))
	}
	return true, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
