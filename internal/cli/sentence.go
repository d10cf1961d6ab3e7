package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/tasks"
)

// SentenceEncoder is what the files of sentence-transformers beside a checkpoint say about the way from a text to its vector.
type SentenceEncoder struct {
	Normalize bool // vectors are divided by their length
	MaxLength int  // max_seq_length: tokens of a text, special ones included; 0: no file says

	pooling string // file of the Pooling module
	named   bool   // modules.json names it
	limits  string // name of the file with max_seq_length; "": none
}

// limitNames are names that sentence-transformers has had for the settings of its Transformer module, the usual one first.
var limitNames = []string{
	"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json", "sentence_camembert_config.json",
	"sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json",
}

// ReadSentenceEncoder reads modules.json and the settings of the Transformer module in the directory of a model. Both may be missing. Modules
// other than Transformer, Pooling and Normalize, in this order, would make other vectors: they are an error that names them. "" is the embedded
// MiniLM, whose vectors have the length 1.
func ReadSentenceEncoder(model string) (*SentenceEncoder, error) {
	s := &SentenceEncoder{}
	if model == "" {
		s.Normalize = true
		return s, nil
	}
	if err := s.readModules(model); err != nil {
		return nil, err
	}
	for _, name := range limitNames {
		var c struct {
			Length *int `json:"max_seq_length"`
		}
		file := filepath.Join(model, name)
		found, err := readJSON(file, &c)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		s.limits = name
		if c.Length != nil {
			if s.MaxLength = *c.Length; s.MaxLength < 1 {
				return nil, InputError(fmt.Errorf("%s: max_seq_length is %d; want 1 or more", file, s.MaxLength))
			}
		}
		break
	}
	return s, nil
}

// readModules reads modules.json, if it is there.
func (s *SentenceEncoder) readModules(model string) error {
	file := filepath.Join(model, "modules.json")
	s.pooling = filepath.Join(model, "1_Pooling", "config.json")
	var modules []struct {
		Path string `json:"path"`
		Type string `json:"type"`
	}
	if _, err := readJSON(file, &modules); err != nil {
		return err
	}
	order, next := []string{"Transformer", "Pooling", "Normalize"}, 0
	for _, m := range modules {
		name := m.Type[strings.LastIndexByte(m.Type, '.')+1:]
		at := slices.Index(order, name)
		if at < 0 || !strings.HasPrefix(m.Type, "sentence_transformers.") {
			return InputError(fmt.Errorf("%s: the module %s is not supported: without it the vectors would be others; Transformer, Pooling and Normalize are", file, m.Type))
		}
		if at < next {
			return InputError(fmt.Errorf("%s: the module %s stands in an unusual place; want Transformer, then Pooling, then perhaps Normalize", file, m.Type))
		}
		next = at + 1
		switch name {
		case "Normalize":
			s.Normalize = true
		case "Pooling":
			if !filepath.IsLocal(m.Path) {
				return InputError(fmt.Errorf("%s: the path of Pooling is %q, which is not in this directory", file, m.Path))
			}
			s.pooling, s.named = filepath.Join(model, m.Path, "config.json"), true
		}
	}
	return nil
}

// Limit returns the tokens that a text may have, from --max-length: those of the flag, or if it is 0 max_seq_length, as far as the model has
// positions for them; 0 if nothing limits texts but the checkpoint.
func (s *SentenceEncoder) Limit(flag, positions int) int {
	if flag != 0 {
		return flag
	}
	return min(s.MaxLength, positions)
}

// EncoderFiles returns the files by which sentence-transformers, and [ReadSentenceEncoder] here, know how a sentence encoder makes vectors: those
// of a model that an adapter was merged into, by name.
func EncoderFiles(adapter, model string, width int) (map[string][]byte, error) {
	s, err := ReadSentenceEncoder(model)
	if err != nil {
		return nil, err
	}
	p, err := s.Pooling("", adapter)
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
	if s.Normalize {
		modules = append(modules, module{2, "2", "2_Normalize", types + "Normalize"})
	}
	out := map[string][]byte{}
	for name, v := range map[string]any{"modules.json": modules, path.Join("1_Pooling", "config.json"): map[string]any{
		"word_embedding_dimension": width, "pooling_mode_cls_token": p == tasks.FirstPooling, "pooling_mode_mean_tokens": p == tasks.MeanPooling,
	}} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return nil, err
		}
		out[name] = append(text, '\n')
	}
	if s.limits != "" {
		if out[s.limits], err = os.ReadFile(filepath.Join(model, s.limits)); err != nil {
			return nil, InputError(err)
		}
	}
	return out, nil
}
