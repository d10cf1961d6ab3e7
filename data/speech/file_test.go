package speech

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/data"
)

// sound is the content of a WAV file of one channel with these samples of 8 bits at 8 kHz.
func sound(samples ...byte) string {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00" +
		"\x08\x00data")
	return string(append(append(b, byte(len(samples)), 0, 0, 0), samples...))
}

// write makes files below a new directory.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// listed returns the rows of a file: names, transcripts and lines.
func listed(f *File) []string {
	var out []string
	for r := range f.Values() {
		s := fmt.Sprintf("%s:%d", r.Audio, r.Line)
		if r.HasText {
			s += " " + r.Text
		}
		out = append(out, s)
	}
	return out
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		o                   Options
		want                []string
	}{
		{"JSON Lines", "f.jsonl", `{"audio": "a.wav", "text": "one", "speaker": 3}` + "\n\n" +
			`{"text": "two", "audio": {"path": "b.wav"}}`, Options{}, []string{"a.wav:1 one", "b.wav:3 two"}},
		{"a list", "f.json", `[{"audio": "a.wav", "sentence": ""}]`, Options{}, []string{"a.wav:1 "}},
		{"Common Voice", "f.tsv", "client_id\tpath\tsentence\tup_votes\nx\ta.flac\tHello \"you\", there\t2\n",
			Options{NoQuotes: true}, []string{`a.flac:2 Hello "you", there`}},
		{"a manifest of NeMo", "f.jsonl", `{"audio_filepath": "a.wav", "duration": 1.5, "text": "one"}`, Options{},
			[]string{"a.wav:1 one"}},
		{"LibriSpeech of the hub", "f.jsonl", `{"file": "x.flac", "audio": {"path": "a.flac", "sampling_rate": 16000}, ` +
			`"text": "ONE"}`, Options{}, []string{"a.flac:1 ONE"}},
		{"columns that options name", "f.csv", "audio,clip,raw_text,text\na,b,c,d\n",
			Options{AudioColumn: "clip", TextColumn: "raw_text"}, []string{"b:2 c"}},
		{"no header", "f.csv", "x,a.wav,one\n", Options{NoHeader: true, AudioColumn: "1", TextColumn: "2"},
			[]string{"a.wav:1 one"}},
		{"paths only", "f.txt", "a.wav\n\nb c.wav\n", Options{OptionalLabels: true}, []string{"a.wav:1", "b c.wav:3"}},
		{"transcripts that are missing", "f.jsonl", `{"audio": "a"}` + "\n" + `{"audio": "b", "text": null}` + "\n" +
			`{"audio": "c", "text": "x"}`, Options{OptionalLabels: true}, []string{"a:1", "b:2", "c:3 x"}},
		{"a transcript in a later row", "f.jsonl", `{"audio": "a"}` + "\n" + `{"audio": "c", "transcription": "x"}`,
			Options{OptionalLabels: true}, []string{"a:1", "c:2 x"}},
		{"an empty field is no transcript", "f.csv", "audio,text\na,\nb,x\n", Options{OptionalLabels: true},
			[]string{"a:2", "b:3 x"}},
		{"an empty field is a transcript", "f.csv", "audio,text\na,\nb,x\n", Options{}, []string{"a:2 ", "b:3 x"}},
		{"without labels", "f.csv", "audio,text\na,x\n", Options{NoLabels: true}, []string{"a:2"}},
		{"the first rows", "f.csv", "audio,text\na,x\nb,y\n", Options{MaxSamples: 1}, []string{"a:2 x"}},
		{"rejected rows", "f.jsonl", `{"audio": "a", "text": "x", "answer": "reject"}` + "\n" +
			`{"audio": "b", "text": "y", "answer": "accept"}`, Options{}, []string{"b:2 y"}},
	} {
		f, err := ReadBytes([]byte(c.content), c.file, c.o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := listed(f); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		o                   Options
		line                int // -1 for an option
		want                string
	}{
		{"empty", "f.jsonl", "", Options{}, 0, "the file is empty"},
		{"no recording", "f.csv", "wav,text\na,b\n", Options{}, 1,
			"no column has a name that is known for recordings (audio, file_name, path"},
		{"several recordings", "f.csv", "path,file,text\na,b,c\n", Options{}, 1, `the recording may be "path" or "file"; ` +
			"say which with `audio_column`"},
		{"no text", "f.csv", "audio,label\na,b\n", Options{}, 1,
			"no column has a name that is known for texts (text, sentence"},
		{"several texts", "f.csv", "audio,sentence,transcription\na,b,c\n", Options{}, 1,
			`the text may be "sentence" or "transcription"`},
		{"a row without a recording", "f.jsonl", `{"audio": "a", "text": "x"}` + "\n" + `{"text": "x"}`, Options{}, 2,
			`the row has no "audio"`},
		{"a row without a text", "f.jsonl", `{"audio": "a", "text": "x"}` + "\n" + `{"audio": "x"}`, Options{}, 2,
			`the row has no "text"`},
		{"null", "f.jsonl", `{"audio": "a", "text": null}`, Options{}, 1, `"text" is "null", not a string`},
		{"an empty path", "f.csv", "audio,text\n,b\n", Options{}, 2, "the name of the file is empty"},
		{"a URL", "f.csv", "audio,text\nhttps://x.org/a.wav,b\n", Options{}, 2, "is a URL: download the file"},
		{"samples", "f.jsonl", `{"audio": [0.1, 0.2], "text": "x"}`, Options{}, 1, `"audio" is "[0.1, 0.2]", not a string`},
		{"bytes", "f.jsonl", `{"audio": {"bytes": "UklGRg==", "path": null}, "text": "x"}`, Options{}, 1,
			`"audio": the object has no path of a sound file`},
		{"a path that is a number", "f.jsonl", `{"audio": {"path": 3}, "text": "x"}`, Options{}, 1,
			`"audio": "path" is "3", not a string`},
		{"plain text to train on", "f.txt", "a.wav\n", Options{}, -1, "which has no transcripts"},
		{"columns of plain text", "f.txt", "a.wav\n", Options{AudioColumn: "a", NoLabels: true}, -1, "which has no columns"},
		{"the same column twice", "f.csv", "a,b\n", Options{AudioColumn: "a", TextColumn: "a"}, -1, "are the same"},
		{"a text that is not read", "f.csv", "a,b\n", Options{NoLabels: true, TextColumn: "b"}, -1,
			"no transcripts are read"},
		{"an unknown format", "f.csv", "a,b\n", Options{Format: "squad"}, -1, `format "squad" is none of audiofolder, csv`},
		{"a stream of a folder", "-", "", Options{Format: Folder}, -1, "reads a file or a directory"},
	} {
		_, err := ReadBytes([]byte(c.content), c.file, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			continue
		}
		var e *data.Error
		if c.line < 0 && !errors.Is(err, data.ErrOption) || c.line >= 0 && (!errors.As(err, &e) || e.Line != c.line) {
			t.Errorf("%s: %v is not about line %d", c.name, err, c.line)
		}
	}
}

