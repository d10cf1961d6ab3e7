package pair

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// shared returns the path of a real data set beside the checkout, or in the directory that SPALORA_SHARED names, and
// skips the test if it is not there.
func shared(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(cmp.Or(os.Getenv("SPALORA_SHARED"), "../../../shared"), "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	return path
}

// Published data sets, as Python's csv, json and gzip read them: rows, targets, and the beginning of a SHA-256 of all
// texts, each followed by a zero byte, and each row by a byte of one.
func TestRealFiles(t *testing.T) {
	for _, tt := range []struct {
		source, target string
		options        Options
		rows, targets  int
		digest         string
	}{
		{"tatoeba-en-sv/test.tsv", "", Options{SourceLang: "en", TargetLang: "sv", NoQuotes: true}, 1000, 1000,
			"7ba8fc099c1c3e66"},
		{"e2e-nlg/devset.csv", "", Options{SourceColumn: "mr", TargetColumn: "ref"}, 4672, 4672, "8a1e7e0e010f600c"},
		{"e2e-nlg/testset_w_refs.csv", "", Options{SourceColumn: "mr", TargetColumn: "ref", GroupSources: true}, 630, 4693,
			"c62a573c7aa15955"},
		{"e2e-nlg/testset.csv", "", Options{SourceColumn: "MR", OptionalLabels: true}, 630, 0, "31ac2017e58e8e81"},
		{"scitldr/dev.jsonl", "", Options{}, 619, 1453, "d63be4a5987bcdb5"},
		{"multi30k-en-de/val.en.gz", "multi30k-en-de/val.de.gz", Options{}, 1014, 1014, "1ce2a65be153ee8b"},
		{"multi30k-en-de/test_2016_flickr.de.gz", "", Options{OptionalLabels: true}, 1000, 0, "956001ba546b36f4"},
	} {
		t.Run(tt.source, func(t *testing.T) {
			source := shared(t, tt.source)
			f, err := Read(source, tt.options)
			if tt.target != "" {
				f, err = ReadParallel(source, shared(t, tt.target), tt.options)
			}
			if err != nil {
				t.Fatal(err)
			}
			targets, digest := 0, sha256.New()
			for p := range f.Values() {
				targets += len(p.Targets)
				for _, text := range append([]string{p.Source}, p.Targets...) {
					io.WriteString(digest, text+"\x00")
				}
				io.WriteString(digest, "\x01")
			}
			if f.Len() != tt.rows || targets != tt.targets {
				t.Errorf("%d rows with %d targets, want %d with %d", f.Len(), targets, tt.rows, tt.targets)
			}
			if got := hex.EncodeToString(digest.Sum(nil))[:16]; got != tt.digest {
				t.Errorf("the texts have the digest %s, want %s", got, tt.digest)
			}
		})
	}
}
