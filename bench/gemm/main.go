// Command gemm measures matrix products of internal/kernel and prints the figures as JSON.
//
//	go run ./bench/gemm -threads 2
//
// With -serve it reads one [request] a line from standard input and answers each with one line;
// reference/openblas_bench.py uses this to alternate with another library in short turns.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/spalora/spalora/internal/kernel"
)

// request asks for a number of runs of one product.
type request struct {
	Op      string `json:"op"` // a key of operands
	M       int    `json:"m"`
	N       int    `json:"n"`
	K       int    `json:"k"`
	Type    string `json:"type"` // of B: F32 (also if empty), F16, BF16
	Repeats int    `json:"repeats"`
}

// answer holds the time of each run: elapsed time, and processor time of all cores.
type answer struct {
	Seconds    []float64 `json:"seconds"`
	CPUSeconds []float64 `json:"cpu_seconds"`
}

// figure is one line of the report.
type figure struct {
	request
	Median float64 `json:"gflops_median"`
	Best   float64 `json:"gflops_best"`
}

// report is the output of the command.
type report struct {
	GOARCH  string   `json:"goarch"`
	Threads int      `json:"threads"`
	Ceiling float64  `json:"fma_ceiling_gflops_per_core"`
	Figures []figure `json:"figures"`
}

func main() {
	threads := flag.Int("threads", 1, "number of workers")
	serve := flag.Bool("serve", false, "answer requests from standard input")
	repeats := flag.Int("repeats", 15, "runs of each product for the report")
	only := flag.String("op", "", "report products of this kind only")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)
	pool := kernel.NewPool(*threads)
	defer pool.Close()
	arena := new(kernel.Arena)
	var err error
	if *serve {
		err = answerAll(os.Stdin, os.Stdout, pool, arena)
	} else {
		err = reportAll(os.Stdout, pool, arena, *repeats, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gemm:", err)
		os.Exit(1)
	}
}

func answerAll(r io.Reader, w io.Writer, pool *kernel.Pool, arena *kernel.Arena) error {
	out := json.NewEncoder(w)
	var last request
	var run func()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var q request
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return fmt.Errorf("request %q: %w", lines.Text(), err)
		}
		if run == nil || q != last {
			var err error
			if run, err = prepare(pool, arena, q); err != nil {
				return err
			}
			run() // touches all memory once
			last = q
		}
		if err := out.Encode(measure(run, q.Repeats)); err != nil {
			return err
		}
	}
	return nil
}

func reportAll(w io.Writer, pool *kernel.Pool, arena *kernel.Arena, repeats int, only string) error {
	all := report{GOARCH: runtime.GOARCH, Threads: pool.Workers(), Ceiling: ceiling()}
	for _, q := range products() {
		if only != "" && q.Op != only {
			continue
		}
		q.Repeats = repeats
		run, err := prepare(pool, arena, q)
		if err != nil {
			return err
		}
		run()
		seconds := measure(run, repeats).Seconds
		slices.Sort(seconds)
		flops := 2e-9 * float64(q.M) * float64(q.N) * float64(q.K)
		all.Figures = append(all.Figures, figure{q, flops / seconds[len(seconds)/2], flops / seconds[0]})
	}
	out := json.NewEncoder(w)
	out.SetIndent("", " ")
	return out.Encode(all)
}

// measure times single runs and repeats the measurement. Short products are run in batches, and the time is divided by
// their number.
func measure(run func(), repeats int) answer {
	start := time.Now()
	run()
	batch := int(200*time.Microsecond/(time.Since(start)+1)) + 1
	var a answer
	for range repeats {
		start, cpuStart := time.Now(), processTime()
		for range batch {
			run()
		}
		a.Seconds = append(a.Seconds, time.Since(start).Seconds()/float64(batch))
		a.CPUSeconds = append(a.CPUSeconds, (processTime()-cpuStart).Seconds()/float64(batch))
	}
	return a
}