func TestFolders(t *testing.T) {
	wav := sound(128, 192)
	dir := write(t, map[string]string{"metadata.csv": "file_name,transcription\nx/1.wav,one\n2.wav,two\n", "x/1.wav": wav,
		"2.wav": wav})
	f, err := Read(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := listed(f); !slices.Equal(got, []string{"x/1.wav:2 one", "2.wav:3 two"}) {
		t.Errorf("got %q", got)
	}
	for r := range f.Values() {
		if clip, err := r.Load(audio.Limits{}); err != nil || !slices.Equal(clip.Samples, []float32{0, 0.5}) {
			t.Error(clip, err)
		}
	}
	dir = write(t, map[string]string{"metadata.jsonl": `{"file_name": "1.wav", "text": "one"}`})
	if f, err = Read(dir, Options{Format: Folder}); err != nil || f.At(0).Path != filepath.Join(dir, "1.wav") {
		t.Errorf("%v", err)
	}
	dir = write(t, map[string]string{"b.wav": wav, "a/1.FLAC": "", "notes.md": "", ".hidden.wav": "", ".git/x.wav": ""})
	if f, err = Read(dir, Options{OptionalLabels: true}); err != nil {
		t.Fatal(err)
	}
	if got := listed(f); !slices.Equal(got, []string{"a/1.FLAC:0", "b.wav:0"}) || f.Others.N != 1 {
		t.Errorf("got %q, %d others", got, f.Others.N)
	}
	if f, err = Read(filepath.Join(dir, "b.wav"), Options{NoLabels: true}); err != nil || f.At(0).Audio != f.Name {
		t.Error(err)
	}
	files, err := ReadFiles([]string{filepath.Join(dir, "b.wav"), "c.mp3"}, Options{NoLabels: true})
	if err != nil || files.Len() != 2 || files.Name != "2 files" {
		t.Error(err)
	}
	for _, c := range []struct {
		path string
		o    Options
		want string
	}{
		{dir, Options{}, "is read as audiofolder, which has no transcripts"},
		{dir, Options{NoLabels: true, AudioColumn: "x"}, "has no columns"},
		{dir, Options{Format: data.CSV}, "this is a directory; `format csv` reads a file"},
		{filepath.Join(dir, "b.wav"), Options{}, "is read as audio, which has no transcripts"},
		{filepath.Join(dir, "b.wav"), Options{Format: Folder}, "this is not a directory"},
		{filepath.Join(dir, "none.jsonl"), Options{}, "there is no such file"},
		{write(t, map[string]string{"x.mp3": ""}), Options{NoLabels: true}, "there are no recordings (.wav, .wave, .flac)"},
		{write(t, map[string]string{"metadata.csv": "", "metadata.jsonl": ""}), Options{}, "remove one"},
		{write(t, map[string]string{"train/metadata.csv": "", "test/metadata.csv": ""}), Options{},
			"its folders have metadata of their own (test, train): give each by itself"},
	} {
		if _, err := Read(c.path, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.path, err, c.want)
		}
	}
	if _, err := ReadFiles(nil, Options{NoLabels: true}); err == nil {
		t.Error("no files are no error")
	}
}

