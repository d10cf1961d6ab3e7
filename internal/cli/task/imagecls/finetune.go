// Package imagecls is image classification on the command line: "finetune image-classification" and "predict
// image-classification".
package imagecls

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/imagecls"
	"github.com/spalora/spalora/vision"
)

// Task is image classification.
var Task = task.Descriptor{
	Kind: imagecls.Kind, BuiltIn: cli.ViT(), Finetune: finetune, Predict: predict,
	Classes: func(labels []string, problemType string) (tasks.Settings, error) {
		return &imagecls.Settings{Labels: labels, ProblemType: problemType}, nil
	},
}

const finetuneExamples = `  # the embedded model and digits
  finetune image-classification

  # class folders (photos/cat/1.jpg …), a tenth for validation
  finetune image-classification --model vit-base-patch16-224 --train-file photos --validation-split 0.1 \
      --output-dir runs/photos

  # a file with the columns image (a path relative to the file) and label, images changed at random
  finetune image-classification --model deit-small --train-file train.csv --eval-file dev.csv \
      --augment crop=0.5,flip,jitter --mixup 0.2

  # MNIST, with the file of the labels beside that of the images
  finetune image-classification --model vit --train-file train-images-idx3-ubyte.gz \
      --test-file t10k-images-idx3-ubyte.gz

  # a model from nothing; preprocessor_config.json is beside config.json
  finetune image-classification --from-scratch vit/config.json --full --train-file photos.zip --output-dir runs/vit`

func finetune(env cli.Env) *cobra.Command {
	c := &imagecls.Finetuning{}
	confusion := ""
	c.OnConfusion = func(m imagecls.Confusion) { confusion = m.String() + "\n" }
	f := &task.Finetune{
		Config: c, BuiltIn: cli.ViT(), Models: task.Directories,
		Formats: "class folders, a zip archive of them, IDX, CSV, TSV or JSON Lines", Data: "digits of MNIST",
		Chosen: ", class by class", Head: task.HeadTrains,
		Adapter: imagecls.DefaultAdapter(), Training: imagecls.DefaultTraining(),
		Reading: func(fs *pflag.FlagSet) { addReading(fs, &c.Data) },
		Sections: func(fs *pflag.FlagSet) {
			cli.Section(fs, "All weights", func(fs *pflag.FlagSet) { task.AddFullWithoutTokenizer(fs, &c.AllWeights) })
		},
		Task:     func(fs *pflag.FlagSet) { addTask(fs, c) },
		Embedded: func() error { return mnist(c) },
		OwnBase:  func() bool { return c.FromScratch != "" },
		Defaults: func(model, data bool) { defaults(env, c, model && data) },
		Print: func(*spalora.Results) error {
			_, err := fmt.Fprint(env.Out, confusion)
			return err
		},
	}
	return f.Command(env, &cobra.Command{
		Use:   "image-classification",
		Short: "Classification of images: one class, several, or a value",
		Long: `Fine-tune a LoRA adapter (or, with --full, all weights) of ViT or DeiT for the classification of images: one
class for each, several, or a value (regression).

Images are PNG, JPEG, GIF, WebP and BMP files. They are read when they are needed and become pixels as the checkpoint's
preprocessor_config.json says. A file that cannot be read ends the run before training, but for --skip-bad-files.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (with --full: model.safetensors,
config.json and preprocessor_config.json) of the best state, without evaluation of the last; labels.json, metrics.jsonl
(a line for each step and evaluation), results.json, confusion_matrix.png (of the rows to test on, else of those to
evaluate on) and checkpoints.

With the embedded model and data (digits of MNIST) the test images are classified before training, too, and the
defaults are rank 16, all linear layers, learning rate 3e-3, 20 epochs, warm-up 0.1 and --augment crop=0.7.

With --full the default learning rate for a checkpoint is 5e-5.
` + task.ExitCodes + " with adapter or model saved.",
		Example: finetuneExamples,
	})
}

func addTask(fs *pflag.FlagSet, c *imagecls.Finetuning) {
	fs.StringSliceVar(&c.Labels, "labels", nil,
		"`names` of the classes, in order; default: the adapter's, else the checkpoint's id2label, else those found, sorted")
	fs.StringVar(&c.ProblemType, "problem-type", "",
		"single_label_classification, multi_label_classification or regression; default: guessed from the labels")
	addSkipping(fs, &c.SkipBadFiles)
	fs.Float32Var(&c.LabelSmoothingFactor, "label-smoothing-factor", 0, "label smoothing")
	fs.StringSliceVar(&c.ClassWeights, "class-weights", nil, "`weight` of each class in the loss, in order, or balanced")
	fs.StringSliceVar(&c.Augment, "augment", nil,
		"random `changes` of the images to train on: "+vision.Augmentations)
	fs.Float64Var(&c.Mixup, "mixup", 0,
		"mix another image into each to train on, with a share from the beta distribution with this parameter; 0: none")
}
