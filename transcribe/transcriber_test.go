package transcribe

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
)

// options are the options of a fixture's case, as transformers names them.
type options struct {
	Language   string    `json:"language"`
	Task       string    `json:"task"`
	Timestamps bool      `json:"return_timestamps"`
	Beams      int       `json:"num_beams"`
	MaxNew     int       `json:"max_new_tokens"`
	Condition  *bool     `json:"condition_on_prev_tokens"`
	Temps      []float64 `json:"temperature"`
	Ratio      *float64  `json:"compression_ratio_threshold"`
	Logprob    *float64  `json:"logprob_threshold"`
	NoSpeech   *float64  `json:"no_speech_threshold"`
}

// of returns the options of a transcriber.
func (o options) of(tokens *Tokens) Options {
	cfg := tokens.Config()
	cfg.NumBeams, cfg.MaxNewTokens = max(1, o.Beams), o.MaxNew
	return Options{
		Language: o.Language, Task: o.Task, Timestamps: o.Timestamps, Generate: &cfg, Temperatures: o.Temps,
		CompressionRatioThreshold: o.Ratio, LogprobThreshold: o.Logprob, NoSpeechThreshold: o.NoSpeech,
		ConditionOnPrevTokens: o.Condition,
	}
}

// result is a transcript of transformers.
type result struct {
	Options  options `json:"options"`
	Tokens   []int32 `json:"tokens"`
	Text     string  `json:"text"`
	Segments []struct {
		Start, End float64
		Tokens     []int32
	} `json:"segments"`
}

// compare reports differences of a transcript. A segment without timestamps ends with the clip at the latest.
func (r *result) compare(t *testing.T, got *Transcript, begin int32) {
	t.Helper()
	if !slices.Equal(got.Tokens, r.Tokens) || len(got.Segments) != len(r.Segments) {
		t.Errorf("%+v\n got %v, %d segments\nwant %v, %d segments", r.Options, got.Tokens, len(got.Segments), r.Tokens,
			len(r.Segments))
		return
	}
	for i, want := range r.Segments {
		s := got.Segments[i]
		if !hasTimestamp(s.Tokens, begin) {
			want.End = min(want.End, max(want.Start, got.Duration))
		}
		if !slices.Equal(s.Tokens, want.Tokens) || s.Start != want.Start || s.End != want.End {
			t.Errorf("%+v, segment %d: %v to %v %v, want %v to %v %v", r.Options, i, s.Start, s.End, s.Tokens, want.Start,
				want.End, want.Tokens)
		}
	}
}

// openModel opens the model of a directory whose tokenizer and generation_config.json are in another.
func openModel(t testing.TB, dir, tokenizer string, pool *op.Pool) (*Transcriber, *Tokens) {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	m, _, err := models.OpenSpeechSeq2SeqLM(src)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := NewTokens(loadTokenizer(t, tokenizer), src.Config(), readFile(t, tokenizer, "generation_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	extractor, _, err := audio.NewExtractor(readFile(t, dir, "preprocessor_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(m, tokens, extractor, pool)
	if err != nil {
		t.Fatal(err)
	}
	return w, tokens
}

func openSmall(t testing.TB) (*Transcriber, *Tokens) {
	return openModel(t, filepath.Join("testdata", "small"), multilingual, nil)
}

// sound returns length samples: every 800 of them a square wave with a loudness and a period of its own.
func sound(seed uint32, length int) *audio.Clip {
	c := &audio.Clip{Samples: make([]float32, length), Rate: 16000}
	state := seed
	for i := range c.Samples {
		if i%800 == 0 {
			state = state*1664525 + 1013904223
		}
		period, loudness := 3+int(state>>16)%61, float32((state>>24)%9)
		if c.Samples[i] = loudness / 16; i/period%2 == 1 {
			c.Samples[i] = -loudness / 16
		}
	}
	return c
}

// smallFile is testdata/small.json.
type smallFile struct {
	Cases []struct {
		Seed   uint32 `json:"seed"`
		Length int    `json:"length"`
		result
	} `json:"cases"`
	Ends map[string]int `json:"ends"`
}

func readSmall(t testing.TB) (f smallFile) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, "testdata", "small.json"), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 50 {
		t.Fatalf("only %d cases", len(f.Cases))
	}
	return f
}

// TestTranscribe: tokens and segments of short and long clips equal those of transformers' generate, with and without
// timestamps, languages, beams, text of earlier windows and thresholds.
func TestTranscribe(t *testing.T) {
	w, tokens := openSmall(t)
	for _, c := range readSmall(t).Cases {
		got, err := w.Transcribe(t.Context(), sound(c.Seed, c.Length), c.Options.of(tokens))
		if err != nil {
			t.Fatal(err)
		}
		c.compare(t, got, tokens.timestampBegin())
		if got.Duration != float64(c.Length)/16000 || got.Language == "" || got.Text != tokens.Text(got.Tokens) {
			t.Errorf("%v seconds, language %q, text %q", got.Duration, got.Language, got.Text)
		}
		if c.Options.Language == "german" && got.Language != "de" {
			t.Errorf("language %q", got.Language)
		}
	}
}