// TestCheck decodes all recordings once: samples are known then, and bad files are listed or an error.
func TestCheck(t *testing.T) {
	dir := write(t, map[string]string{"a.wav": sound(1, 2, 3, 4), "copy.wav": sound(1, 2, 3, 4),
		"cut.wav": sound(1, 2, 3, 4)[:46], "f.csv": "audio,text\na.wav,x\ncut.wav,y\nnone.wav,z\ncopy.wav,x\n"})
	f, err := Read(filepath.Join(dir, "f.csv"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	kept, bad, err := f.Check(t.Context(), audio.Limits{}, 2)
	if err != nil || kept.Len() != 2 || len(bad) != 2 || bad[0].Line != 3 || bad[1].Line != 4 {
		t.Fatalf("%v, %v", bad, err)
	}
	if got := bad[0].Err.Error(); !strings.Contains(got, "cut.wav: the file is truncated: it has 2 of 4 bytes of sound") {
		t.Error(got)
	}
	a, b := kept.At(0), kept.At(1)
	if a.Sum == 0 || a.Sum != b.Sum || a.Duration != 500*time.Microsecond {
		t.Errorf("%+v, %+v", a, b)
	}
	var messages []string
	for _, w := range Warnings(kept, nil, New("test", b)) {
		messages = append(messages, w.Message)
	}
	for _, want := range []string{"1 row with the recording and transcript of a row before",
		"1 row with a recording that is also in " + f.Name} {
		if !slices.Contains(messages, want) {
			t.Errorf("no warning %q in %q", want, messages)
		}
	}
	if _, _, err := f.Check(t.Context(), audio.Limits{}, 1); err == nil || !strings.Contains(err.Error(),
		"f.csv:3: more than the 1 file of `skip_bad_files` cannot be read: audio: ") {
		t.Error(err)
	}
	moved := New("g", Row{Audio: "elsewhere.wav", Text: "x", HasText: true, Sum: a.Sum})
	if kept.Limit(1).Hash() != moved.Hash() {
		t.Error("the hash of checked rows depends on their names")
	}
}

// TestSoundInMemory: rows of a program need no files.
func TestSoundInMemory(t *testing.T) {
	f := New("embedded", Row{Audio: "1", Sound: sound(128, 192), Text: "one", HasText: true},
		Row{Audio: "2", Sound: sound(64), Text: "two", HasText: true})
	if clip, err := f.At(1).Load(audio.Limits{}); err != nil || !slices.Equal(clip.Samples, []float32{-0.5}) {
		t.Error(clip, err)
	}
	other := New("embedded", Row{Audio: "1", Sound: sound(128, 193), Text: "one", HasText: true}, f.At(1))
	if f.Hash() == other.Hash() {
		t.Error("the hash does not depend on the sound")
	}
	rest, held, err := f.SplitOff(0.5, 1)
	if err != nil || rest.Len() != 1 || held.Len() != 1 {
		t.Error(err)
	}
}

func TestWarnings(t *testing.T) {
	f := New("f", Row{Path: "a", Text: " ", HasText: true}, Row{Path: "b", Line: 2}, Row{Path: "b", Line: 3},
		Row{Path: "b", Text: "x", HasText: true, Line: 4})
	f.Others.Add(0)
	var got []string
	for _, w := range Warnings(f, nil, nil) {
		got = append(got, w.String())
	}
	want := []string{"f: 1 file that are neither WAV nor FLAC, which were left out", "f: 1 row with an empty transcript",
		"f:2: 2 rows without a transcript", "f:3: 1 row with the recording and transcript of a row before",
		"f:4: 1 row with the recording of a row before but another transcript"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if f.Labelled() != 2 || f.WithTargets().Len() != 2 || f.Limit(1).Len() != 1 {
		t.Error("rows with transcripts are not counted")
	}
}

func TestAdapters(t *testing.T) {
	o := Options{NoLabels: true, Adapter: func(name string) error { return nil }}
	f, err := ReadBytes([]byte(`{"audio": "a", "adapter": "x"}`+"\n"+`{"audio": "b"}`), "x.jsonl", o)
	if err != nil || f.AdapterOf(0) != "x" || f.AdapterOf(1) != "" {
		t.Fatalf("%v, %v", f, err)
	}
	if _, err := ReadFiles([]string{"a.wav"}, o); err == nil || !strings.Contains(err.Error(), "cannot name an adapter") {
		t.Error(err)
	}
}
