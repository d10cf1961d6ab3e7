package embed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/tokenize"
)

// modules holds the settings by which a text becomes a vector, from the files of sentence-transformers in a checkpoint.
type modules struct {
	base      *base.Base
	log       zerolog.Logger
	tokenizer *tokenize.Tokenizer
	transformerSettings
	vectorSettings

	dense         []*Dense
	normalize     bool // vectors are divided by their length
	pooling       Pooling
	poolingErr    error // why the file of the Pooling module names no pooling
	excludePrompt bool  // the tokens of the prompt do not count in pooling

	poolingFile string // name of the Pooling module's file
	listed      bool   // there is a modules.json
	named       bool   // it names the Pooling module
}

// The files of sentence-transformers that are read and written.
const (
	modulesName = "modules.json"
	poolingDir  = "1_Pooling"
	moduleName  = "config.json" // in the directory of a module
)

// readModules reads the files of sentence-transformers in a checkpoint, which may all be missing, and logs what has no
// effect here. It returns an error that names any module other than Transformer, Pooling, Dense and Normalize, in this
// order, and any setting that is not honoured, since they would change the vectors.
func readModules(b *base.Base, log zerolog.Logger) (*modules, error) {
	m := &modules{base: b, log: log, tokenizer: b.Tokenizer, poolingFile: path.Join(poolingDir, moduleName)}
	for _, read := range []func() error{m.readList, m.readPooling, m.readTransformer, m.readVectors} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// path returns the name of a file for messages.
func (m *modules) path(name string) string {
	return filepath.Join(m.base.Name, filepath.FromSlash(name))
}

// read returns the keys of a file of the checkpoint, or nil if there is none of that name or it has none, and checks
// them against a table.
func (m *modules) read(name string, table settings.File) (map[string]json.RawMessage, error) {
	text, err := m.base.File(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, base.Input(err)
	}
	return m.check(m.path(name), text, table)
}

// check returns the keys of an object and checks them against a table; name is what messages call the object.
func (m *modules) check(name string, text []byte, table settings.File) (map[string]json.RawMessage, error) {
	table.Name = name
	warnings, err := table.Check(text)
	for _, w := range warnings {
		m.log.Warn().Msg(w)
	}
	if err != nil {
		return nil, base.Input(err)
	}
	var keys map[string]json.RawMessage
	return keys, json.Unmarshal(text, &keys) // which Check has done
}

// decode sets the value to that of a key, if there is one.
func (m *modules) decode(name string, keys map[string]json.RawMessage, key string, to any) error {
	raw, ok := keys[key]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return base.Input(fmt.Errorf("%s: %s: %w", m.path(name), key, err))
	}
	return nil
}

