// Package clitest runs commands inside a test process and reads their output.
package clitest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
)

// Testdata is the repository's directory of fixtures.
var Testdata = testdata()

// testdata returns the directory of fixtures beside the go.mod above the working directory, which is that of the
// package under test.
func testdata() string {
	for dir := ".."; len(dir) < 64; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "testdata")
		}
	}
	return "testdata"
}

// Result is the outcome of a command.
type Result struct {
	Code     int
	Out, Err string
}

// Command builds a command.
type Command = func(cli.Env) *cobra.Command

// Run runs a command without standard input.
func Run(t testing.TB, build Command, args ...string) Result {
	t.Helper()
	return RunWith(t, t.Context(), "", build, args...)
}

// RunWith runs a command with a context and a text on standard input.
func RunWith(t testing.TB, ctx context.Context, in string, build Command, args ...string) Result {
	t.Helper()
	var out, err Buffer
	code := cli.Run(ctx, cli.Env{In: strings.NewReader(in), Out: &out, Err: &err}, build, args)
	return Result{code, out.String(), err.String()}
}

// OK runs a command and ends the test if it fails.
func OK(t testing.TB, build Command, args ...string) Result {
	t.Helper()
	r := Run(t, build, args...)
	if r.Code != cli.Done {
		t.Fatalf("%v\nexit code %d\n%s", args, r.Code, r.Err)
	}
	return r
}

// Refused checks that a result is the wanted exit code with one line on standard error that holds all the texts.
func (r Result) Refused(t testing.TB, code int, texts ...string) {
	t.Helper()
	if r.Code != code {
		t.Errorf("exit code %d, want %d\n%s", r.Code, code, r.Err)
	}
	if n := strings.Count(r.Err, "\n"); n != 1 || !strings.HasSuffix(r.Err, "\n") {
		t.Errorf("%d lines on standard error, want 1:\n%s", n, r.Err)
	}
	for _, want := range texts {
		if !strings.Contains(r.Err, want) {
			t.Errorf("the message lacks %q:\n%s", want, r.Err)
		}
	}
	if r.Out != "" {
		t.Errorf("standard output has %q", r.Out)
	}
}

// Buffer is a buffer for several goroutines that can call a function once a text has been written.
type Buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	text string
	call func()
}

// When makes f be called at the first write after which the buffer holds text.
func (b *Buffer) When(text string, f func()) { b.text, b.call = text, f }

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	if b.call != nil && strings.Contains(b.b.String(), b.text) {
		b.call()
		b.call = nil
	}
	return n, err
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Env is an environment that writes to the buffers.
func Env(in io.Reader, out, err *Buffer) cli.Env { return cli.Env{In: in, Out: out, Err: err} }

// Tree lists everything below dir with the hashes of the files.
func Tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.Type().IsRegular() {
			fmt.Fprintf(&b, "%s %v\n", path, e.Type())
			return nil
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Write makes a file with its directories and returns its path.
func Write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Put returns the function that writes files to a directory.
func Put(dir string) func(name string, write func(io.Writer) error) error {
	return func(name string, write func(io.Writer) error) error {
		return files.WriteFile(filepath.Join(dir, name), write)
	}
}

// CopyDir copies the files of a directory into a new one, and returns that.
func CopyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// Bytes returns the directory of a small ByT5 with its tokenizer, whose tokens are bytes.
func Bytes(t testing.TB) string {
	t.Helper()
	dir := CopyDir(t, filepath.Join(Testdata, "seq2seq", "byt5", "base"))
	Write(t, filepath.Join(dir, "tokenizer_config.json"), `{"tokenizer_class": "ByT5Tokenizer"}`)
	return dir
}

// Read returns the content of a file.
func Read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Lines decodes JSON Lines.
func Lines[T any](t testing.TB, text string) []T {
	t.Helper()
	var list []T
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, v)
	}
	return list
}

// Case holds the settings of a fixture of reference/bert_fixtures.py or reference/minilm_fixtures.py.
type Case struct {
	Dir          string
	NumLabels    int     `json:"num_labels"`
	Problem      string  `json:"problem_type"`
	BatchSize    int     `json:"batch_size"`
	Accumulation int     `json:"gradient_accumulation_steps"`
	MaxSteps     int     `json:"max_steps"`
	LearningRate float64 `json:"learning_rate"`
	WeightDecay  float64 `json:"weight_decay"`
	Schedule     string  `json:"lr_scheduler_type"`
	WarmupSteps  int     `json:"warmup_steps"`
	MaxGradNorm  float64 `json:"max_grad_norm"`
	Smoothing    float64 `json:"label_smoothing_factor"`
	Log          []Step  `json:"log"`
}

