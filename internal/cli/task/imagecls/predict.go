package imagecls

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/classes"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/classification"
	"github.com/spalora/spalora/tasks/imagecls"
	"github.com/spalora/spalora/vision"
)

// predicting is one run of "predict image-classification".
type predicting struct {
	settings imagecls.Settings
	inputs   []string
	data     picture.Options
	skip     int
	output   classes.Output
	pixels   bool
}

// part is the rows that one predictor serves.
type part = task.Part[*imagecls.Opened, *picture.File]

// kind is what commands must know of files of images.
var kind = classification.Kind[*picture.File]{
	Name:  func(f *picture.File) string { return f.Name },
	Guess: func(f *picture.File) (data.Problem, string, error) { return data.GuessProblem(f) },
	Find:  picture.FindLabels,
}

const predictExamples = `  # some images, with an adapter that finetune wrote
  predict image-classification --model vit-base-patch16-224 --adapter runs/photos --input a.png b.jpg

  # class folders, with the probabilities of all classes; metrics, too
  predict image-classification --model DIR --adapter D --input photos/test --output predictions.jsonl --all-scores \
      --metrics-file metrics.json

  # a checkpoint that has a trained head, on rows with the path of an image
  predict image-classification --model DIR --input rows.jsonl --skip-bad-files 10 --output predictions.jsonl`

func predict(env cli.Env) *cobra.Command {
	r := &predicting{}
	t := &task.Predict{
		Kind: imagecls.Kind, BuiltIn: cli.ViT(), Settings: &r.settings,
		Model: func(fs *pflag.FlagSet) {
			fs.StringVar(&r.settings.ProblemType, "problem-type", "", cli.ProblemTypeUsage)
			fs.StringSliceVar(&r.settings.Labels, "labels", nil, cli.LabelsUsage)
		},
		Input: r.addInput, Output: r.addOutput, Check: r.check, Run: r.run,
	}
	cmd := t.Command(env, &cobra.Command{
		Use:   "image-classification",
		Short: "Classes or values of images",
		Long: `Predict the class (or classes, or value) of images.

--input is an image, a directory, a zip archive, an IDX file, or a file of rows (CSV, TSV, JSON Lines, or a path in each
line). It may be given several times for images, which may also follow it: --input *.png.

It writes one JSON object for each image, in the order of the input:
  adapter with --adapters: name of the adapter that served the row, null for the base model
  image   the image as the input names it
  label   name of the most probable class; multi-label: list of those with a probability above 0.5; regression: null
  score   probability of the label; multi-label: list of them; regression: the predicted value
  logits  with --logits: the raw outputs, one for each class
  scores  with --all-scores: {name: probability} for all classes
  pixels  with --pixels: what the model sees, a list of channels, each a list of rows of values
If the input has labels (class folders have), metrics go to standard error and, with --metrics-file, to a file.
` + task.ExitCodes + ". After an error nothing is written.",
		Example: predictExamples,
	})
	cli.MoreInputs(cmd, &r.inputs, "images")
	return cmd
}

func (r *predicting) addInput(fs *pflag.FlagSet) {
	fs.StringArrayVar(&r.inputs, "input", nil,
		"`image`, directory, archive or file of rows, or - for rows in standard input; default: standard input, if "+
			"something is piped into it")
	addReading(fs, &r.data)
	fs.BoolVar(&r.data.NoLabels, "no-labels", false, "do not read labels, even if the input has some")
	addSkipping(fs, &r.skip)
}

func (r *predicting) addOutput(fs *pflag.FlagSet) {
	r.output.Add(fs)
	fs.BoolVar(&r.pixels, "pixels", false, "write the pixels that the model sees too")
}

func (r *predicting) check(p *task.Predicting) []error {
	if len(r.inputs) == 0 {
		r.inputs = []string{""}
	}
	p.Input = &r.inputs[0]
	var errs []error
	if len(r.inputs) == 1 {
		errs = append(errs, cli.DefaultInput(p.Input, p.Env, p.Given, "give --input, or pipe rows into standard input"))
	}
	if r.data.NoLabels && (r.data.LabelColumn != "" || r.data.LabelSeparator != "") {
		errs = append(errs, errors.New("--no-labels excludes --label-column and --label-separator"))
	}
	if p.Scored && (r.data.NoLabels || len(r.inputs) > 1) {
		errs = append(errs, errors.New("--metrics-file needs an input with labels"))
	}
	if r.skip < 0 {
		errs = append(errs, fmt.Errorf("--skip-bad-files is %d; want 1 or more, or 0 for none", r.skip))
	}
	return errs
}

