// Package speechseq2seq is the task type "speech-seq2seq" on the command line.
package speechseq2seq

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/generation"
	"github.com/spalora/spalora/tasks/speechseq2seq"
)

// Task describes the task type.
var Task = task.Descriptor{
	Kind: speechseq2seq.Kind, BuiltIn: cli.Whisper(), Finetune: finetune, Predict: predict,
}

// finetuning is one run of "finetune speech-seq2seq".
type finetuning struct {
	speechseq2seq.Finetuning
	env     cli.Env
	samples generation.Samples
}

func finetune(env cli.Env) *cobra.Command {
	r := &finetuning{env: env}
	r.OnSamples = r.show
	f := &task.Finetune{
		Config: &r.Finetuning, BuiltIn: cli.Whisper(), Models: task.Directories,
		Formats: "JSON Lines, CSV or TSV, also compressed (.gz), or a folder with metadata.csv or metadata.jsonl",
		Data:    "strings of spoken digits", Chosen: " by recording",
		Adapter: speechseq2seq.DefaultAdapter(), Training: speechseq2seq.DefaultTraining(),
		Reading: func(fs *pflag.FlagSet) {
			addReading(fs, &r.Data)
			fs.IntVar(&r.SkipBadFiles, "skip-bad-files", 0,
				"list up to this `number` of recordings of a file that cannot be read, and leave them out; more are an error")
		},
		Sections: func(fs *pflag.FlagSet) {
			cli.Section(fs, "All weights", func(fs *pflag.FlagSet) { task.AddFull(fs, &r.AllWeights) })
		},
		Task:     r.addTask,
		Embedded: func() error { return digits(&r.Finetuning) },
		OwnBase:  func() bool { return r.FromScratch != "" }, Defaults: r.defaults, Print: r.print,
	}
	return f.Command(env, &cobra.Command{
		Use:     speechseq2seq.Type.Command,
		Short:   "Writing down what is said in recordings, with Whisper",
		Long:    finetuneLong + task.ExitCodes + " with adapter or model saved.",
		Example: finetuneExamples,
	})
}

const finetuneLong = `Train a LoRA adapter with which Whisper writes down recordings, or all of its weights.

Checkpoints are Whisper, tiny to large-v3-turbo, English or multilingual. A row names a recording (WAV or FLAC, any rate
and number of channels) and has its transcript; paths are relative to the file. The model reads the first 30 seconds of
a recording, or those of --audio-context, and learns the transcript as transformers' recipe does: the tokens of language
and task, <|notimestamps|>, the text and the end token. The loss is the mean over these tokens.

With --predict-with-generate evaluations write transcripts, too, and score them: wer and cer as jiwer computes them, and
the same of texts in the normal form of Whisper's evaluation (wer_normalized, cer_normalized), from 0 to 100.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (with --full: model.safetensors,
config.json and the tokenizer's files) of the best state, without evaluation of the last; metrics.jsonl (a line for each
step and evaluation), results.json and checkpoints. The adapter remembers language, task, window and length.

Without --model and --train-file it teaches Whisper tiny.en to write strings of spoken digits as figures ("5 3 6 5"),
with windows of 6 seconds, and tests it on the strings of another speaker.

`

const finetuneExamples = `  # the embedded Whisper and recordings
  finetune speech-seq2seq

  # recordings of your own, in German
  finetune speech-seq2seq --model whisper-small --train-file train.jsonl --eval-file dev.jsonl --language de \
      --task transcribe --predict-with-generate --output-dir runs/mine`

// addReading defines the flags that say how files of recordings are read.
func addReading(fs *pflag.FlagSet, o *speech.Options) {
	fs.StringVar(&o.AudioColumn, "audio-column", "",
		"`name` of the column with paths of recordings"+cli.ByNumber+
			"; default: audio, file_name, path and other usual names")
	fs.StringVar(&o.TextColumn, "text-column", "",
		"`name` of the column with transcripts; default: text, sentence, transcription and other usual names")
	cli.FormatFlags{
		Format: &o.Format, Delimiter: &o.Delimiter, NoHeader: &o.NoHeader, NoQuotes: &o.NoQuotes,
		ReplaceInvalid: &o.ReplaceInvalid,
	}.Add(fs, "csv, tsv, jsonl, txt (a path in each line), audiofolder or audio (one recording)")
}

// maxTarget is the name of the flag for the largest number of tokens of a transcript.
const maxTarget = "max-target-length"

// addSounds defines the flags that say how recordings and transcripts are read.
func addSounds(fs *pflag.FlagSet, s *speechseq2seq.Sounds) {
	fs.StringVar(&s.Language, "language", "",
		"`language` that is spoken, a name or a code (german, de); default: that of generation_config.json, else detected")
	fs.StringVar(&s.Task, "task", "", "`task` of a multilingual model: transcribe, or translate (into English)")
	fs.Float64Var(&s.AudioContext, "audio-context", 0,
		"`seconds` of sound that the model reads at a time, fewer than its window of 30: faster, with other results; 0: all")
	cli.Default(fs, &s.MaxTargetLength, maxTarget, 0,
		"tokens of a transcript to learn, special tokens included; longer ones are cut; 0: the positions of the model")
}

func (r *finetuning) addTask(fs *pflag.FlagSet) {
	addSounds(fs, &r.Sounds)
	generation.AddTargets(fs, &r.TargetTraining, speechseq2seq.MainWER)
}

// show takes samples of a run.
func (r *finetuning) show(trained bool, list []speechseq2seq.Sample) {
	var rows []generation.Sample
	for _, s := range list {
		rows = append(rows, generation.Sample{Of: s.Audio, Written: s.Text, References: []string{s.Reference}})
	}
	r.samples.Show(r.env.Out, trained, rows)
}

// print prints the samples at the end.
func (r *finetuning) print(*spalora.Results) error { return r.samples.Print(r.env.Out) }

// before prints the scores of the rows to test on before training.
func (r *finetuning) before(rows int, text string) {
	fmt.Fprintf(r.env.Out, "before training: test, %d rows: %s\n", rows, text)
}
