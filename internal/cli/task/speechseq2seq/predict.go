package speechseq2seq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/generation"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/speechseq2seq"
	"github.com/spalora/spalora/train"
	"github.com/spalora/spalora/transcribe"
)

// predicting is one run of "predict speech-seq2seq".
type predicting struct {
	settings         speechseq2seq.Settings
	inputs           []string
	input            string // the first of inputs, "-" for standard input
	data             speech.Options
	skip             int
	format           string
	logits, features bool
}

// part is the rows that one predictor serves.
type part = task.Part[*speechseq2seq.Opened, *speech.File]

func predict(env cli.Env) *cobra.Command {
	r := &predicting{format: jsonLines}
	t := &task.Predict{
		Kind: speechseq2seq.Kind, BuiltIn: cli.Whisper(), Settings: &r.settings,
		AdapterUsage: "`directory` of an adapter, of finetune or of PEFT; default: none",
		Input:        r.addInput, Output: r.addOutput, Check: r.check, Run: r.run,
		Sections: func(fs *pflag.FlagSet) {
			cli.Section(fs, "Transcripts", func(fs *pflag.FlagSet) { addDecoding(fs, &r.settings.Decoding) })
		},
	}
	cmd := t.Command(env, &cobra.Command{
		Use:     speechseq2seq.Type.Command,
		Short:   "Writing down what is said in recordings, with Whisper",
		Long:    predictLong + task.ExitCodes + ". After an error nothing is written.",
		Example: predictExamples,
	})
	cli.MoreInputs(cmd, &r.inputs, "recordings")
	return cmd
}

// The values of --output-format.
const (
	jsonLines = "jsonl"
	plainText = "txt"
	subRip    = "srt"
	webVTT    = "vtt"
)

const predictLong = `Write down what is said in recordings (WAV or FLAC) of any length.

It writes one JSON object for each recording, in the order of the input:
  adapter   with --adapters: name of the adapter that served the row, null for the base model
  audio     the recording
  text      the transcript
  tokens    ids of its tokens, timestamps included
  segments  with --return-timestamps, or if the recording is longer than a window: start and end in seconds, text,
            tokens, and the temperature with which the window was written
  duration  of the recording, in seconds
  language  code of the language, of the model or detected
If rows have transcripts, the texts are scored: wer and cer as jiwer computes them, and the same of texts in the normal
form of Whisper's evaluation, from 0 to 100. The scores go to standard error and, with --metrics-file, to a file,
together with loss, perplexity and accuracy of the transcripts, each token given those before it.
With --output-format txt, srt or vtt it writes the segments of one recording as text or subtitles.
With --logits nothing is written down; each row gives
  ids       the labels of its transcript, none if it has no transcript
  logits    the logits of each of them, given the recording and the labels before it
and the metrics are loss, perplexity and accuracy only. With --features each row gives
  features  what the model reads of the recording: a list of frames of bins
`

const predictExamples = `  # a recording, with subtitles
  predict speech-seq2seq --model whisper-small --input talk.wav --output-format srt --output talk.srt

  # recordings and an adapter; WER against the transcripts of the file
  predict speech-seq2seq --adapter runs/mine --input test.jsonl --output out.jsonl --metrics-file metrics.json`

func (r *predicting) addInput(fs *pflag.FlagSet) {
	fs.StringArrayVar(&r.inputs, "input", nil,
		"recording, `file` that names recordings, or folder; - for such a file on standard input; several recordings: "+
			"--input a.wav b.wav; default: standard input, if something is piped into it")
	addReading(fs, &r.data)
	fs.BoolVar(&r.data.NoLabels, "no-labels", false, "do not read transcripts, even if the input has some")
	fs.IntVar(&r.skip, "skip-bad-files", 0,
		"list up to this `number` of recordings that cannot be read, and leave them out; more are an error")
	addSounds(fs, &r.settings.Sounds)
	fs.Lookup(maxTarget).Usage = "tokens of a transcript of the input; --max-new-tokens limits what is written"
}