// Step is a line of metrics.jsonl, or of a fixture's log.
type Step struct {
	Step         int     `json:"step"`
	Epoch        float64 `json:"epoch"`
	Loss         float64 `json:"loss"`
	GradNorm     float64 `json:"grad_norm"`
	LearningRate float64 `json:"learning_rate"`
}

// Cases returns the fixtures of small BERT models that have texts.
func Cases(t testing.TB) []Case {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(Testdata, "bert", "*", "train.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var list []Case
	for _, path := range paths {
		list = append(list, ReadCase(t, filepath.Dir(path)))
	}
	return list
}

// ReadCase reads the fixture in dir.
func ReadCase(t testing.TB, dir string) Case {
	t.Helper()
	c := Case{Dir: dir}
	if err := json.Unmarshal([]byte(Read(t, filepath.Join(dir, "case.json"))), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Path returns the path of a part of the fixture.
func (c Case) Path(name string) string { return filepath.Join(c.Dir, name) }

// TrainArgs returns the flags that train a classifier as the fixture was trained, from its first adapter.
func (c Case) TrainArgs() []string {
	return append(c.LoopArgs("seq-cls"), "--train-file="+c.Path("train.jsonl"), "--adapter="+c.Path("adapter_init"),
		fmt.Sprintf("--label-smoothing-factor=%v", c.Smoothing), "--problem-type="+c.Problem)
}

// LoopArgs returns the flags of the training loop as the fixture was trained, for the command of a task.
func (c Case) LoopArgs(task string) []string {
	arg := func(name string, v any) string { return fmt.Sprintf("--%s=%v", name, v) }
	return []string{
		task, "--quiet", "--no-shuffle", "--dropout=0", arg("batch-size", c.BatchSize),
		arg("gradient-accumulation-steps", c.Accumulation),
		arg("max-steps", c.MaxSteps), arg("learning-rate", c.LearningRate), arg("weight-decay", c.WeightDecay),
		arg("lr-scheduler-type", c.Schedule), arg("warmup-steps", c.WarmupSteps), arg("max-grad-norm", c.MaxGradNorm),
	}
}

// Tensors returns copies of the tensors of a file, and its metadata.
func Tensors(t testing.TB, path string) (list []safetensors.Tensor, metadata map[string]string) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		x.Data = bytes.Clone(x.Data)
		list = append(list, x)
	}
	return list, f.Metadata()
}

// Rewrite changes the tensors of a file; change reports whether a tensor is kept.
func Rewrite(t testing.TB, path string, change func(x safetensors.Tensor) (changed safetensors.Tensor, keep bool)) {
	t.Helper()
	tensors, metadata := Tensors(t, path)
	var list []safetensors.Tensor
	for _, x := range tensors {
		if x, keep := change(x); keep {
			list = append(list, x)
		}
	}
	if err := safetensors.WriteFile(path, list, metadata); err != nil {
		t.Fatal(err)
	}
}

// Small returns a fixture that trains in milliseconds.
func Small(t testing.TB) Case {
	t.Helper()
	return ReadCase(t, filepath.Join(Testdata, "bert", "query_value"))
}

var speed = regexp.MustCompile(`,"tokens_per_second":[^,}]*`)

// Metrics returns the metrics.jsonl of an output directory without the times.
func Metrics(t testing.TB, dir string) string {
	t.Helper()
	return speed.ReplaceAllString(Read(t, filepath.Join(dir, "metrics.jsonl")), "")
}

// Names lists the files of a directory.
func Names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// NothingIn fails if a start that was refused has left anything behind in a directory.
func NothingIn(t testing.TB, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// StopAfterFirstStep cancels a run as a signal does, once its first step is done.
func StopAfterFirstStep(t testing.TB, build Command, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, err Buffer
	err.When("step 1/", cancel)
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--quiet" })
	code := cli.Run(ctx, Env(nil, &out, &err), build, args)
	return Result{Code: code, Out: out.String(), Err: err.String()}
}