func (r *predicting) run(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
	f, err := r.read(p)
	if err != nil {
		return nil, err
	}
	f, bad, err := f.Check(cmd.Context(), vision.Limits{}, r.skip)
	if err != nil {
		return nil, err
	}
	for _, b := range bad {
		p.Console.Log.Warn().Msgf("left out: %s", b)
	}
	parts, err := task.Parts[*imagecls.Opened](p.Models, f.Name, f)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		if err := r.prepare(p, &parts[i]); err != nil {
			return nil, err
		}
	}
	logits, err := task.PredictEach(p, f.Name, f, parts,
		func(rows *picture.File, of func(row int) *imagecls.Opened) ([][]float32, struct{}, error) {
			list, err := imagecls.PredictEach(cmd.Context(), rows, func(i int) *imagecls.Predictor { return of(i).Predictor })
			return list, struct{}{}, err
		}, func(struct{}) {})
	if err != nil {
		return nil, err
	}
	predictors := task.ByRow(parts)
	out := &task.Predictions{Name: f.Name, Rows: func(w io.Writer) error {
		var failed error
		err := task.EachRow(w, p.Models, "row", f, func(i int) any {
			row, err := r.row(f, i, predictors[i].Predictor, logits[i])
			failed = errors.Join(failed, err)
			return row
		})
		return errors.Join(failed, err)
	}}
	var found []*data.Labels
	for _, s := range parts {
		found = append(found, s.Predictor.Labels())
		metrics, err := s.Predictor.Score(s.File, slices.Concat(task.Pick(logits, s.Rows)...))
		if err != nil {
			return nil, err
		}
		p.Console.Undefined(metrics)
		out.Add(s.Adapter, metrics, s.File.Labelled(), s.File.Labelled())
	}
	out.Average(classes.Means(found)...)
	return out, nil
}

// read returns the rows to predict.
func (r *predicting) read(p *task.Predicting) (f *picture.File, err error) {
	o := r.data
	o.OptionalLabels, o.Adapter = true, p.Models.Adapter()
	if len(r.inputs) > 1 {
		o.Format = picture.Image
		return picture.ReadImages(r.inputs, o)
	}
	if f, err = tasks.ReadFile(r.inputs[0], p.Env.In, o, picture.Read, picture.ReadFrom); err != nil {
		return nil, err
	}
	p.WarnRead(f.ReadWarnings())
	if f.Labelled() == 0 && (r.data.LabelColumn != "" || p.Scored) {
		return nil, base.Input(fmt.Errorf("%s: no row has a label, so there are no metrics", f.Name))
	}
	return f, nil
}

// prepare holds the labels of the rows of a part to the classes of its predictor.
func (r *predicting) prepare(p *task.Predicting, part *part) (err error) {
	c := part.Predictor
	if err := r.output.Check(c.Labels()); err != nil {
		return err
	}
	var labels *data.Labels
	m := classes.Model{Labels: c.Labels(), ProblemKnown: c.ProblemKnown, LabelsNamed: c.LabelsNamed}
	if part.File, labels, err = classes.Compare(p, part.File, m, kind); err != nil {
		return err
	}
	part.Predictor = &imagecls.Opened{Predictor: c.WithLabels(labels), ProblemKnown: c.ProblemKnown,
		LabelsNamed: c.LabelsNamed}
	return nil
}

// row is the output for one image.
type row struct {
	Image string `json:"image"`
	classes.Row
	Pixels [][][]float32 `json:"pixels,omitempty"` // channels of rows of values
}

func (r *predicting) row(f *picture.File, i int, p *imagecls.Predictor, logits []float32) (row, error) {
	out := row{Image: f.At(i).Image, Row: r.output.Row(p.Class(logits), p.Labels())}
	if !r.pixels {
		return out, nil
	}
	values, width, height, err := p.Seen(f, i)
	if err != nil {
		return out, base.Input(err)
	}
	for plane := range slices.Chunk(values, width*height) {
		out.Pixels = append(out.Pixels, slices.Collect(slices.Chunk(plane, width)))
	}
	return out, nil
}