// addDecoding defines the flags of how transcripts are written. Names are those of transformers' generate.
func addDecoding(fs *pflag.FlagSet, d *speechseq2seq.Decoding) {
	const file = "; default: that of generation_config.json, else none"
	cli.Default(fs, &d.NumBeams, "num-beams", 0, "beams of beam search; default: those of generation_config.json, else 1")
	cli.Default(fs, &d.MaxNewTokens, "max-new-tokens", 0,
		"most tokens of a window; default: what max_length of generation_config.json leaves, else the model's positions")
	fs.BoolVar(&d.Timestamps, "return-timestamps", false,
		"divide transcripts into segments by timestamps; recordings longer than a window always are")
	fs.Float64SliceVar(&d.Temperatures, "temperature", nil,
		"`temperatures`, separated by commas, that are tried one after another until a window passes the thresholds; 0 "+
			"takes the most probable tokens; Whisper's own are 0,0.2,0.4,0.6,0.8,1; default: 0")
	fs.Lookup("temperature").DefValue = ""
	cli.Optional(fs, &d.CompressionRatioThreshold, "compression-ratio-threshold", 0,
		"a window whose tokens zlib makes smaller by a larger ratio repeats itself, and is written again; Whisper's is "+
			"1.35"+file)
	cli.Optional(fs, &d.LogprobThreshold, "logprob-threshold", 0,
		"a window with a smaller mean log-probability is written again; Whisper's is -1"+file)
	cli.Optional(fs, &d.NoSpeechThreshold, "no-speech-threshold", 0,
		"a window that is silent with a larger probability, and does not reach --logprob-threshold, has no text; "+
			"Whisper's is 0.6"+file)
	cli.Optional(fs, &d.ConditionOnPrevTokens, "condition-on-prev-tokens", false,
		"let each window read the text of those before it; default: that of generation_config.json, else false")
	cli.Optional(fs, &d.Seed, "seed", 42, "decides what is drawn with temperatures above 0")
}

func (r *predicting) addOutput(fs *pflag.FlagSet) {
	fs.StringVar(&r.format, "output-format", r.format, "`format`: jsonl, txt, srt or vtt")
	fs.BoolVar(&r.logits, "logits", false, "write the logits of the transcripts of the input instead of writing some")
	fs.BoolVar(&r.features, "features", false, "write what the model reads of the recordings instead of transcripts")
}

func (r *predicting) check(p *task.Predicting) []error {
	if len(r.inputs) > 0 {
		r.input = r.inputs[0]
	}
	p.Input = &r.input
	errs := []error{r.settings.Decoding.Check()}
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, path := range r.inputs {
		add(path == "" || path == "-" && len(r.inputs) > 1, "--input is %q beside others; give recordings", path)
	}
	if len(r.inputs) <= 1 {
		errs = append(errs, cli.DefaultInput(&r.input, p.Env, p.Given, "give --input FILE"))
	} else {
		for _, flag := range cli.FlagNames(func(fs *pflag.FlagSet) { addReading(fs, new(speech.Options)) }) {
			add(p.Given(flag), "--%s is for one --input, not for several recordings", flag)
		}
	}
	unlabelled := r.data.NoLabels || len(r.inputs) > 1
	add(r.data.NoLabels && r.data.TextColumn != "", "--no-labels excludes --text-column")
	add(p.Scored && unlabelled, "--metrics-file needs an input with transcripts")
	add(r.logits && unlabelled, "--logits needs an input with transcripts")
	add(r.logits && r.features, "--logits and --features exclude each other")
	add(r.features && p.Scored, "--metrics-file is for transcripts, not for --features")
	add(r.skip < 0, "--skip-bad-files is %d; want 0 or more", r.skip)
	switch r.format {
	case jsonLines:
	case plainText, subRip, webVTT:
		add(r.logits || r.features, "--output-format %s is for transcripts; --logits and --features write jsonl", r.format)
		r.settings.Timestamps = true
	default:
		add(true, "--output-format is %q; want jsonl, txt, srt or vtt", r.format)
	}
	if r.logits || r.features {
		names := cli.FlagNames(func(fs *pflag.FlagSet) { addDecoding(fs, new(speechseq2seq.Decoding)) })
		for _, flag := range names {
			add(p.Given(flag), "--%s is for writing transcripts, not for --logits or --features", flag)
		}
	}
	return errs
}

