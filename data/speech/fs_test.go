package speech_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/speech"
)

// TestReadFS reads a folder in memory, and refuses what is no such folder.
func TestReadFS(t *testing.T) {
	folder := fstest.MapFS{
		"metadata.jsonl": {Data: []byte(`{"file_name": "a.wav", "text": "one"}` + "\n" +
			`{"file_name": "b/b.flac", "text": "two"}` + "\n")},
		"a.wav": {Data: []byte("first")}, "b/b.flac": {Data: []byte("second")},
	}
	f, err := speech.ReadFS(folder, "digits", speech.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := f.At(0), f.At(1)
	if f.Name != "digits" || f.Len() != 2 || a.Sound != "first" || a.Text != "one" || b.Sound != "second" || b.Line != 2 {
		t.Errorf("%s: %+v, %+v", f.Name, a, b)
	}
	for _, c := range []struct {
		files fstest.MapFS
		o     speech.Options
		want  string
	}{
		{fstest.MapFS{}, speech.Options{}, "there is no metadata.csv"},
		{folder, speech.Options{Format: data.CSV}, "reads a file"},
		{folder, speech.Options{Adapter: func(string) error { return nil }}, "cannot name an adapter"},
		{fstest.MapFS{"metadata.csv": {Data: []byte("file_name,text\nc.wav,three\n")}}, speech.Options{},
			"digits/metadata.csv:2: cannot read the recording"},
		{fstest.MapFS{"metadata.csv": {Data: []byte("file_name,text\n../c.wav,three\n")}}, speech.Options{},
			"not a path within the folder"},
	} {
		if _, err := speech.ReadFS(c.files, "digits", c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