// operands says for each kind of product whether A and B are stored transposed, and the row stride if rows are not
// dense: attention reads heads of 64 columns out of rows of 768.
var operands = map[string]struct {
	transA, transB             bool
	strideA, strideB, strideTo int
	alone                      bool // computed on the caller, as from inside a task of the pool
}{
	"X·Wᵀ":  {transB: true},
	"Y·W":   {},
	"Vᵀ·X":  {transA: true},
	"Q·Kᵀ":  {transB: true, strideA: 768, strideB: 768, alone: true},
	"dO·Vᵀ": {transB: true, strideA: 768, strideB: 768, alone: true},
	"P·V":   {strideB: 768, strideTo: 768, alone: true},
	"Pᵀ·dO": {transA: true, strideB: 768, strideTo: 768, alone: true},
	"dS·K":  {strideB: 768, strideTo: 768, alone: true},
	"dSᵀ·Q": {transA: true, strideB: 768, strideTo: 768, alone: true},
}

// prepare makes operands and returns a function that runs the product once.
func prepare(pool *kernel.Pool, arena *kernel.Arena, q request) (func(), error) {
	o, ok := operands[q.Op]
	if !ok {
		return nil, fmt.Errorf("unknown product %q", q.Op)
	}
	kind := map[string]kernel.Type{"": kernel.F32, "F32": kernel.F32, "F16": kernel.F16, "BF16": kernel.BF16}[q.Type]
	if o.alone {
		pool = nil
	}
	arena.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	stride := max(q.N, o.strideTo)
	dst := arena.Alloc(q.M * stride)
	terms := []kernel.Term{{
		A: operand(arena, rng, q.M, q.K, o.strideA, kernel.F32, o.transA),
		B: operand(arena, rng, q.K, q.N, o.strideB, kind, o.transB),
		K: q.K,
	}}
	return func() { pool.MatMul(dst, stride, q.M, q.N, terms, kernel.Epilogue{}) }, nil
}

func operand(arena *kernel.Arena, rng *rand.Rand, rows, cols, stride int, kind kernel.Type, trans bool) kernel.Mat {
	if trans {
		rows, cols = cols, rows
	}
	m := kernel.Mat{Type: kind, Stride: max(cols, stride), Trans: trans}
	if kind == kernel.F32 {
		m.F32 = arena.Alloc(rows * m.Stride)
		for i := range m.F32 {
			m.F32[i] = rng.Float32() - 0.5
		}
		return m
	}
	m.U16 = make([]uint16, rows*m.Stride)
	for i := range m.U16 {
		m.U16[i] = uint16(0x3000 + rng.IntN(0x0800)) // between 1/8 and 1/2 as F16, small normal numbers as BF16
	}
	return m
}

// products returns the shapes of the report: those of BERT-base, then of low-rank pairs, of weight gradients and of
// attention heads.
func products() []request {
	var list []request
	add := func(op string, m, n, k int, kind string) {
		list = append(list, request{Op: op, M: m, N: n, K: k, Type: kind})
	}
	for _, m := range []int{256, 512, 2048} {
		for _, w := range [][2]int{{768, 768}, {3072, 768}, {768, 3072}} { // out×in
			add("X·Wᵀ", m, w[0], w[1], "F32")
			add("Y·W", m, w[1], w[0], "F32")
		}
	}
	for _, kind := range []string{"F16", "BF16"} {
		add("X·Wᵀ", 512, 768, 768, kind)
		add("Y·W", 512, 768, 768, kind)
	}
	for _, r := range []int{8, 16, 64} {
		add("X·Wᵀ", 2048, r, 768, "") // X·Aᵀ
		add("Y·W", 2048, r, 768, "")  // dY·B
		add("Y·W", 2048, 768, r, "")  // V·A
		add("X·Wᵀ", 2048, 768, r, "") // U·Bᵀ
		add("Vᵀ·X", r, 768, 2048, "") // dA
		add("Vᵀ·X", 768, r, 2048, "") // dB = dYᵀ·U
	}
	add("Vᵀ·X", 768, 768, 2048, "") // dW = dYᵀ·X
	for _, t := range []int{8, 32, 128, 512} {
		for _, op := range []string{"Q·Kᵀ", "dO·Vᵀ"} {
			add(op, t, t, 64, "")
		}
		for _, op := range []string{"P·V", "Pᵀ·dO", "dS·K", "dSᵀ·Q"} {
			add(op, t, 64, t, "")
		}
	}
	return list
}