func (r *predicting) run(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
	ctx := cmd.Context()
	f, err := r.read(ctx, p)
	if err != nil {
		return nil, err
	}
	parts, err := task.Parts[*speechseq2seq.Opened](p.Models, f.Name, f)
	if err != nil {
		return nil, err
	}
	out := &task.Predictions{Name: f.Name}
	switch {
	case r.features:
		out.Rows = func(w io.Writer) error { return writeFeatures(w, p, f, parts) }
	case r.logits:
		out.Rows = func(w io.Writer) error { return writeLogits(ctx, w, p, f, parts) }
		return out, score(ctx, parts, out)
	default:
		out.Rows = func(w io.Writer) error { return r.transcribe(ctx, w, p, f, parts, out) }
	}
	return out, nil
}

// read returns the rows, whose recordings it has decoded once.
func (r *predicting) read(ctx context.Context, p *task.Predicting) (f *speech.File, err error) {
	o := r.data
	o.OptionalLabels, o.Adapter = !o.NoLabels, p.Models.Adapter()
	if len(r.inputs) > 1 {
		o.OptionalLabels, o.NoLabels = false, true
		f, err = speech.ReadFiles(r.inputs, o)
	} else {
		f, err = tasks.ReadFile(r.input, p.Env.In, o, speech.Read, speech.ReadFrom)
	}
	if err != nil {
		return nil, err
	}
	p.WarnRead(f.ReadWarnings())
	f, bad, err := f.Check(ctx, audio.Limits{}, r.skip)
	speechseq2seq.WarnBad(p.Console.Log, bad, err)
	switch {
	case err != nil:
		return nil, err
	case (p.Scored || r.logits) && f.Labelled() == 0:
		return nil, base.Input(fmt.Errorf("%s: no row has a transcript (`text_column` names their column)", f.Name))
	case r.format != jsonLines && f.Len() != 1:
		return nil, base.Settings(fmt.Errorf("`output_format` %s is for one recording, but there are %d; use jsonl", r.format,
			f.Len()))
	}
	return f, nil
}

// transcript is the output for a recording.
type transcript struct {
	Audio    string    `json:"audio"`
	Text     string    `json:"text"`
	Tokens   []int32   `json:"tokens"`
	Segments []segment `json:"segments,omitempty"`
	Duration float64   `json:"duration"`
	Language string    `json:"language,omitempty"`
}

// segment is the part of a transcript between two timestamps.
type segment struct {
	Start       float64 `json:"start"`
	End         float64 `json:"end"`
	Text        string  `json:"text"`
	Tokens      []int32 `json:"tokens"`
	Temperature float64 `json:"temperature"`
}

// rowOf returns the output for a recording, with segments if it was asked for or has several.
func rowOf(name string, t *transcribe.Transcript, segments bool) transcript {
	row := transcript{Audio: name, Text: strings.TrimSpace(t.Text), Tokens: t.Tokens, Duration: t.Duration,
		Language: t.Language}
	if !segments && len(t.Segments) <= 1 {
		return row
	}
	for _, s := range t.Segments {
		row.Segments = append(row.Segments, segment{s.Start, s.End, s.Text, s.Tokens, s.Temperature})
	}
	return row
}

