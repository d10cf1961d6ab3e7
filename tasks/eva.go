package tasks

import (
	"context"
	"errors"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// initEVA gives a new adapter with the starting values eva those of the first training batches (see
// [lora.Set.InitEVA]). A resumed run computes them again, with the same bits.
func (s *Session) initEVA(ctx context.Context, p *Plan, m *Subject, task train.Task) error {
	if s.Set == nil || s.Run.Adapter != "" || s.Set.Config().InitLoraWeights != lora.InitEVA {
		return nil
	}
	set := task.Set(batch.Train)
	if set == nil || set.Len() == 0 {
		return base.Input(errors.New("`init_lora_weights eva` needs training rows, and there are none"))
	}
	s.Log.Info().Msg("the starting values of the adapter are computed from the first batches (init_lora_weights eva)")
	c := s.Set.Config().EVAConfig()
	n, at := train.FirstEpoch(ctx, set, s.Config)
	tape := op.NewEvalTape(s.Pool)
	err := s.Set.InitEVA(n, func(i int) (lora.EVABatch, error) {
		if err := ctx.Err(); err != nil {
			return lora.EVABatch{}, context.Cause(ctx)
		}
		b, err := at(i)
		if err != nil {
			return lora.EVABatch{}, err
		}
		e := lora.EVABatch{Tokens: len(b.IDs), Forward: func(watch func(*op.Weight, mat.Tensor)) error {
			defer tape.Reset()
			_, _, err := task.Loss(&nn.Pass{Tape: tape, Watch: watch}, b)
			return err
		}}
		if p.TokenLabels != nil && c.UseLabelMask {
			e.Rows = rowsWithout(p.TokenLabels(b), int32(c.LabelMaskValue))
		}
		return e, nil
	})
	if err = errors.Join(err, tape.Close()); err != nil {
		if ctx.Err() == nil {
			err = base.Settings(err)
		}
		return err
	}
	if s.Run.OnModel != nil {
		s.Run.OnModel(m.Net.String(), s.Set.Tree(m.Net))
	}
	s.Log.Info().Msg(s.Set.Summary(m.Net))
	return nil
}

// rowsWithout returns the places of labels other than mask.
func rowsWithout(labels []int32, mask int32) []int {
	rows := make([]int, 0, len(labels))
	for i, l := range labels {
		if l != mask {
			rows = append(rows, i)
		}
	}
	return rows
}

// NextLabels returns the label of each token of a batch whose labels are those of the next token, as language models
// have them. The label of the first token of a sequence is not known: it counts as ignored if that of the second one
// is.
func NextLabels(b *batch.Batch) []int32 {
	labels := make([]int32, len(b.Labels))
	for i := range b.Seqs.Len() {
		lo, hi := b.Seqs.Starts[i], b.Seqs.Starts[i+1]
		if lo == hi {
			continue
		}
		copy(labels[lo+1:hi], b.Labels[lo:hi-1])
		labels[lo] = batch.Ignore
		if b.Labels[lo] != batch.Ignore {
			labels[lo] = b.IDs[lo]
		}
	}
	return labels
}
