package models

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
)

// CRFModule is the name of the module with the transition scores of a [Tagger], in checkpoints and adapters.
const CRFModule = "crf"

// transitionScores is the name of its weight, after the field of spago's crf.Model.
const transitionScores = CRFModule + ".TransitionScores"

// Tagger is a token classifier of any architecture with a conditional random field over its logits.
type Tagger struct {
	TokenClassifier `hf:""`
	CRF             *nn.CRF `hf:"crf"`
}

// Class returns the class name of the token classifier.
func (t *Tagger) Class() string {
	if c, ok := t.TokenClassifier.(nn.Classed); ok {
		return c.Class()
	}
	return ""
}

// String returns the module tree in the style of PyTorch.
func (t *Tagger) String() string { return nn.Tree(t, nil) }

// NewTagger returns the classifier with a conditional random field over the given number of labels, whose transition
// scores are 0.
func NewTagger(c TokenClassifier, labels int) *Tagger {
	t := &Tagger{c, nn.NewCRF(labels)}
	w := t.CRF.TransitionScores
	if err := w.SetValues(make([]float32, w.Len())); err != nil {
		panic(err) // the lengths are equal
	}
	return t
}

// OpenTagger is [OpenTokenClassifier] for a model with a conditional random field. Transition scores that the
// checkpoint lacks, or has for another number of labels, are 0, so that the tags of tokens are independent at first.
func OpenTagger(src *checkpoint.Source, labels int, seed uint64) (*Tagger, checkpoint.Report, error) {
	m, report, err := OpenTokenClassifier(src, labels, seed)
	if err != nil {
		return nil, report, err
	}
	t := NewTagger(m, labels)
	w := t.CRF.TransitionScores
	if !HasCRF(src, labels) {
		return t, report, nil
	}
	stored, _ := src.Tensor(transitionScores)
	if err := w.SetStored(string(stored.DType), stored.Data); err != nil {
		return nil, report, fmt.Errorf("models: %s: %w", transitionScores, err)
	}
	n := 0
	for _, v := range w.Float32() {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			n++
		}
	}
	if n > 0 {
		report.NonFinite = append(report.NonFinite, checkpoint.NonFinite{Name: transitionScores, Count: n})
	}
	report.Loaded++
	report.Skipped = slices.DeleteFunc(report.Skipped, IsCRF)
	return t, report, nil
}

// HasCRF reports whether a checkpoint has the transition scores of a conditional random field over the given number of
// labels.
func HasCRF(src *checkpoint.Source, labels int) bool {
	t, ok := src.Tensor(transitionScores)
	return ok && slices.Equal(t.Shape, []int{labels + 1, labels + 1})
}

// IsCRF reports whether a weight, named by its path in a model, belongs to the conditional random field of a [Tagger].
func IsCRF(weight string) bool { return strings.HasPrefix(weight, CRFModule+".") }

// crfHead describes the conditional random field as a part of the head that classifies tokens.
var crfHead = arch.Head{Kind: arch.Token, Parts: []string{CRFModule}}
