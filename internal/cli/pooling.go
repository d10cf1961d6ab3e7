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

// FindPooling returns the pooling that a flag names, that the adapter was trained with, or that sentence-transformers' 1_Pooling/config.json
// in the directory of the model says; the mean if nothing does. The flag must not contradict the adapter; "" is none of each.
func FindPooling(flag, adapter, model string) (tasks.Pooling, error) {
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
	if flag != "" || model == "" {
		return asked, nil
	}
	return modelPooling(filepath.Join(model, "1_Pooling", "config.json"))
}

// modelPooling reads the file of sentence-transformers' Pooling module, which has a key for each way, or one for all.
func modelPooling(path string) (tasks.Pooling, error) {
	c := map[string]any{}
	if found, err := readJSON(path, &c); err != nil || !found {
		return tasks.MeanPooling, err
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

// EncoderFiles returns the files by which sentence-transformers, and [FindPooling] and [Normalizes] here, know how a sentence encoder makes
// vectors: those of a model that an adapter was merged into, by name.
func EncoderFiles(adapter, model string, width int) (map[string][]byte, error) {
	p, err := FindPooling("", adapter, model)
	if err != nil {
		return nil, err
	}
	normalize, err := Normalizes(model)
	if err != nil {
		return nil, err
	}
	type module struct {
		Index int    `json:"idx"`
		Name  string `json:"name"`
		Path  string `json:"path"`
		Type  string `json:"type"`
	}
	const types = "sentence_transformers.models."
	modules := []module{{0, "0", "", types + "Transformer"}, {1, "1", "1_Pooling", types + "Pooling"}}
	if normalize {
		modules = append(modules, module{2, "2", "2_Normalize", types + "Normalize"})
	}
	out := map[string][]byte{}
	for name, v := range map[string]any{"modules.json": modules, "1_Pooling/config.json": map[string]any{
		"word_embedding_dimension": width, "pooling_mode_cls_token": p == tasks.FirstPooling, "pooling_mode_mean_tokens": p == tasks.MeanPooling,
	}} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return nil, err
		}
		out[name] = append(text, '\n')
	}
	return out, nil
}

// Normalizes reports whether sentence-transformers' modules.json in the directory of a model ends in vectors of length 1. So do those of
// the embedded MiniLM ("").
func Normalizes(model string) (bool, error) {
	if model == "" {
		return true, nil
	}
	var modules []struct {
		Type string `json:"type"`
	}
	if _, err := readJSON(filepath.Join(model, "modules.json"), &modules); err != nil {
		return false, err
	}
	for _, m := range modules {
		if strings.HasSuffix(m.Type, ".Normalize") {
			return true, nil
		}
	}
	return false, nil
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
