package train

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spalora/spalora/nn/op"
)

// sizes is a set whose examples have the given lengths.
func sizes(n ...int) toySet {
	return toySet{&toy{lengths: n, x: make([]float32, len(n)), y: make([]int32, len(n)), width: 1}, 0, len(n)}
}

func TestEpochHasEveryRowOnce(t *testing.T) {
	lengths := make([]int, 103)
	for i := range lengths {
		lengths[i] = 1 + i*37%23
	}
	set := sizes(lengths...)
	for name, s := range map[string]*sampler{
		"fixed":           {set: set, batchSize: 8},
		"in order":        {set: set, batchSize: 8, inOrder: true},
		"one batch":       {set: set, batchSize: 1000},
		"tokens":          {set: set, tokens: 50},
		"tiny budget":     {set: set, tokens: 1},
		"grouped":         {set: set, batchSize: 2, byLength: true},
		"grouped, tokens": {set: set, tokens: 30, byLength: true},
	} {
		for n := range 3 {
			e := s.epoch(n)
			var rows []int
			for i := range e.ends {
				batch := e.rows(i)
				sum := 0
				for _, row := range batch {
					sum += lengths[row]
				}
				last := i == len(e.ends)-1
				switch {
				case len(batch) == 0:
					t.Errorf("%s: batch %d of epoch %d is empty", name, i, n)
				case s.batchSize > 0 && !last && len(batch) != s.batchSize:
					t.Errorf("%s: batch %d of epoch %d has %d rows", name, i, n, len(batch))
				case s.tokens > 0 && sum > s.tokens && len(batch) > 1:
					t.Errorf("%s: batch %d of epoch %d has %d tokens in %d rows", name, i, n, sum, len(batch))
				case s.tokens > 0 && !last && sum+lengths[e.rows(i + 1)[0]] <= s.tokens:
					t.Errorf("%s: batch %d of epoch %d has room for the next row", name, i, n)
				}
				rows = append(rows, batch...)
			}
			if s.inOrder && !slices.IsSorted(rows) {
				t.Errorf("%s: rows are not in order", name)
			}
			slices.Sort(rows)
			for i, row := range rows {
				if i != row || len(rows) != len(lengths) {
					t.Fatalf("%s: epoch %d has rows %v", name, n, rows)
				}
			}
			if want := (len(e.ends) + s.accumulate) / max(1, s.accumulate); s.accumulate > 0 && s.stepsOf(n) != want {
				t.Errorf("%s: %d steps, want %d", name, s.stepsOf(n), want)
			}
		}
	}
}

// TestShuffleEqualsReference: the order of rows does not change between versions, since a checkpoint of an older
// version depends on it.
func TestShuffleEqualsReference(t *testing.T) {
	for _, c := range loadReference(t).Orders {
		s := &sampler{set: sizes(make([]int, len(c.Rows))...), batchSize: 10, seed: c.Seed}
		if got := s.order(c.Epoch); !slices.Equal(got, c.Rows) {
			t.Errorf("seed %d, epoch %d: %v, want %v", c.Seed, c.Epoch, got, c.Rows)
		}
	}
}

// TestShuffleIsUniform: every row comes to every place equally often. χ² with 81 degrees of freedom is below 140
// except for one seed in 10,000.
func TestShuffleIsUniform(t *testing.T) {
	const n, runs = 10, 20000
	var counts [n][n]float64
	s := &sampler{set: sizes(make([]int, n)...), batchSize: 1, seed: 7}
	for e := range runs {
		for place, row := range s.order(e) {
			counts[place][row]++
		}
	}
	chi, expected := 0.0, float64(runs)/n
	for _, c := range counts {
		for _, x := range c {
			chi += (x - expected) * (x - expected) / expected
		}
	}
	if chi > 140 {
		t.Errorf("χ² is %v", chi)
	}
}

func TestGroupByLength(t *testing.T) {
	lengths := make([]int, 400)
	for i := range lengths {
		lengths[i] = 1 + i*31%97
	}
	s := &sampler{set: sizes(lengths...), batchSize: 2, byLength: true, seed: 3}
	order := s.order(1)
	if lengths[order[0]] != 97 {
		t.Errorf("the first row has length %d, want the longest", lengths[order[0]])
	}
	for start := 0; start < len(order); start += 100 {
		group := order[start+1 : start+100] // the first may have been swapped with the longest
		if !slices.IsSortedFunc(group, func(a, b int) int { return lengths[b] - lengths[a] }) {
			t.Errorf("rows %d to %d are not sorted by length", start, start+100)
		}
	}
}

