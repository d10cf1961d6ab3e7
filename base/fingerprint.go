package base

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// hashed begins the fingerprints of all values. Those of earlier versions, of sampled values, have no beginning.
const hashed = "values:"

// sampled is how many values of each weight the fingerprints of earlier versions look at.
const sampled = 1024

// Fingerprint identifies the base model: a hash of the names, the shapes and all values of the weights below the head.
// Weights that the checkpoint lacks do not count. How the checkpoint stores them (F32, F16 or BF16, shards, prefixes)
// does not matter as long as the values are equal; a quantised model is another base. The first call reads all weights,
// shared by the workers of the pool; later ones return the same text. The first call must come before a weight changes.
func (m *Model[M]) Fingerprint(pool *op.Pool) string {
	if m.whole != nil {
		return m.whole.Fingerprint(pool)
	}
	m.identify.Do(func() {
		h, values := sha256.New(), op.NewHasher(pool)
		for w := range m.below() {
			fmt.Fprintf(h, "%s %v %x\n", w.Name, w.Weight.Shape(), values.Sum(w.Weight))
			m.Base.Source.Release(w.Weight.Stored()) // hashing has touched every page
		}
		m.fingerprint = hashed + hex.EncodeToString(h.Sum(nil))
	})
	return m.fingerprint
}

// SampledFingerprint returns the fingerprint that earlier versions stored in adapters and checkpoints: it looks at
// the first values of each weight only.
func (m *Model[M]) SampledFingerprint() string {
	h := sha256.New()
	for w := range m.below() {
		fmt.Fprintf(h, "%s %v\n", w.Name, w.Weight.Shape())
		h.Write(safetensors.Bytes(w.Weight.First(sampled)))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// is reports whether a fingerprint of this or an earlier version is the model's.
func (m *Model[M]) is(fingerprint string, pool *op.Pool) bool {
	if strings.HasPrefix(fingerprint, hashed) {
		return fingerprint == m.Fingerprint(pool)
	}
	return fingerprint == m.SampledFingerprint()
}

// below returns the weights of the checkpoint below the head.
func (m *Model[M]) below() iter.Seq[nn.NamedWeight] {
	return func(yield func(nn.NamedWeight) bool) {
		for _, w := range nn.Weights(m.Net) {
			if !models.InHead(w.Name) && !slices.Contains(m.Report.Fresh, w.Name) && !yield(w) {
				return
			}
		}
	}
}
