package speech

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/data"
)

// The formats beside those of package data.
const (
	Folder data.Format = "audiofolder" // a directory: recordings with metadata.csv or metadata.jsonl, or recordings only
	Audio  data.Format = "audio"       // a sound file
)

// Row is one recording with its transcript.
type Row struct {
	Audio   string // the recording's name as the file has it
	Path    string // of the sound file: Audio, in the directory of the file unless it is absolute
	Sound   string // the content of the sound file, if a program holds it in memory; Path is not read then
	Text    string // the transcript
	HasText bool   // the row has a transcript, which may be empty
	Line    int    // 1-based line at which the row begins in its file; 0 for a file without lines
	// Sum is a hash of the samples and Duration how long they last, once [File.Check] has read them; before they are 0.
	Sum      int
	Duration time.Duration
}

// Code passes the fields of the row. A hash gets the name of a recording only if its samples are not known.
func (r Row) Code(c *data.Coder) Row {
	if !c.Hashes() {
		c.Text(&r.Path)
		c.Int(&r.Line)
		duration := int(r.Duration)
		c.Int(&duration)
		r.Duration = time.Duration(duration)
	}
	if !c.Hashes() || r.Sum == 0 {
		c.Text(&r.Audio)
		c.Text(&r.Sound)
	}
	c.Int(&r.Sum)
	c.Bool(&r.HasText)
	c.Text(&r.Text)
	return r
}

// StartLine returns the line at which the row begins.
func (r Row) StartLine() int { return r.Line }

// Key identifies the recording: by its samples if they are known, else by its content in memory or its path.
func (r Row) Key() (string, bool) {
	switch {
	case r.Sum != 0:
		return string(binary.LittleEndian.AppendUint64([]byte{0}, uint64(r.Sum))), true
	case r.Sound != "":
		return "\x01" + r.Sound, true
	}
	return r.Path, true
}

// Load decodes the recording. It returns an [*audio.Error] if that fails.
func (r Row) Load(o audio.Limits) (*audio.Clip, error) {
	if r.Sound != "" {
		return audio.Decode([]byte(r.Sound), r.Audio, o)
	}
	return audio.Read(r.Path, o)
}

func (r Row) labelled() bool { return r.HasText }

// File holds the rows of one file or directory. No function of this package changes it after it was read, and it is
// safe for concurrent reading.
type File struct {
	data.File[Row]
	Columns Columns    // which columns were used
	Others  data.Tally // files in a folder that are neither WAV nor FLAC, which were left out
}

// Columns names the columns (JSON: keys) that a file was read from, "" for none. Without a header a column's name is
// its number, counted from 0.
type Columns struct{ Audio, Text string }

// New returns a file of these rows. Messages call it name. Its format is JSON Lines.
func New(name string, rows ...Row) *File {
	return &File{File: data.NewFile(name, data.JSONLines, rows...)}
}

// Options say how a file is read. The zero value reads recordings that all have a transcript, in the format of the
// name. An option that has no meaning for the format is an error.
type Options struct {
	// Format is "audiofolder", "csv", "tsv", "jsonl", "txt" (a path in each line, no transcripts) or "audio"; "" takes it
	// from the name and, of standard input, from the content.
	Format data.Format
	// Delimiter, NoHeader, NoQuotes, ReplaceInvalid and MaxSamples say how rows are read, see [data.Layout].
	Delimiter      rune
	NoHeader       bool
	NoQuotes       bool
	ReplaceInvalid bool
	MaxSamples     int
	// AudioColumn and TextColumn name the columns (JSON: keys). Those not given are looked up among well-known names, in
	// any case: audio, else file_name, else path, file, filename, audio_path, audio_file or audio_filepath; text, else
	// sentence, transcription, transcript or transcripts.
	AudioColumn, TextColumn string
	// OptionalLabels accepts files and rows without transcripts, for prediction; an empty field of CSV or TSV is none
	// then.
	OptionalLabels bool
	// NoLabels reads recordings only, whatever transcripts there are.
	NoLabels bool
	// Adapter, if not nil, makes rows name the adapter that serves them, see [data.Layout].
	Adapter func(name string) error
}

// check returns an error if the options contradict each other.
func (o Options) check() error {
	switch {
	case o.AudioColumn != "" && o.AudioColumn == o.TextColumn:
		return data.OptionErrorf("`audio_column` and `text_column` are the same (%q)", o.AudioColumn)
	case o.NoLabels && o.TextColumn != "":
		return data.OptionErrorf("a text column is given where no transcripts are read")
	case o.Format != "" && !slices.Contains(append(data.Formats(), Folder, Audio), o.Format):
		return data.OptionErrorf("format %q is none of audiofolder, csv, tsv, jsonl, txt, audio", string(o.Format))
	case o.MaxSamples < 0:
		return data.OptionErrorf("the largest number of samples is negative: %d", o.MaxSamples)
	}
	return nil
}

