package models_test

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestWhisperTiny compares the real Whisper tiny.en on a recording with transformers: rows of the encoder's output, and
// the logits for the greedy tokens of transformers, each of which must be the best one. It needs the checkpoint and the
// recording beside the checkout, or in the directory that SPALORA_SHARED names.
func TestWhisperTiny(t *testing.T) {
	shared := cmp.Or(os.Getenv("SPALORA_SHARED"), "../../shared")
	dir := filepath.Join(shared, "models", "whisper-tiny.en")
	if _, err := os.Stat(dir); err != nil {
		t.Logf("%s is not there; nothing is compared", dir)
		return
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	m, report, err := models.OpenSpeechSeq2SeqLM(src)
	if err != nil || len(report.Fresh) > 0 || len(report.Untied) > 0 {
		t.Fatalf("%v, %v", report, err)
	}
	settings, err := src.File("preprocessor_config.json")
	if err != nil {
		t.Fatal(err)
	}
	extractor, _, err := audio.NewExtractor(settings)
	if err != nil {
		t.Fatal(err)
	}
	clip, err := audio.Read(filepath.Join(shared, "data", "jfk", "jfk.wav"), audio.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := golden.Open(t, "../testdata/whisper_tiny_en.safetensors")
	var labels []int32
	for _, id := range want.Ints("labels") {
		labels = append(labels, int32(id))
	}
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, m.Frames()}}, Features: extractor.Features(clip.Samples)}
	b.Target = &batch.Batch{Seqs: op.Seqs{Starts: []int{0, len(labels)}}, IDs: m.Shift(labels), Labels: labels}
	pool := op.NewPool(2)
	defer pool.Close()
	tape := op.NewEvalTape(pool)
	defer tape.Close()
	p := &nn.Pass{Tape: tape}
	memory := m.Encode(p, b)
	_, width := op.Size(memory.X)
	var rows []float32
	for _, row := range want.Ints("rows") {
		rows = append(rows, op.Values(memory.X)[row*width:][:width]...)
	}
	within(t, "encoder", rows, want.Float32("encoder"), want.Float32("encoder_largest")[0])
	logits := op.Values(m.Decode(p.Read(memory), b.Target))
	var some []float32
	for i, best := range want.Ints("best") {
		row := logits[i*m.Vocabulary():][:m.Vocabulary()]
		for id, v := range row {
			if v > row[best] {
				t.Errorf("row %d: %d is better than %d, the best id in transformers", i, id, best)
			}
		}
		for _, id := range want.Ints("ids") {
			some = append(some, row[id])
		}
	}
	within(t, "logits", some, want.Float32("logits"), want.Float32("logits_largest")[0])
}

// within requires values within 2e-5 of the largest.
func within(t *testing.T, what string, got, want []float32, largest float32) {
	t.Helper()
	worst := float32(0)
	for i := range want {
		worst = max(worst, got[i]-want[i], want[i]-got[i])
	}
	t.Logf("%s: off by %.2g of the largest", what, worst/largest)
	if !(worst <= 2e-5*largest) {
		t.Errorf("%s: off by %.2g of the largest, want 2e-5", what, worst/largest)
	}
}
