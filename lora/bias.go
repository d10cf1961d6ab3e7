package lora

import (
	"fmt"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// Bias says which biases of the base model train and are saved with the adapter, in PEFT's spelling.
type Bias string

// The values of bias.
const (
	BiasNone     Bias = ""          // none of the base model's, "none" in adapter_config.json
	BiasAll      Bias = "all"       // all biases, those of norms too
	BiasLoRAOnly Bias = "lora_only" // the biases of adapted layers
)

// ParseBias returns the value that PEFT spells s, where "none" and "" are BiasNone. It returns an error if s is
// unknown.
func ParseBias(s string) (Bias, error) {
	switch b := Bias(s); b {
	case BiasNone, BiasAll, BiasLoRAOnly:
		return b, nil
	case "none":
		return BiasNone, nil
	}
	return BiasNone, fmt.Errorf("bias is %q; want none, all or lora_only", s)
}

// addBiases gives the set its own copy of the biases that train. Those of saved modules do anyway.
func (s *Set) addBiases(m spago.Model) error {
	if s.config.Bias == BiasNone {
		return nil
	}
	adapted := s.adapted()
	for _, w := range weightsOf(m) {
		module, ok := strings.CutSuffix("."+w.Name, ".bias")
		module = strings.TrimPrefix(module, ".")
		if !ok || s.inSaved(module) || s.config.Bias == BiasLoRAOnly && !adapted[module] {
			continue
		}
		if !w.Weight.Filled() {
			return fmt.Errorf("lora: attach: %s has no values; load the model first", w.Name)
		}
		own := w.Weight.Trained()
		s.biases = append(s.biases, copied{w.Name, w.key, own})
		s.copyOf[w.key] = own
	}
	return nil
}

// adapted returns the paths of the layers that have a pair.
func (s *Set) adapted() map[string]bool {
	paths := map[string]bool{}
	for _, p := range s.pairs {
		paths[p.path] = true
	}
	return paths
}

// below returns the name in an adapter file of a weight of the base model: PEFT names those of adapted layers
// base_layer.
func below(weight string, adapted map[string]bool) string {
	if dot := strings.LastIndexByte(weight, '.'); dot >= 0 && adapted[weight[:dot]] {
		return weight[:dot] + ".base_layer" + weight[dot:]
	}
	return weight
}

// What PEFT calls the two forms of a saved module in the model.
const (
	trainedForm  = ".modules_to_save."
	originalForm = ".original_module."
)

// repeated returns what PEFT's files hold a second and third time with bias all, which saves whatever is called bias in
// the whole model: the biases of saved modules, trained and original.
func (s *Set) repeated() []stored {
	if s.config.Bias != BiasAll {
		return nil
	}
	var list []stored
	for _, c := range s.copies {
		module, _ := savedModule(c.path, s.config.saved())
		rest := strings.TrimPrefix(c.path, module+".")
		trained := rest
		if strings.HasSuffix(rest, ".bias") {
			trained = "default." + rest // PEFT removes the name of the adapter only in front of the last part
		} else if rest != "bias" {
			continue
		}
		list = append(list,
			stored{keyPrefix + module + trainedForm + trained, c.own.Shape(), op.Values(c.own.Param)},
			stored{keyPrefix + module + originalForm + rest, c.own.Shape(), c.base.Float32()})
	}
	return list
}

// dropRepeated removes from left, the names of the tensors of a file, those that repeated describes, which PEFT does
// not read either. The adapter may have had any name.
func (s *Set) dropRepeated(left map[string]bool) {
	if s.config.Bias != BiasAll {
		return
	}
	for name := range left {
		for _, form := range []string{trainedForm, originalForm} {
			module, _, ok := strings.Cut(strings.TrimPrefix(name, keyPrefix), form)
			if ok && strings.HasSuffix(name, ".bias") && s.inSaved(module) {
				delete(left, name)
			}
		}
	}
}
