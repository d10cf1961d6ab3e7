package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Modules are modules or weights whose paths differ in the numbers of their blocks only.
type Modules struct {
	Pattern string `json:"pattern"` // with the numbers of the blocks: encoder.layer.{0-5}.attention.self.query
	Count   int    `json:"count"`
}

// AdaptedModules are layers with low-rank pairs of the same shape.
type AdaptedModules struct {
	Modules
	Table bool    `json:"embedding"` // In is the number of rows of the table, Out their length
	In    int     `json:"in"`
	Out   int     `json:"out"`
	R     int     `json:"r"`
	Alpha float64 `json:"lora_alpha"`
}

// TrainedRows is a table of which some rows train.
type TrainedRows struct {
	Module string `json:"module"`
	Rows   int    `json:"rows"`
	Cols   int    `json:"columns"`
}

// describe fills in what trains.
func (b *begun) describe(f *Forecast) error {
	f.Modules, f.Rows, f.Saved, f.Biases = []AdaptedModules{}, []TrainedRows{}, []Modules{}, []Modules{}
	if b.Set == nil {
		n := nn.Count(b.subject.Net)
		f.Kind, f.Trainable, f.All, f.Percent = "model", int64(n), int64(n), 100
		return nil
	}
	trainable, all := b.Set.Counts(b.subject.Net)
	f.Kind, f.Trainable, f.All = "adapter", int64(trainable), int64(all)
	f.Percent = 100 * float64(trainable) / float64(all)
	layers, err := b.Set.Layers()
	if err != nil {
		return fmt.Errorf("tasks: %w", err)
	}
	kind := func(l lora.AdaptedLayer) lora.AdaptedLayer { l.Path = ""; return l }
	for _, g := range group(layers, func(l lora.AdaptedLayer) string { return l.Path }, kind) {
		l := g.kind
		f.Modules = append(f.Modules, AdaptedModules{g.Modules, l.Table, l.In, l.Out, l.Rank, l.Alpha})
	}
	for _, r := range b.Set.TrainedRows() {
		f.Rows = append(f.Rows, TrainedRows{r.Path, r.Rows, r.Cols})
	}
	f.Saved = append(f.Saved, patterns(b.Set.Saved())...)
	f.Biases = append(f.Biases, patterns(b.Set.TrainedBiases())...)
	return nil
}

// patterns groups paths.
func patterns(paths []string) []Modules {
	var list []Modules
	path := func(p string) string { return p }
	for _, g := range group(paths, path, func(string) struct{} { return struct{}{} }) {
		list = append(list, g.Modules)
	}
	return list
}

// grouped are elements of one kind whose paths differ in one number only.
type grouped[K comparable] struct {
	Modules
	kind K
}

// group groups elements of the same kind whose paths are equal but for the first number, in the order of the first of
// each group.
func group[T any, K comparable](list []T, path func(T) string, kind func(T) K) []grouped[K] {
	type key struct {
		before, after string
		kind          K
	}
	var order []key
	numbers := map[key][]int{}
	for _, x := range list {
		before, number, after := cutNumber(path(x))
		k := key{before, after, kind(x)}
		if numbers[k] == nil {
			order = append(order, k)
		}
		numbers[k] = append(numbers[k], number)
	}
	var groups []grouped[K]
	for _, k := range order {
		g := grouped[K]{Modules{k.before, len(numbers[k])}, k.kind}
		switch n := numbers[k]; {
		case k.after == "" && n[0] < 0: // no number
		case len(n) == 1:
			g.Pattern += strconv.Itoa(n[0]) + k.after
		default:
			g.Pattern += "{" + ranges(n) + "}" + k.after
		}
		groups = append(groups, g)
	}
	return groups
}

// cutNumber cuts a path at its first part that is a number: before it, with the dot, and after it. Without one, number
// is -1 and all of the path is before it.
func cutNumber(path string) (before string, number int, after string) {
	parts := strings.Split(path, ".")
	for i, part := range parts {
		if n, err := strconv.Atoi(part); err == nil && n >= 0 {
			before, after = strings.Join(parts[:i], "."), strings.Join(parts[i+1:], ".")
			if i > 0 {
				before += "."
			}
			if i+1 < len(parts) {
				after = "." + after
			}
			return before, n, after
		}
	}
	return path, -1, ""
}

// ranges prints numbers as 0-3,5.
func ranges(numbers []int) string {
	n := slices.Sorted(slices.Values(numbers))
	var parts []string
	for i := 0; i < len(n); {
		k := i
		for k+1 < len(n) && n[k+1] <= n[k]+1 {
			k++
		}
		text := strconv.Itoa(n[i])
		if n[k] > n[i] {
			text += "-" + strconv.Itoa(n[k])
		}
		parts = append(parts, text)
		i = k + 1
	}
	return strings.Join(parts, ",")
}