// readList reads modules.json, if there is one.
func (m *modules) readList() error {
	text, err := m.base.File(modulesName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	fail := func(format string, args ...any) error {
		return base.Input(fmt.Errorf("%s: "+format, append([]any{m.path(modulesName)}, args...)...))
	}
	if err != nil {
		return base.Input(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return fail("%w", err)
	}
	m.listed = true
	order, next := []string{"Transformer", "Pooling", "Dense", "Normalize"}, 0
	for i, raw := range list {
		if _, err := m.check(fmt.Sprintf("%s: module %d", m.path(modulesName), i), raw, settings.Module); err != nil {
			return err
		}
		var x struct {
			Path string `json:"path"`
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &x); err != nil {
			return fail("%w", err)
		}
		name := x.Type[strings.LastIndexByte(x.Type, '.')+1:]
		at := slices.Index(order, name)
		if at < 0 || !strings.HasPrefix(x.Type, "sentence_transformers.") {
			return fail("the module %s is not supported: without it the vectors would differ; "+
				"Transformer, Pooling, Dense and Normalize are", x.Type)
		}
		if at < next {
			return fail("the module %s is out of order; want Transformer, then Pooling, then perhaps Dense and Normalize",
				x.Type)
		}
		if next = at + 1; name == "Dense" { // of which there may be several
			next = at
		}
		if (x.Path != "" || name == "Pooling" || name == "Dense") && !filepath.IsLocal(x.Path) {
			return fail("the path of %s is %q, which is not in this directory", name, x.Path)
		}
		file := path.Join(filepath.ToSlash(x.Path), moduleName)
		switch {
		case name == "Transformer" && x.Path != "" && x.Path != ".":
			return fail("the model is in %s; give that directory with `model`, with these files beside it", x.Path)
		case name == "Normalize":
			m.normalize = true
			if x.Path != "" {
				if _, err := m.read(file, settings.NormalizeModule); err != nil {
					return err
				}
			}
		case name == "Pooling":
			m.poolingFile, m.named = file, true
		case name == "Dense":
			d, err := m.readDense(filepath.ToSlash(x.Path))
			if err != nil {
				return err
			}
			m.dense = append(m.dense, d)
		}
	}
	return nil
}

// readPooling reads the file of the Pooling module, if there is one.
func (m *modules) readPooling() error {
	keys, err := m.read(m.poolingFile, settings.PoolingModule)
	if err != nil {
		return err
	}
	name := m.path(m.poolingFile)
	if keys == nil {
		if m.named {
			m.poolingErr = base.Input(fmt.Errorf("%s: there is no such file, but modules.json names it; "+
				"copy it too, or say with `pooling` what it has", name))
		}
		m.pooling = Mean
		return nil
	}
	include := true
	if err := m.decode(m.poolingFile, keys, "include_prompt", &include); err != nil {
		return err
	}
	m.excludePrompt = !include
	if m.pooling, err = poolingIn(keys); err != nil {
		m.poolingErr = base.Input(fmt.Errorf("%s: %w", name, err))
	}
	m.unlisted(m.poolingFile)
	return nil
}

// unlisted warns of a file that sentence-transformers would not read for want of modules.json.
func (m *modules) unlisted(name string) {
	if !m.listed {
		m.log.Warn().Msgf("%s: it is followed although there is no %s, without which sentence-transformers takes the mean "+
			"and ignores this file; copy that file too", m.path(name), modulesName)
	}
}

// config returns the settings of the files for a predictor.
func (m *modules) config() Config {
	return Config{
		ExcludePrompt: m.excludePrompt, Dense: m.dense, Normalize: m.normalize, Dimensions: m.dimensions,
		Similarity: m.similarity,
	}
}

// limit returns the tokens that a text may have: the given number or, if that is 0, that of the files as far as the
// model has positions for them; 0 if nothing limits texts but the checkpoint.
func (m *modules) limit(maxLength, positions int) int {
	if maxLength != 0 {
		return maxLength
	}
	return min(m.maxLength, positions)
}

// files returns the files, by name, from which sentence-transformers and readModules read how a merged checkpoint
// makes vectors, of tokens' vectors of the given width. The adapter may remember a prompt.
func (m *modules) files(adapter string, width int, prompt *string) (map[string][]byte, error) {
	p, err := m.poolingOf("", adapter)
	if err != nil {
		return nil, err
	}
	list, out := m.writeList()
	written := map[string]any{
		modulesName: list, path.Join(poolingDir, moduleName): poolingConfig(p, width, m.excludePrompt),
	}
	if changed := m.withPrompt(prompt); changed != nil {
		written[settings.SentenceTransformer.Name] = changed
	}
	for name, v := range written {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			return nil, err
		}
		out[name] = b.Bytes()
	}
	for _, name := range m.copied {
		if _, ok := out[name]; ok {
			continue
		}
		if out[name], err = m.base.File(name); err != nil {
			return nil, base.Input(err)
		}
	}
	return out, nil
}

// withPrompt returns the content of config_sentence_transformers.json with a prompt as the default one, or nil if that
// is the default of the file already or there is no prompt to keep.
func (m *modules) withPrompt(prompt *string) map[string]any {
	if prompt == nil || *prompt == m.prompt {
		return nil
	}
	prompts := maps.Clone(m.prompts)
	c := map[string]any{"prompts": prompts, "default_prompt_name": nil}
	for key, raw := range m.vectors {
		if _, ok := c[key]; !ok {
			c[key] = raw
		}
	}
	if *prompt == "" {
		return c
	}
	name := "trained"
	for _, taken := prompts[name]; taken; _, taken = prompts[name] {
		name += "_"
	}
	for _, known := range slices.Sorted(maps.Keys(prompts)) {
		if prompts[known] == *prompt {
			name = known
		}
	}
	prompts[name], c["default_prompt_name"] = *prompt, name
	return c
}
