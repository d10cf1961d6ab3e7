package kernel

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

var workerCounts = []int{1, 2, 3, 7}

func TestPoolRunsEveryTaskOnce(t *testing.T) {
	for _, workers := range workerCounts {
		for _, tasks := range []int{0, 1, 2, workers, workers + 1, 100} {
			t.Run(fmt.Sprintf("%d workers, %d tasks", workers, tasks), func(t *testing.T) {
				p := NewPool(workers)
				defer p.Close()
				for round := range 50 {
					ran := make([]atomic.Int32, tasks)
					inside := make([]atomic.Int32, workers)
					p.For(tasks, func(task, worker int) {
						if inside[worker].Add(1) != 1 {
							t.Errorf("round %d: two tasks at once on worker %d", round, worker)
						}
						ran[task].Add(1)
						inside[worker].Add(-1)
					})
					for task := range ran {
						if n := ran[task].Load(); n != 1 {
							t.Fatalf("round %d: task %d ran %d times, want once", round, task, n)
						}
					}
				}
			})
		}
	}
}

func TestNilPool(t *testing.T) {
	var p *Pool
	sum := 0
	p.For(4, func(task, worker int) { sum += task + 10*worker })
	if sum != 6 || p.Workers() != 1 {
		t.Errorf("sum of tasks %d on %d workers, want 6 on 1", sum, p.Workers())
	}
	p.Close()
}

func TestPoolNestedAndConcurrentCalls(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var total atomic.Int64
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 20 {
				p.For(5, func(int, int) {
					p.For(7, func(int, int) { total.Add(1) })
				})
			}
		})
	}
	callers.Wait()
	if want := int64(8 * 20 * 5 * 7); total.Load() != want {
		t.Errorf("%d inner tasks ran, want %d", total.Load(), want)
	}
}

func TestPoolRaisesPanicOnCaller(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	for bad := range 10 {
		func() {
			defer func() {
				if r := recover(); r != "task failed" {
					t.Errorf("bad task %d: recovered %v, want the task's own value", bad, r)
				}
			}()
			p.For(10, func(task, _ int) {
				if task == bad {
					panic("task failed")
				}
			})
		}()
		var ran atomic.Int32
		p.For(10, func(int, int) { ran.Add(1) })
		if ran.Load() != 10 {
			t.Fatalf("after a panic %d tasks ran, want 10", ran.Load())
		}
	}
}

func TestPoolAfterClose(t *testing.T) {
	p := NewPool(2)
	p.Close()
	p.Close()
	ran := 0
	p.For(3, func(_, worker int) { ran += 1 + worker })
	if ran != 3 {
		t.Errorf("%d tasks ran on the caller, want 3", ran)
	}
}

// TestSkippingPool: nothing is computed, but sizes are checked.
func TestSkippingPool(t *testing.T) {
	p := NewSkippingPool(3)
	if p.Workers() != 3 || !p.Skips() || (*Pool)(nil).Skips() || NewSkippingPool(0).Workers() != 1 {
		t.Errorf("%d workers, skips %v", p.Workers(), p.Skips())
	}
	p.For(5, func(int, int) { t.Error("a task ran") })
	a := []float32{1, 2, 3, 4}
	dst := []float32{7, 7, 7, 7}
	terms := []Term{{A: Mat{F32: a, Stride: 2}, B: Mat{F32: a, Stride: 2}, K: 2}}
	p.MatMul(dst, 2, 2, 2, terms, Epilogue{})
	p.MatVec(dst, 2, a, 2, 2, Mat{F32: a, Stride: 2}, 2, 2, nil)
	for _, v := range dst {
		if v != 7 {
			t.Errorf("the results are %v", dst)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a result that is too short was accepted")
		}
	}()
	p.MatMul(dst[:3], 2, 2, 2, terms, Epilogue{})
}