// TestFeedEntersAnywhere: from any position the feed gives the same batches as from the start.
func TestFeedEntersAnywhere(t *testing.T) {
	for name, s := range map[string]*sampler{
		"fixed":  {set: sizes(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5), batchSize: 2, accumulate: 4, seed: 1},
		"tokens": {set: sizes(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5), tokens: 9, accumulate: 3, seed: 1},
	} {
		const count = 25
		type seen struct {
			rows    []int
			at      position
			ends    bool
			closing bool
			epoch   float64
		}
		take := func(from position, n int) []seen {
			f := s.feed(t.Context(), from)
			defer f.close()
			var all []seen
			for range n {
				b, err := f.receive(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, seen{b.Seqs.Index, b.next, b.ends, b.closing, b.epoch})
			}
			return all
		}
		all := take(position{}, count)
		for i := range count - 1 {
			if got := take(all[i].at, count-1-i); !reflect.DeepEqual(got, all[i+1:]) {
				t.Fatalf("%s: from %v:\n%v, want\n%v", name, all[i].at, got, all[i+1:])
			}
		}
		window := 0
		for i, b := range all {
			window++
			if b.ends != (b.closing || window == s.accumulate) {
				t.Errorf("%s: batch %d: end of a step %v", name, i, b.ends)
			}
			if b.ends {
				window = 0
			}
			if b.closing != (b.epoch == float64(int(b.epoch))) {
				t.Errorf("%s: batch %d closes an epoch: %v, after %v epochs", name, i, b.closing, b.epoch)
			}
		}
	}
}

func TestFeedEndsItsGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 50 {
		s := &sampler{set: sizes(1, 1, 1), batchSize: 1, accumulate: 1}
		f := s.feed(t.Context(), position{})
		for range i % 5 {
			if _, err := f.receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		f.close()
	}
	settle(t, before)
}

// settle fails the test unless the number of goroutines falls to before.
func settle(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestFeedReportsPanic(t *testing.T) {
	set := sizes(1, 1, 1, 1)
	set.t.onBatch = func(_ context.Context, rows []int, _ op.Key) error {
		if rows[0] == 2 {
			panic("no such file")
		}
		return nil
	}
	f := (&sampler{set: set, batchSize: 1, accumulate: 1, inOrder: true}).feed(t.Context(), position{})
	defer f.close()
	for i := range 3 {
		_, err := f.receive(t.Context())
		if (err != nil) != (i == 2) {
			t.Fatalf("batch %d: %v", i, err)
		}
		if want := "making the batch of rows [2]: internal error: panic: no such file"; i == 2 && err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestFeedKeysAndContext: the key of a batch depends on the seed and the epoch only, and closing the feed cancels the
// batch in the making.
func TestFeedKeysAndContext(t *testing.T) {
	set := sizes(1, 1, 1, 1)
	var keys []op.Key
	cancelled := false
	set.t.onBatch = func(ctx context.Context, _ []int, key op.Key) error {
		if keys = append(keys, key); len(keys) == 5 {
			<-ctx.Done()
			cancelled = true
		}
		return ctx.Err()
	}
	f := (&sampler{set: set, batchSize: 2, accumulate: 1, seed: 7}).feed(t.Context(), position{Epoch: 3})
	for range 4 {
		if _, err := f.receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.close()
	want := []op.Key{{Seed: 7, Step: 3}, {Seed: 7, Step: 3}, {Seed: 7, Step: 4}, {Seed: 7, Step: 4}}
	if len(keys) < 4 || !slices.Equal(keys[:4], want) || len(keys) == 5 && !cancelled {
		t.Errorf("keys %v, want %v; cancelled: %t", keys, want, cancelled)
	}
}

func TestTotalStepsWithTokenBudget(t *testing.T) {
	s := &sampler{set: sizes(5, 5, 5, 9, 1, 2, 3), tokens: 10, accumulate: 2, seed: 5}
	for _, epochs := range []float64{0.001, 0.5, 1, 1.5, 2, 3.25} {
		want, whole := 0, int(epochs)
		for e := range whole {
			want += s.stepsOf(e)
		}
		if part := epochs - float64(whole); part > 0 {
			steps := s.stepsOf(whole)
			for k := 1; k <= steps; k++ {
				if float64(k) >= part*float64(steps) {
					want += k
					break
				}
			}
		}
		if got := s.totalSteps(epochs, mostSteps); got != want {
			t.Errorf("%v epochs: %d steps, want %d", epochs, got, want)
		}
	}
	if got := s.totalSteps(1e300, 1000); got != 1000 {
		t.Errorf("got %d steps, which exceed the limit", got)
	}
}

func ExampleSchedule_Factor() {
	for done := range 6 {
		fmt.Print(Linear.Factor(done, 2, 6), " ")
	}
	// Output: 0 0.5 1 0.75 0.5 0.25
}

// TestEpochKey: no epoch of any seed has the key of evaluations, and none that of another epoch.
func TestEpochKey(t *testing.T) {
	known := map[op.Key]bool{{}: true}
	for seed := range uint64(3) {
		for epoch := range 5 {
			k := epochKey(seed, epoch)
			if known[k] {
				t.Errorf("seed %d, epoch %d: %+v is zero or that of another epoch", seed, epoch, k)
			}
			known[k] = true
		}
	}
	m, cfg, keys := newToy(9, 2), Defaults(), map[op.Key]int{}
	var mu sync.Mutex // batches are made ahead of the steps, beside evaluations
	m.onBatch = func(_ context.Context, _ []int, key op.Key) error {
		mu.Lock()
		defer mu.Unlock()
		keys[key]++
		return nil
	}
	cfg.Seed, cfg.BatchSize, cfg.NumTrainEpochs = 0, 4, 2
	cfg.OutputDir, cfg.Save = t.TempDir(), func(string) error { return nil }
	m.train(t, cfg)
	if keys[epochKey(0, 0)] != 2 || keys[op.Key{Step: 1}] != 2 { // of two batches each
		t.Errorf("batches were made with the keys %v", keys)
	}
}
