package imagecls

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks/classification"
	"github.com/spalora/spalora/vision"
)

// The streams of random numbers of an example, see [op.Draws].
const (
	augmentStream = 1<<31 + iota
	mixStream
)

// Set is a list of images with their targets. A batch reads and decodes its images; the set keeps none of them.
type Set struct {
	images
	pixels  Pixels
	targets classification.Targets
	outputs int // classes or values of an image
	workers int // images that are decoded at the same time

	augment vision.Augmentation
	mixup   float64 // parameter of the distribution of shares; 0: images are not mixed
	sizes   []int32 // patches of each image; nil: all have the same number
	same    int     // that number
}

// newSet returns a set of images. It returns an error that names an image that has no whole number of patches.
func newSet(m images, p Pixels, workers int) (*Set, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	s := &Set{images: m, pixels: p, workers: max(workers, 1)}
	for i := range m.n {
		grid, _, err := p.grid(m.size(i))
		if err != nil {
			return nil, base.Input(fmt.Errorf("%s: %w", m.name(i), err))
		}
		n := grid[0] * grid[1]
		if i == 0 {
			s.same = n
		}
		if n != s.same && s.sizes == nil {
			s.sizes = slices.Repeat([]int32{int32(s.same)}, m.n)
		}
		if s.sizes != nil {
			s.sizes[i] = int32(n)
		}
	}
	return s, nil
}

// Len returns the number of images.
func (s *Set) Len() int { return s.n }

// Tokens returns the number of patches of an image.
func (s *Set) Tokens(i int) int {
	if s.sizes == nil {
		return s.same
	}
	return int(s.sizes[i])
}

// Bytes returns the memory of the targets and sizes.
func (s *Set) Bytes() int64 {
	return 4 * int64(len(s.sizes)+len(s.targets.Labels)+len(s.targets.Values))
}

// mixed is a second image that is mixed into one, and its share.
type mixed struct {
	other int
	share float32
}

// Batch implements [batch.Set]. What it draws from key is that of the example: how the image is changed and, for
// mixing, which other image of the set with what share.
func (s *Set) Batch(ctx context.Context, examples []int, key op.Key) (*batch.Batch, error) {
	b := &batch.Batch{Seqs: op.Seqs{Starts: make([]int, 1, len(examples)+1), Index: slices.Clone(examples)}}
	train := key != op.Key{}
	mix := make([]mixed, len(examples))
	for i, e := range examples {
		b.Seqs.Starts = append(b.Seqs.Starts, b.Seqs.Starts[i]+s.Tokens(e))
		if train && s.mixup > 0 {
			mix[i] = s.partner(e, key)
		}
	}
	b.Features = make([]float32, b.Seqs.Rows()*s.pixels.columns())
	grids, usual := make([][2]int, len(examples)), true
	for i, e := range examples {
		grid, same, err := s.pixels.grid(s.size(e))
		if err != nil {
			return nil, base.Input(fmt.Errorf("%s: %w", s.name(e), err))
		}
		grids[i], usual = grid, usual && same
	}
	if !usual {
		b.Grids = grids
	}
	err := s.each(ctx, len(examples), func(i int) error {
		columns := s.pixels.columns()
		row := b.Features[b.Seqs.Starts[i]*columns : b.Seqs.Starts[i+1]*columns]
		if err := s.read(row, examples[i], key, train); err != nil || mix[i].share == 0 {
			return err
		}
		other := make([]float32, len(row))
		if err := s.read(other, mix[i].other, key, train); err != nil {
			return err
		}
		blend(row, other, mix[i].share)
		return nil
	})
	if err == nil {
		s.setTargets(b, examples, mix, train)
	}
	return b, err
}

// each calls f with the numbers below n, several at a time, and returns the error of the first number that has one.
func (s *Set) each(ctx context.Context, n int, f func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(s.workers, n) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				errs[i] = f(i)
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// read sets row to the patches of an image.
func (s *Set) read(row []float32, example int, key op.Key, train bool) error {
	m, err := s.load(example)
	if err != nil {
		return base.Input(err)
	}
	if w, h := s.size(example); m.Width != w || m.Height != h {
		return base.Input(fmt.Errorf("%s: the image has %d×%d pixels, but had %d×%d before; do not change files while "+
			"they are in use", s.name(example), m.Width, m.Height, w, h))
	}
	if train && s.augment != (vision.Augmentation{}) {
		m, err = s.pixels.Augment(m, s.augment, op.Draws(key, augmentStream, uint32(example)))
	} else {
		m, err = s.pixels.Prepare(m)
	}
	if err != nil {
		return base.Input(fmt.Errorf("%s: %w", s.name(example), err))
	}
	copy(row, s.pixels.patches(m))
	return nil
}

// partner draws the image to mix into an example, and its share: at most a half, from the beta distribution.
func (s *Set) partner(example int, key op.Key) mixed {
	draw := op.Draws(key, mixStream, uint32(example))
	other := int(draw() * float64(s.n))
	for { // Jöhnk's algorithm (1964)
		x, y := math.Pow(draw(), 1/s.mixup), math.Pow(draw(), 1/s.mixup)
		if sum := x + y; sum > 0 && sum <= 1 {
			return mixed{other, float32(min(x, y) / sum)}
		}
	}
}

// blend replaces x by (1−share)·x + share·y.
func blend(x, y []float32, share float32) {
	for i, v := range y {
		x[i] = float32((1-share)*x[i]) + float32(share*v)
	}
}

// setTargets sets the targets of a batch. Those of mixed images are shares of classes.
func (s *Set) setTargets(b *batch.Batch, examples []int, mix []mixed, train bool) {
	k := s.outputs
	if t := s.targets.Labels; t != nil {
		if !train || s.mixup == 0 {
			for _, e := range examples {
				b.Labels = append(b.Labels, t[e])
			}
			return
		}
		b.Values = make([]float32, len(examples)*k)
		for i, e := range examples {
			b.Values[i*k+int(t[e])] += 1 - mix[i].share
			b.Values[i*k+int(t[mix[i].other])] += mix[i].share
		}
		return
	}
	if t := s.targets.Values; t != nil {
		for i, e := range examples {
			row := slices.Clone(t[e*k : (e+1)*k])
			if o := mix[i].other; mix[i].share > 0 {
				blend(row, t[o*k:(o+1)*k], mix[i].share)
			}
			b.Values = append(b.Values, row...)
		}
	}
}

// checkMixup returns an error if images cannot be mixed.
func (s *Set) checkMixup(p data.Problem) error {
	switch {
	case s.mixup == 0:
		return nil
	case s.sizes != nil:
		return base.Settings(fmt.Errorf("`mixup`: the images have different sizes, so they cannot be mixed; give %s a "+
			"`size` with height and width, or leave it out", vision.ConfigFile))
	case p == data.SingleLabel && slices.Contains(s.targets.Labels, batch.Ignore):
		return base.Settings(fmt.Errorf("`mixup`: some images have no class; remove their rows"))
	}
	return nil
}

var _ batch.Set = (*Set)(nil)