// TestTranscribeAll: clips give the same transcripts together as one by one, whatever the number of workers, also
// where tokens are drawn.
func TestTranscribeAll(t *testing.T) {
	one, tokens := openSmall(t)
	pool := op.NewPool(3)
	defer pool.Close()
	many, _ := openModel(t, filepath.Join("testdata", "small"), multilingual, pool)
	never, ratio := 0.0, 1.0
	for name, o := range map[string]Options{
		"greedy": {}, "timestamps": {Timestamps: true},
		"drawn": {Temperatures: []float64{0, 0.7, 1}, LogprobThreshold: &never, CompressionRatioThreshold: &ratio},
		"beams": options{Beams: 3, Timestamps: true}.of(tokens),
	} {
		var clips []*audio.Clip
		for i := range 9 {
			clips = append(clips, sound(uint32(100+i), 5000+7919*i%30000))
		}
		all, err := many.TranscribeAll(t.Context(), clips, o)
		if err != nil {
			t.Fatal(err)
		}
		drawn := 0
		for i, clip := range clips {
			got, err := one.Transcribe(t.Context(), clip, o)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Tokens, all[i].Tokens) || len(got.Segments) != len(all[i].Segments) ||
				got.Language != all[i].Language {
				t.Errorf("%s, clip %d: %v alone, %v with others", name, i, got.Tokens, all[i].Tokens)
			}
			for _, s := range got.Segments {
				if s.Temperature == 1 {
					drawn++
				}
			}
		}
		if name == "drawn" && drawn < len(clips) {
			t.Errorf("%d segments at the last temperature, though no window passes the thresholds", drawn)
		}
	}
}

// TestSplitEnds: windows of any length without timestamps end where transformers' float32 arithmetic says.
func TestSplitEnds(t *testing.T) {
	ends := readSmall(t).Ends
	if len(ends) == 0 {
		t.Fatal("no ends")
	}
	for n := 1; n <= 3000; n++ {
		want := n / 2
		if end, ok := ends[strconv.Itoa(n)]; ok {
			want = end
		}
		list, step := split([]int32{5, 6}, 100, 700, n)
		if got := list[0].End; got != 7+float64(want)*precision || step != n || list[0].Start != 7 {
			t.Errorf("%d frames: %v to %v, want %v", n, list[0].Start, got, 7+float64(want)*precision)
		}
	}
}

// TestAudioContext: shorter windows compute fewer frames; a clip that fits has one, a longer one several.
func TestAudioContext(t *testing.T) {
	w, _ := openSmall(t)
	half := Options{AudioContext: 0.5}
	s, err := w.settle(half)
	if err != nil || s.frames != 50 {
		t.Fatalf("%d frames, %v", s.frames, err)
	}
	short, err := w.Transcribe(t.Context(), sound(3, 7000), half)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := w.Transcribe(t.Context(), sound(3, 7000), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(short.Segments) != 1 || slices.Equal(short.Tokens, whole.Tokens) {
		t.Errorf("%d segments, %v, whole window %v", len(short.Segments), short.Tokens, whole.Tokens)
	}
	long, err := w.Transcribe(t.Context(), sound(3, 14000), half)
	if err != nil {
		t.Fatal(err)
	}
	if last := long.Segments[len(long.Segments)-1]; len(long.Segments) < 2 || last.Start < 0.4 {
		t.Errorf("segments %+v", long.Segments)
	}
	same, err := w.Transcribe(t.Context(), sound(3, 7000), Options{AudioContext: 1})
	if err != nil || !slices.Equal(same.Tokens, whole.Tokens) {
		t.Errorf("%v, %v, want %v", same, err, whole.Tokens)
	}
}

// TestResampled: clips of another rate are resampled.
func TestResampled(t *testing.T) {
	w, _ := openSmall(t)
	clip := sound(5, 8000)
	clip.Rate = 8000
	got, err := w.Transcribe(t.Context(), clip, Options{})
	if err != nil || got.Duration != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	again, err := clip.Resample(16000)
	if err != nil {
		t.Fatal(err)
	}
	want, err := w.Transcribe(t.Context(), again, Options{})
	if err != nil || !slices.Equal(got.Tokens, want.Tokens) {
		t.Errorf("%v, %v, want %v", got.Tokens, err, want.Tokens)
	}
}

// TestOptionsRefused: options that contradict each other or the checkpoint are errors.
func TestOptionsRefused(t *testing.T) {
	w, tokens := openSmall(t)
	half := 0.5
	two := tokens.Config()
	two.NumReturnSequences, two.NumBeams = 2, 2
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{AudioContext: 2}, "`audio_context` is 2 seconds; want more than 0, at most the model's 1"},
		{Options{AudioContext: -1}, "`audio_context` is -1"},
		{Options{AudioContext: math.NaN()}, "`audio_context` is NaN"},
		{Options{NoSpeechThreshold: &half}, "`no_speech_threshold` has no effect without `logprob_threshold`"},
		{Options{Temperatures: []float64{0, -1}}, "`temperature` is -1; want 0 or more"},
		{Options{Temperatures: []float64{}}, "there is no `temperature`"},
		{Options{Generate: &two}, "`num_return_sequences` is 2"},
		{Options{Language: "klingon"}, "`language` is \"klingon\""},
		{Options{Task: "sing"}, "`task` is \"sing\""},
	} {
		_, err := w.Transcribe(t.Context(), sound(1, 100), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
	if _, err := New(w.model, tokens, nil, nil); err == nil {
		t.Error("no error without an extractor")
	}
	settings := `{"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80}`
	other, _, err := audio.NewExtractor([]byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = New(w.model, tokens, other, nil); err == nil || !strings.Contains(err.Error(), "3000 frames of 80 bins") {
		t.Errorf("another extractor: %v", err)
	}
}
