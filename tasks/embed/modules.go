package embed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
)

// modules holds the settings by which a text becomes a vector, from the files of sentence-transformers in a checkpoint.
type modules struct {
	base      *base.Base
	normalize bool   // vectors are divided by their length
	maxLength int    // max_seq_length: tokens of a text, special ones included; 0: no file has it
	pooling   string // name of the Pooling module's file
	named     bool   // modules.json names that module
	limits    string // name of the file with max_seq_length; "": none
}

// The files of sentence-transformers that are read and written.
const (
	modulesName = "modules.json"
	poolingDir  = "1_Pooling"
	moduleName  = "config.json" // in the directory of a module
)

// limitNames are names that sentence-transformers has had for the settings of its Transformer module, the usual one
// first.
var limitNames = []string{
	"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
	"sentence_camembert_config.json",
	"sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json",
}

// readModules reads modules.json and the settings of the Transformer module of a checkpoint. Both may be missing. It
// returns an error that names any module other than Transformer, Pooling and Normalize, in this order, since it would
// change the vectors.
func readModules(b *base.Base) (*modules, error) {
	m := &modules{base: b, pooling: path.Join(poolingDir, moduleName)}
	if err := m.readList(); err != nil {
		return nil, err
	}
	for _, name := range limitNames {
		var c struct {
			Length *int `json:"max_seq_length"`
		}
		found, err := m.read(name, &c)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		m.limits = name
		if c.Length != nil {
			if m.maxLength = *c.Length; m.maxLength < 1 {
				return nil, base.Input(fmt.Errorf("%s: max_seq_length is %d; want 1 or more", m.path(name), m.maxLength))
			}
		}
		break
	}
	return m, nil
}

// path returns the name of a file for messages.
func (m *modules) path(name string) string {
	return filepath.Join(m.base.Name, filepath.FromSlash(name))
}

// read decodes a file of the checkpoint, if there is one of that name.
func (m *modules) read(name string, to any) (found bool, err error) {
	text, err := m.base.File(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, base.Input(err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		return false, base.Input(fmt.Errorf("%s: %w", m.path(name), err))
	}
	return true, nil
}

// readList reads modules.json, if there is one.
func (m *modules) readList() error {
	var list []struct {
		Path string `json:"path"`
		Type string `json:"type"`
	}
	if _, err := m.read(modulesName, &list); err != nil {
		return err
	}
	fail := func(format string, args ...any) error {
		return base.Input(fmt.Errorf("%s: "+format, append([]any{m.path(modulesName)}, args...)...))
	}
	order, next := []string{"Transformer", "Pooling", "Normalize"}, 0
	for _, x := range list {
		name := x.Type[strings.LastIndexByte(x.Type, '.')+1:]
		at := slices.Index(order, name)
		if at < 0 || !strings.HasPrefix(x.Type, "sentence_transformers.") {
			return fail("the module %s is not supported: without it the vectors would differ; "+
				"Transformer, Pooling and Normalize are", x.Type)
		}
		if at < next {
			return fail("the module %s is out of order; want Transformer, then Pooling, then perhaps Normalize", x.Type)
		}
		next = at + 1
		switch name {
		case "Normalize":
			m.normalize = true
		case "Pooling":
			if !filepath.IsLocal(x.Path) {
				return fail("the path of Pooling is %q, which is not in this directory", x.Path)
			}
			m.pooling, m.named = path.Join(filepath.ToSlash(x.Path), moduleName), true
		}
	}
	return nil
}

// limit returns the tokens that a text may have: the given number or, if that is 0, max_seq_length as far as the model
// has positions for them; 0 if nothing limits texts but the checkpoint.
func (m *modules) limit(maxLength, positions int) int {
	if maxLength != 0 {
		return maxLength
	}
	return min(m.maxLength, positions)
}

// files returns the files, by name, from which sentence-transformers and readModules read how a merged checkpoint
// makes vectors of the given width.
func (m *modules) files(adapter string, width int) (map[string][]byte, error) {
	p, err := m.poolingOf("", adapter)
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
	list := []module{{0, "0", "", types + "Transformer"}, {1, "1", poolingDir, types + "Pooling"}}
	if m.normalize {
		list = append(list, module{2, "2", "2_Normalize", types + "Normalize"})
	}
	out := map[string][]byte{}
	for name, v := range map[string]any{modulesName: list, path.Join(poolingDir, moduleName): map[string]any{
		"word_embedding_dimension": width, "pooling_mode_cls_token": p == First, "pooling_mode_mean_tokens": p == Mean,
	}} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return nil, err
		}
		out[name] = append(text, '\n')
	}
	if m.limits != "" {
		if out[m.limits], err = m.base.File(m.limits); err != nil {
			return nil, base.Input(err)
		}
	}
	return out, nil
}
