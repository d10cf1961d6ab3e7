package causallm

import (
	"io"
	"path/filepath"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
)

// trainAll lets all weights train in place of an adapter.
func (r *run) trainAll(s *tasks.Session, m *tasks.Subject) {
	m.Params = nn.Train(r.model)
	if dtype, err := r.dtype(); err == nil { // check has returned the error
		m.SaveBytes = int64(dtype.Bits()/8) * int64(nn.Count(r.model))
	}
	m.Save = func(dir string) error { return r.saveModel(s, m, dir) }
}

// saveModel writes the whole model into a directory, each file atomically.
func (r *run) saveModel(s *tasks.Session, m *tasks.Subject, dir string) error {
	dtype, err := r.dtype()
	if err != nil {
		return err
	}
	var weights []lora.MergedWeight
	for _, w := range nn.Weights(r.model) {
		weights = append(weights, lora.MergedWeight{Name: w.Name, Shape: w.Weight.Shape(), Values: w.Weight.Float32()})
	}
	tensors, err := base.StoreWeights(weights, func(string) safetensors.DType { return dtype }, "save_dtype")
	if err != nil {
		return err
	}
	set := map[string]any{}
	if len(m.Report.Untied) > 0 {
		set["tie_word_embeddings"] = false
	}
	config, err := base.EditConfig(s.Base, r.model, dtype, set)
	if err != nil {
		return err
	}
	model := base.ModelFiles{Base: s.Base, Config: config, Tensors: tensors}
	return model.Write(func(name string, write func(io.Writer) error) error {
		return files.WriteFile(filepath.Join(dir, name), write)
	})
}
