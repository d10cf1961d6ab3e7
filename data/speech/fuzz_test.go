package speech

import (
	"errors"
	"testing"

	"github.com/spalora/spalora/data"
)

// FuzzRead: any bytes give rows with a path, or an error about the file or the options.
func FuzzRead(f *testing.F) {
	for _, seed := range []struct{ content, name string }{
		{`{"audio": "a.wav", "text": "one"}`, "f.jsonl"}, {`{"audio": {"path": "a"}, "sentence": ""}`, "f.jsonl"},
		{"file_name,transcription\na.wav,\"x,y\"\n", "f.csv"}, {"path\tsentence\na\tb\n", "f.tsv"}, {"a.wav\n\n", "f.txt"},
	} {
		f.Add([]byte(seed.content), seed.name, true)
	}
	f.Fuzz(func(t *testing.T, content []byte, name string, optional bool) {
		file, err := ReadBytes(content, name, Options{OptionalLabels: optional})
		var e *data.Error
		if err != nil {
			if !errors.As(err, &e) && !errors.Is(err, data.ErrOption) {
				t.Fatalf("the error %v is of no known kind", err)
			}
			return
		}
		for r := range file.Values() {
			if r.Path == "" || r.Audio == "" || !r.HasText && (!optional || r.Text != "") {
				t.Fatalf("%+v", r)
			}
		}
	})
}
