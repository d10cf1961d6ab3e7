package transcribe

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/nn/op"
)

// TestPublished: transcripts of the real tiny.en equal transformers', of a short clip and of a long one with pauses:
// greedy and with 5 beams, with and without timestamps, with thresholds and with the text of earlier windows. The long
// clip is transcribed with all of these if SPALORA_EXHAUSTIVE is set, otherwise once.
func TestPublished(t *testing.T) {
	dir := published(t)
	var file struct {
		Long  [][2]any `json:"long"`
		Cases []struct {
			Sound string `json:"sound"`
			result
		} `json:"cases"`
	}
	if err := json.Unmarshal(readFile(t, "testdata", "published.json"), &file); err != nil {
		t.Fatal(err)
	}
	jfk, err := audio.Read(filepath.Join(dir, "..", "..", "data", "jfk", "jfk.wav"), audio.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	long := &audio.Clip{Rate: jfk.Rate}
	for _, piece := range file.Long {
		n := int(piece[1].(float64))
		switch piece[0] {
		case "clip":
			for range n {
				long.Samples = append(long.Samples, jfk.Samples...)
			}
		case "pause":
			long.Samples = append(long.Samples, make([]float32, n*jfk.Rate)...)
		}
	}
	if long.Seconds() < 60 || len(file.Cases) != 8 {
		t.Fatalf("%v seconds, %d cases", long.Seconds(), len(file.Cases))
	}
	pool := op.NewPool(2)
	defer pool.Close()
	w, tokens := openModel(t, dir, dir, pool)
	exhaustive, longOnes := os.Getenv("SPALORA_EXHAUSTIVE") != "", 0
	for _, c := range file.Cases {
		if c.Sound == "long" {
			if longOnes++; longOnes > 1 && !exhaustive {
				continue
			}
		}
		clip := jfk
		if c.Sound == "long" {
			clip = long
		}
		got, err := w.Transcribe(t.Context(), clip, c.Options.of(tokens))
		if err != nil {
			t.Fatal(err)
		}
		c.compare(t, got, tokens.timestampBegin())
		if got.Text != c.Text || got.Language != "en" {
			t.Errorf("%+v: %q in %q, want %q", c.Options, got.Text, got.Language, c.Text)
		}
	}
}