// optional reports whether rows need no transcript.
func (o Options) optional() bool { return o.OptionalLabels || o.NoLabels }

// fits returns an error if an option has no meaning for sound files that no row names.
func (o Options) fits(f data.Format, name string) error {
	for _, x := range []struct {
		option string
		given  bool
	}{{"delimiter", o.Delimiter != 0}, {"no_header", o.NoHeader}, {"no_quotes", o.NoQuotes}} {
		if x.given {
			return data.OnlyDelimited(x.option, f, name)
		}
	}
	switch {
	case o.AudioColumn != "" || o.TextColumn != "":
		return data.OptionErrorf("%s is read as %s, which has no columns", name, string(f))
	case o.Adapter != nil:
		return data.OptionErrorf("%s is read as %s, whose recordings cannot name an adapter as `adapters` needs it: write "+
			"JSON Lines with the key %q, or use `adapter` if one serves all", name, string(f), data.AdapterColumn)
	case !o.optional():
		return data.OptionErrorf("%s is read as %s, which has no transcripts: give a file that names recordings and texts, "+
			"or a folder with metadata.csv or metadata.jsonl", name, string(f))
	}
	return nil
}

// fitsRows returns an error if an option has no meaning for a format of rows.
func (o Options) fitsRows(f data.Format, name string) error {
	switch {
	case f != data.PlainText:
		return nil
	case o.AudioColumn != "" || o.TextColumn != "":
		return data.OptionErrorf("%s is read as plain text, which has no columns (use `format csv`, tsv or jsonl if it has)",
			name)
	case !o.optional():
		return data.OptionErrorf("%s is read as plain text, which has no transcripts (use `format csv`, tsv or jsonl if it "+
			"has)", name)
	}
	return nil
}

// recordings are the endings of the names of sound files that folders are searched for.
var recordings = []string{".wav", ".wave", ".flac"}

// sounds are the endings of the names of sound files, those that package audio refuses with advice among them.
var sounds = slices.Concat(recordings, []string{
	".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".aif", ".aiff", ".webm", ".wma", ".amr", ".au", ".caf"})

// hasEnding reports whether a name has one of the endings, in any case.
func hasEnding(name string, endings []string) bool {
	return slices.Contains(endings, strings.ToLower(filepath.Ext(name)))
}

// Limit returns the first n rows; n <= 0 returns all.
func (f *File) Limit(n int) *File { return data.Limit(f, n) }

// Labelled returns the number of rows that have a transcript.
func (f *File) Labelled() int { return f.Count(Row.labelled) }

// WithTargets returns the rows that have a transcript.
func (f *File) WithTargets() *File { return data.Filter(f, Row.labelled) }

// SplitOff divides the rows into two files: held gets about fraction of them, rest keeps the others, both in the order
// of f. All rows with one recording go to the same side. The choice depends on seed and the order of the rows only, the
// same on every machine. What was counted when the file was read stays with rest, so that it is reported once. It
// returns an error if fraction is not between 0 and 1 or a part would be empty.
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	recording := func(_ int, r Row) string {
		key, _ := r.Key()
		return key
	}
	if rest, held, err = data.SplitGroups(f, recording, "row", "of recording", fraction, seed); err == nil {
		held.Others = data.Tally{}
	}
	return rest, held, err
}

// Check decodes every recording, several at a time, and returns the rows with their Sum and Duration, without up to
// most rows whose recordings cannot be decoded, which bad lists. More than most of them are an error, see [data.Sift].
func (f *File) Check(ctx context.Context, o audio.Limits, most int) (kept *File, bad []data.BadRow, err error) {
	return data.Sift(ctx, f, most, func(r Row) (Row, error) {
		clip, err := r.Load(o)
		if err != nil {
			return r, err
		}
		r.Duration = time.Duration(clip.Seconds() * float64(time.Second))
		r.Sum = sum(clip)
		return r, nil
	})
}

// sum returns a hash of the samples, which is not 0.
func sum(clip *audio.Clip) int {
	h := fnv.New64a()
	b := binary.LittleEndian.AppendUint32(nil, uint32(clip.Rate))
	for _, v := range clip.Samples {
		if b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v)); len(b) >= 1<<12 {
			h.Write(b)
			b = b[:0]
		}
	}
	h.Write(b)
	return max(int(h.Sum64()>>1), 1)
}
