// Dictation is a notebook in a program: Whisper (Radford et al. 2022, arXiv:2212.04356), which writes "seven five" or
// "75" as it likes, learns to write strings of spoken digits as figures with spaces, with a LoRA adapter
// (Hu et al. 2021, arXiv:2106.09685). Each cell prints what it does; the picture shows what the model hears.
//
//	go run ./examples/dictation
package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/speechseq2seq"
	"github.com/spalora/spalora/train"
)

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	if err := notebook(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// seconds is how much sound the model reads at a time. The strings are shorter, and the encoder's time falls with it.
const seconds = 6

func notebook(ctx context.Context) error {
	// The recordings: three people to learn from, and a fourth to test on.
	trainFiles, testFiles := embedded.FSDD()
	learned, err := speech.ReadFS(trainFiles, embedded.FSDDName, speech.Options{})
	if err != nil {
		return err
	}
	tested, err := speech.ReadFS(testFiles, embedded.FSDDName+" test", speech.Options{})
	if err != nil {
		return err
	}
	first := tested.At(0)
	clip, err := first.Load(audio.Limits{})
	if err != nil {
		return err
	}
	fmt.Printf("%d recordings to train on, %d to test on; the first of these lasts %.1f s: %q\n", learned.Len(),
		tested.Len(), clip.Seconds(), first.Text)

	// What the model hears: power by time and pitch.
	dir := filepath.Join("runs", "dictation")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	picture := filepath.Join(dir, "spectrogram.png")
	if err := draw(picture, clip); err != nil {
		return err
	}
	fmt.Println("its spectrogram:", picture)

	// Training. The command "finetune speech-seq2seq" without arguments does the same.
	results, err := spalora.Finetune(ctx, &spalora.SpeechSeq2Seq{
		Run: spalora.Run{
			Model: embedded.WhisperName, ModelFiles: embedded.Whisper(), OutputDir: filepath.Join(dir, "adapter"),
			Overwrite: true, NumTrainEpochs: 3,
			OnStep: func(s train.StepInfo) {
				if s.Step%9 == 0 {
					fmt.Printf("step %d of %d: loss %.3f\n", s.Step, s.Steps, s.Loss)
				}
			},
		},
		Sounds:         speechseq2seq.Sounds{AudioContext: seconds},
		TargetTraining: tasks.TargetTraining{PredictWithGenerate: true, GenerationMaxLength: 32},
		Train:          learned, Test: tested,
		OnBefore: func(_ int, m train.Metrics) { fmt.Println("before:", rates(m)) },
	})
	if err != nil {
		return err
	}
	fmt.Println("after: ", rates(*results.Test))

	// Dictation: the model with and without the adapter.
	var sounds []spalora.Sound
	for row := range tested.Limit(4).Values() {
		clip, err := row.Load(audio.Limits{})
		if err != nil {
			return err
		}
		sounds = append(sounds, spalora.Sound{Clip: clip})
	}
	base := spalora.WithBaseFiles(embedded.WhisperName, embedded.Whisper())
	settings := spalora.WithSettings(&speechseq2seq.Settings{
		Sounds: speechseq2seq.Sounds{AudioContext: seconds}, Decoding: speechseq2seq.Decoding{MaxNewTokens: 32},
	})
	var written [2][]*spalora.Transcript
	for i, adapter := range []string{"", results.Dir} {
		m, err := spalora.Open(adapter, base, settings, spalora.WithTask("speech-seq2seq"))
		if err != nil {
			return err
		}
		written[i], err = m.TranscribeAll(ctx, sounds)
		if err = closing(m, err); err != nil {
			return err
		}
	}
	for i, row := range slices.Collect(tested.Limit(len(sounds)).Values()) {
		fmt.Printf("said %q, Whisper writes %q, with the adapter %q\n", row.Text, strings.TrimSpace(written[0][i].Text),
			strings.TrimSpace(written[1][i].Text))
	}
	return nil
}

// closing closes c and returns the first error.
func closing(c io.Closer, err error) error {
	if closed := c.Close(); err == nil {
		return closed
	}
	return err
}

// rates returns the error rates among metrics.
func rates(m train.Metrics) string {
	wer, _ := m.Get("wer")
	cer, _ := m.Get("cer")
	return fmt.Sprintf("of 100 words %.1f are wrong, of 100 characters %.1f", wer.Value, cer.Value)
}

// draw writes the log-mel features of a clip as a picture: time from left to right, pitch upwards, bright is loud.
func draw(path string, clip *audio.Clip) (err error) {
	extractor, _, err := audio.NewExtractor(embedded.Whisper()[audio.PreprocessorConfig])
	if err != nil {
		return err
	}
	if clip, err = clip.Resample(extractor.Rate()); err != nil {
		return err
	}
	const scale = 3
	bins := extractor.Bins()
	rows := extractor.FeaturesOfAll(clip.Samples)
	frames := len(rows) / bins
	low, high := slices.Min(rows), slices.Max(rows)
	img := image.NewGray(image.Rect(0, 0, frames*scale, bins*scale))
	for y := range bins * scale {
		for x := range frames * scale {
			v := (rows[x/scale*bins+bins-1-y/scale] - low) / (high - low)
			img.SetGray(x, y, color.Gray{Y: uint8(255 * v)})
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return closing(f, png.Encode(f, img))
}