// transcribe writes a line for each recording, or one recording in another format, and scores the texts.
func (r *predicting) transcribe(
	ctx context.Context, w io.Writer, p *task.Predicting, f *speech.File, parts []part, out *task.Predictions,
) error {
	began, seconds := time.Now(), 0.0
	logged := began
	by := task.ByRow(parts)
	english := parts[0].Predictor.English()
	all, of := speechseq2seq.NewMeasures(english), map[string]*speechseq2seq.Measures{}
	for _, s := range parts {
		of[s.Adapter] = speechseq2seq.NewMeasures(english)
	}
	err := speechseq2seq.TranscribeEach(ctx, f.Len(), speechseq2seq.LoadFrom(f),
		func(i int) *speechseq2seq.Predictor { return by[i].Predictor },
		func(i int) transcribe.Options { return by[i].Options },
		func(i int, t *transcribe.Transcript) error {
			row := f.At(i)
			seconds += t.Duration
			if row.HasText {
				all.Add(t.Text, row.Text)
				of[f.AdapterOf(i)].Add(t.Text, row.Text)
			}
			if i+1 < f.Len() && time.Since(logged) > 5*time.Second {
				logged = time.Now()
				p.Console.Log.Info().Msgf("%d of %d recordings", i+1, f.Len())
			}
			return r.writeOne(w, p, f.AdapterOf(i), row.Audio, t)
		})
	if err != nil {
		return err
	}
	spent := time.Since(began).Seconds()
	p.Console.Log.Info().Msgf("%s of %.1f s in %.2f s: %.1f times as fast as they are spoken",
		data.Plural(f.Len(), "recording"), seconds,
		spent, seconds/spent)
	if out.Labelled = all.Len(); out.Labelled == 0 {
		return nil
	}
	for _, s := range parts {
		if m := of[s.Adapter]; m.Len() > 0 {
			out.Add(s.Adapter, metricsOf(m), m.Len(), m.Len())
		}
	}
	given := &task.Predictions{} // the metrics of the transcripts given those before it
	if p.Scored {
		if err := score(ctx, parts, given); err != nil {
			return err
		}
	}
	for i, s := range given.Each {
		out.Each[i].Metrics.Values = append(out.Each[i].Metrics.Values, s.Metrics.Values...)
	}
	if out.Metrics = metricsOf(all); len(out.Each) == 1 { // one adapter served all rows with a transcript
		out.Each = nil
	}
	out.Metrics.Values = append(out.Metrics.Values, given.Metrics.Values...)
	return nil
}

// writeOne writes a transcript in the format that was asked for.
func (r *predicting) writeOne(w io.Writer, p *task.Predicting, adapter, name string, t *transcribe.Transcript) error {
	switch r.format {
	case plainText:
		return transcribe.WriteText(w, t)
	case subRip:
		return transcribe.WriteSRT(w, t)
	case webVTT:
		return transcribe.WriteVTT(w, t)
	}
	return task.WriteLine(w, p.Models.Row(adapter, rowOf(name, t, r.settings.Timestamps)))
}

func metricsOf(m *speechseq2seq.Measures) train.Metrics {
	return train.Metrics{Main: speechseq2seq.MainWER, Values: m.Metrics()}
}

// writeFeatures writes what the model reads of each recording.
func writeFeatures(w io.Writer, p *task.Predicting, f *speech.File, parts []part) error {
	by, load := task.ByRow(parts), speechseq2seq.LoadFrom(f)
	for i, row := range f.All() {
		clip, err := load(i)
		if err != nil {
			return err
		}
		line := struct {
			Audio    string      `json:"audio"`
			Features [][]float32 `json:"features"`
		}{Audio: row.Audio}
		if line.Features, err = by[i].Features(clip); err != nil {
			return err
		}
		if err := task.WriteLine(w, p.Models.Row(f.AdapterOf(i), line)); err != nil {
			return err
		}
	}
	return nil
}

// writeLogits writes the labels and logits of each transcript.
func writeLogits(ctx context.Context, w io.Writer, p *task.Predicting, f *speech.File, parts []part) error {
	by := task.ByRow(parts)
	for i, row := range f.All() { // rows are computed one by one: in turn, in their order
		write := func(_ int, ids []int32, logits []float32) error {
			line, err := generation.LogitsOf(f.Name, row.Line, ids, logits)
			if err != nil {
				return err
			}
			return task.WriteLine(w, p.Models.Row(f.AdapterOf(i), line))
		}
		var err error
		if row.HasText {
			err = by[i].Logits(ctx, speech.New(f.Name, row), write)
		} else {
			err = write(0, nil, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// score adds the metrics of the transcripts of all rows that have one, each token given those before it.
func score(ctx context.Context, parts []part, out *task.Predictions) error {
	for _, s := range parts {
		rows := s.File.WithTargets()
		if rows.Len() == 0 {
			continue
		}
		scores, err := s.Predictor.Score(ctx, rows)
		if err != nil {
			return err
		}
		values := scores.Metrics()
		out.Add(s.Adapter, train.Metrics{Main: values[0].Name, Values: values}, rows.Len(), rows.Len())
	}
	if len(out.Each) == 0 {
		return errors.New("no row has a transcript")
	}
	out.Average("loss", "accuracy")
	return nil
}
