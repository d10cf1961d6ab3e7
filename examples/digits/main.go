// Digits is a notebook in a program: it teaches a vision transformer, which has seen characters of alphabets, to read
// digits, on the embedded model and images. Each cell prints what it does; the last draws a picture.
//
//	go run ./examples/digits
package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks/imagecls"
	"github.com/spalora/spalora/train"
	"github.com/spalora/spalora/vision"
)

func main() {
	log.SetFlags(0)
	if err := notebook(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func notebook(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "digits-")
	if err != nil {
		return err
	}
	cell(1, "Read the data: images of 28×28 pixels, each with the digit that it shows.")
	run := &spalora.ImageClassification{}
	learn, test := embedded.MNIST() // picture.Read("folder of class folders", …) for your own
	if run.Train, err = picture.ReadIDX(learn.Images, learn.Labels, "mnist train", run.Data); err != nil {
		return err
	}
	if run.Test, err = picture.ReadIDX(test.Images, test.Labels, "mnist test", run.Data); err != nil {
		return err
	}
	fmt.Printf("%d images to train on, %d to test on; the first, which is a %s:\n",
		run.Train.Len(), run.Test.Len(), run.Train.At(0).Label)
	first, err := run.Train.Load(0, vision.Limits{})
	if err != nil {
		return err
	}
	fmt.Print(inText(first))
	if err := finetune(ctx, run, filepath.Join(dir, "adapter")); err != nil {
		return err
	}

	cell(7, "Open the adapter on the base model again, and classify the images to test on.")
	// spalora.WithBase("directory") for your own
	m, err := spalora.Open(run.OutputDir, spalora.WithBaseFiles(embedded.ViTName, embedded.ViT()))
	if err != nil {
		return err
	}
	defer m.Close()
	digits := make([]image.Image, run.Test.Len())
	for i := range digits {
		p, err := run.Test.Load(i, vision.Limits{})
		if err != nil {
			return err
		}
		digits[i] = gray(p)
	}
	classes, err := m.ClassifyImage(ctx, digits...)
	if err != nil {
		return err
	}
	for i := range 5 {
		fmt.Printf("image %d is a %s: %s with %.1f %%\n", i, run.Test.At(i).Label, classes[i].Label, 100*classes[i].Score)
	}

	cell(8, "Draw the first 60 images, each with the digit that the model reads, red where it is wrong; then the first\n"+
		"mistakes.")
	name := filepath.Join(dir, "digits.png")
	if err := drawDigits(name, run.Test, digits, classes); err != nil {
		return err
	}
	fmt.Println(name)
	fmt.Println(filepath.Join(run.OutputDir, imagecls.ConfusionName))
	return nil
}

// finetune trains an adapter and writes it to dir.
func finetune(ctx context.Context, run *spalora.ImageClassification, dir string) error {
	cell(2, "Load the model. Its weights stay as they are on disk (float16) and are never changed.")
	run.Model, run.ModelFiles = embedded.ViTName, embedded.ViT() // run.Model = "directory" for your own
	run.Labels = strings.Split("0123456789", "")                 // the model's own classes are characters
	run.TargetModules, run.LoraR, run.LoraAlpha = []string{lora.AllLinear}, 16, new(32.0)
	run.NumTrainEpochs, run.LearningRate, run.WarmupRatio = 20, new(3e-3), new(0.1)
	run.Augment = []string{"crop=0.7"}
	run.OutputDir = dir
	run.OnModel = func(bare, adapted string) {
		cell(3, "Print its modules. TargetModules takes their names, or all-linear.")
		fmt.Println(bare)
		cell(4, "Attach: W′ = W + (α/r)·B·A for every linear layer. W is frozen; lora_A and lora_B train, and so\n"+
			"does a new head of ten classes. Before training the head is random.")
		fmt.Println(adapted)
	}
	run.OnBefore = func(rows int, m train.Metrics) { printAccuracy(rows, m) }
	run.OnStart = func(train.Plan) {
		cell(5, "Train 20 epochs with AdamW. Every time that an image is seen, another part of it is cut out.")
	}
	run.OnStep = func(s train.StepInfo) {
		if s.Step%50 == 0 || s.Step == s.Steps {
			fmt.Printf("step %3d/%d  loss %.3f\n", s.Step, s.Steps, s.Loss)
		}
	}
	var confusion imagecls.Confusion
	run.OnConfusion = func(c imagecls.Confusion) { confusion = c }
	results, err := spalora.Finetune(ctx, run)
	if err != nil {
		return err
	}
	cell(6, "Score on images that it has never seen.")
	printAccuracy(results.TestRows, *results.Test)
	fmt.Println(confusion)
	return nil
}

func printAccuracy(rows int, m train.Metrics) {
	accuracy, _ := m.Get("accuracy")
	fmt.Printf("accuracy on %d test images: %.1f %%\n", rows, 100*accuracy.Value)
}

// inText draws an image with characters.
func inText(m *vision.Image) string {
	var b strings.Builder
	for y := range m.Height {
		var line strings.Builder
		for x := range m.Width {
			line.WriteByte(" .:-=+*#%@"[int(m.Pix[3*(y*m.Width+x)])*10/256])
		}
		if text := strings.TrimRight(line.String(), " "); text != "" {
			b.WriteString(text + "\n")
		}
	}
	return b.String()
}

// gray returns an image as package image has it.
func gray(m *vision.Image) *image.Gray {
	g := image.NewGray(image.Rect(0, 0, m.Width, m.Height))
	for i := range g.Pix {
		g.Pix[i] = m.Pix[3*i]
	}
	return g
}

// Sizes of the picture: digits in a row, and pixels of the cell of a digit.
const (
	columns, firstRows, mistakeRows = 15, 4, 2
	cellWidth, cellHeight           = 36, 50
)

// drawDigits writes a picture of the first digits and, below a line, of the first mistakes.
func drawDigits(name string, test *picture.File, digits []image.Image, classes []spalora.Class) error {
	rows := firstRows + mistakeRows
	out := image.NewRGBA(image.Rect(0, 0, columns*cellWidth, rows*cellHeight+8))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	put := func(place, top, i int) {
		at := image.Pt(place%columns*cellWidth+4, place/columns*cellHeight+4+top)
		draw.Draw(out, image.Rectangle{Min: at, Max: at.Add(image.Pt(28, 28))}, digits[i], image.Point{}, draw.Src)
		ink := color.Color(color.Black)
		if classes[i].Label != test.At(i).Label.String() {
			ink = color.RGBA{R: 200, A: 255}
		}
		pen := font.Drawer{Dst: out, Src: image.NewUniform(ink), Face: basicfont.Face7x13,
			Dot: fixed.P(at.X+11, at.Y+41)}
		pen.DrawString(classes[i].Label)
	}
	wrong := 0
	for i := range digits {
		if i < columns*firstRows {
			put(i, 0, i)
		}
		if classes[i].Label != test.At(i).Label.String() && wrong < columns*mistakeRows {
			put(columns*firstRows+wrong, 8, i)
			wrong++
		}
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := png.Encode(f, out); err != nil {
		return err
	}
	return f.Close()
}

func cell(n int, what string) { fmt.Printf("\n── %d ── %s\n\n", n, what) }
