package imagecls_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/vision"
)

// TestEmbeddedDigits: every digit is trained on and tested on, and no test image is trained on.
func TestEmbeddedDigits(t *testing.T) {
	train, test := embedded.MNIST()
	seen := map[string]bool{}
	for _, part := range []embedded.IDX{train, test} {
		f, err := picture.ReadIDX(part.Images, part.Labels, "digits", picture.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if f.Len() != 2000 {
			t.Errorf("%d images", f.Len())
		}
		classes := map[string]int{}
		images := map[string]bool{}
		for i, e := range f.All() {
			classes[e.Label.String()]++
			m, err := f.Load(i, vision.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if images[string(m.Pix)] = true; seen[string(m.Pix)] {
				t.Errorf("test image %d is trained on", i)
			}
		}
		for digit, n := range classes {
			if n < 100 || len(classes) != 10 {
				t.Errorf("%d classes, %d images of %s", len(classes), n, digit)
			}
		}
		seen = images
	}
}

// TestEmbeddedDefaults runs two steps without files, and predicts with the adapter on the embedded model.
func TestEmbeddedDefaults(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := clitest.OK(t, finetune.Command, "image-classification", "--max-steps=2", "--output-dir", out)
	for _, text := range []string{"before training: test, 2000 rows: accuracy", "rows: class, columns: predicted",
		"test, 2000 rows: accuracy ", "adapter: " + out} {
		if !strings.Contains(r.Out, text) {
			t.Errorf("standard output lacks %q:\n%s", text, r.Out)
		}
	}
	if strings.Contains(r.Err, "WARN") {
		t.Errorf("standard error has warnings:\n%s", r.Err)
	}
	config := clitest.Read(t, filepath.Join(out, "adapter_config.json"))
	for _, text := range []string{embedded.ViTName, `"r": 16`} {
		if !strings.Contains(config, text) {
			t.Errorf("adapter_config.json lacks %q:\n%s", text, config)
		}
	}
	p := clitest.OK(t, predict.Command, "image-classification", "--adapter", out, "--quiet",
		"--input", filepath.Join("..", "..", "..", "..", "embedded", "mnist", "test-images-idx3-ubyte.gz"))
	if n := strings.Count(p.Out, "\n"); n != 2000 {
		t.Errorf("%d lines", n)
	}
}
