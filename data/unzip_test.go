package data_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/data/text"
)

// zipped compares what is read of a file with what is read of it compressed, whole and cut off.
func zipped[F interface {
	comparable
	Hash() string
	Len() int
}, O any](t *testing.T, read func(path string, o O) (F, error), o O, name, content string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(content))
	z.Close()
	dir := t.TempDir()
	open := func(name string, content []byte) (F, error) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return read(path, o)
	}
	want, err := open(name, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	got, err := open(name+".gz", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got.Hash() != want.Hash() || got.Len() == 0 {
		t.Errorf("%s.gz: other rows", name)
	}
	if _, err := open("cut."+name+".gz", b.Bytes()[:b.Len()-4]); err == nil ||
		!strings.Contains(err.Error(), "cut."+name+".gz:") || !strings.Contains(err.Error(), "the gzip stream ends early") {
		t.Errorf("%s.gz, cut off: %v", name, err)
	}
}

// Every reader reads files that are compressed with gzip, in the format of the ending before.
func TestZippedFiles(t *testing.T) {
	zipped(t, text.Read, text.Options{}, "f.csv", "text,label\na,x\nb,y\n")
	zipped(t, text.Read, text.Options{}, "f.jsonl", `{"text":"a","label":"x"}`)
	zipped(t, text.Read, text.Options{NoLabels: true}, "f.txt", "a\nb")
	zipped(t, document.Read, document.Options{}, "f.txt", "a\nb\n")
	zipped(t, document.Read, document.Options{}, "f.json", "[{\"prompt\":\"a\",\n\"completion\":\"b\"}]")
	zipped(t, tagged.Read, tagged.Options{}, "f.conll", "Ann B-PER\nleft O\n\nBob B-PER\n")
	zipped(t, tagged.Read, tagged.Options{}, "f.tsv", "sentence\tword\ttag\n1\tAnn\tB-PER\n")
	zipped(t, question.Read, question.Options{}, "f.json",
		`{"data":[{"paragraphs":[{"context":"a b","qas":[{"question":"c","answers":[]}]}]}]}`)
	zipped(t, question.Read, question.Options{}, "f.jsonl", `{"question":"a","context":"b","answers":[]}`)
	zipped(t, choice.Read, choice.Options{}, "f.csv", "sent1,sent2,ending0,ending1,label\na,b,c,d,1\n")
	zipped(t, pair.Read, pair.Options{}, "f.tsv", "source\ttarget\na\tb\n")
	zipped(t, pair.Read, pair.Options{OptionalLabels: true}, "f.en", "a\nb\n")
}