// mappedAtOnce is how many bytes of a mapped file the system makes present when one of them is read: 16 pages on Linux.
const mappedAtOnce = 64 << 10

// weightBytes returns the number of bytes of the weights that the run reads: of those that are mapped from files, of
// which it returns the memory to the system, and of those that the process holds. Of a table of words that is mapped
// only the rows of the data count. A mapped weight that the adapter has a copy of is not read.
func (b *begun) weightBytes(ctx context.Context) (mapped, held int64, err error) {
	isMapped := b.subject.release()
	words, used, err := b.usedWords(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, w := range nn.Weights(b.subject.Net) {
		n := int64(len(w.Weight.Stored()))
		if b.Set != nil {
			if own := b.Set.Replacement(w.Weight); own != nil && own.Param == nil && own.Rows != w.Weight.Rows {
				held += int64(len(own.Stored())) // a table with more tokens
			}
		}
		switch {
		case w.Weight.Param != nil:
			held += 4 * int64(w.Weight.Len())
		case !isMapped[w.Weight]:
			held += n
		case b.replaced(w.Weight):
		case w.Weight == words:
			mapped += min(n, used)
		default:
			mapped += n
		}
	}
	return mapped, held, nil
}

// replaced reports whether the run reads a copy of the adapter in place of a weight.
func (b *begun) replaced(w *op.Weight) bool {
	if b.Set == nil {
		return false
	}
	own := b.Set.Replacement(w)
	return own != nil && own.Param != nil
}

// usedWords returns the table of words, unless a head shares it, and the number of its bytes that the rows of the data
// make present.
func (b *begun) usedWords(ctx context.Context) (words *op.Weight, bytes int64, err error) {
	net, ok := b.subject.Net.(models.TextModel)
	if !ok {
		return nil, 0, nil
	}
	nn.Walk(spago.Model(net), func(_ string, module any) {
		if e, ok := module.(*nn.Embedding); ok && words == nil && e.Weight.Rows == net.Vocabulary() {
			words = e.Weight
		}
	})
	for _, h := range nn.TiedHeads(net) {
		if h.Linear.Weight == words {
			words = nil
		}
	}
	if words == nil {
		return nil, 0, nil
	}
	row := len(words.Stored()) / max(words.Rows, 1)
	present := make([]bool, len(words.Stored())/mappedAtOnce+1)
	for _, s := range []batch.Split{batch.Train, batch.Eval, batch.Test} {
		set := b.task.Set(s)
		if set == nil {
			continue
		}
		err := EachBatch(ctx, set, 1<<18, func(_ []int, x *batch.Batch) error {
			ids := x.IDs
			if x.Target != nil {
				ids = slices.Concat(ids, x.Target.IDs)
			}
			for _, id := range ids {
				from := int(id) * row
				for at := from / mappedAtOnce; at <= (from+row-1)/mappedAtOnce && at < len(present); at++ {
					present[at] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	for _, yes := range present {
		if yes {
			bytes += mappedAtOnce
		}
	}
	return words, bytes, nil
}

// sizedBatches is how many batches of an evaluation have their memory computed, the largest first.
const sizedBatches = 4

// errSized ends a loop over batches.
var errSized = errors.New("enough batches")

// evaluationBytes computes the memory of the activations of an evaluation from its shapes, by the forward of its
// largest batches. If the loss cannot be computed for them, as that of pairs without scores, it takes batches of as
// many tokens of the training data.
func (b *begun) evaluationBytes(ctx context.Context, s batch.Split) (n int64, err error) {
	set := b.task.Set(s)
	if set == nil || set.Len() == 0 {
		return 0, nil
	}
	tape := op.NewSizingTape(b.Pool.Workers(), false)
	defer func() { err = errors.Join(err, tape.Close()) }()
	size := func(set batch.Set) error {
		done := 0
		return EachBatch(ctx, set, EvalTokens, func(_ []int, x *batch.Batch) error {
			if done == sizedBatches {
				return errSized
			}
			done++
			defer tape.Reset()
			_, _, err := b.task.Loss(&nn.Pass{Tape: tape, Adapter: b.AdapterSet()}, x)
			return err
		})
	}
	if err = size(set); err != nil && !errors.Is(err, errSized) {
		err = size(b.task.Set(batch.Train))
	}
	if errors.Is(err, errSized) {
		err = nil
	}
	return int64(tape.Footprint()), err
}
