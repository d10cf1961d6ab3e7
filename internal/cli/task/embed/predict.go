package embed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/embed"
)

// predicting is one run of "predict embed".
type predicting struct {
	settings embed.Settings
	input    cli.InputFlags
	data     text.Options
	format   string
}

const predictExamples = `  # two vectors of the embedded sentence encoder
  predict embed --text "Where is my card?" --text "I lost my PIN"

  # how similar two texts are, with an adapter that finetune wrote
  predict embed --adapter runs/embed-20260101-120000 --text "Where is my card?" --text-pair "My card has not come."

  # a vector for each line of a file, as an array for numpy.load
  predict embed --input texts.txt --output-format npy --output vectors.npy

  # the correlation with scores (STS-B), without training
  predict embed --input test.csv --no-header --text-column 0 --text-pair-column 1 --label-column 2 \
      --max-score 5 --output similarities.jsonl`

func predict(env cli.Env) *cobra.Command {
	r := &predicting{}
	t := &task.Predict{
		Kind: embed.Kind, BuiltIn: cli.MiniLM(), Settings: &r.settings, Tokens: &r.settings.TokensPerBatch,
		Model: func(fs *pflag.FlagSet) {
			addPooling(fs, &r.settings.Pooling)
			addPrompt(fs, &r.settings.Prompt, &r.settings.PromptName, "each text",
				"the adapter's, else the checkpoint's default one")
		},
		AdapterUsage: "`directory` of an adapter, of finetune or of PEFT; default: none, the checkpoint itself",
		Input:        r.addInput, Output: r.addOutput, Check: r.check, Run: r.run,
	}
	return t.Command(env, &cobra.Command{
		Use:     "embed",
		Aliases: []string{alias},
		Short:   "Vectors of texts, and the similarity of two texts",
		Long: `Turn texts into vectors whose cosine measures how similar their meanings are, with a sentence encoder and,
if given, an adapter.

It writes one JSON object for each row, in the order of the input:
  adapter     with --adapters: name of the adapter that served the row, null for the base model
  embedding   of a text: its vector
  similarity  of a pair of texts: the cosine of their vectors, from -1 to 1, unless the checkpoint names another measure
If pairs have scores, their correlations with the similarities go to standard error and, with --metrics-file, to a file.
` + task.ExitCodes + ". After an error nothing is written.",
		Example: predictExamples,
	})
}

func (r *predicting) addInput(fs *pflag.FlagSet) {
	r.input.Add(fs)
	addReading(fs, &r.data)
	fs.BoolVar(&r.data.NoLabels, "no-labels", false, "do not read scores, even if the input has some")
	addMaxScore(fs, &r.settings.MaxScore)
	cli.AddMaxLength(fs, &r.settings.MaxLength, "a text")
}

func (r *predicting) addOutput(fs *pflag.FlagSet) {
	fs.StringVar(&r.format, "output-format", "jsonl",
		"jsonl, or npy: an array of float32, a row for each text, as numpy.load reads it")
	cli.Optional(fs, &r.settings.Normalize, "normalize", false,
		"divide each vector by its length; default: as modules.json of the checkpoint says; true for the embedded MiniLM")
}

func (r *predicting) check(p *task.Predicting) []error {
	p.Input = &r.input.Input
	reading := cli.FlagNames(func(fs *pflag.FlagSet) { addReading(fs, new(text.Options)) })
	errs := []error{r.input.Check(p.Env, p.Given, reading)}
	add := func(bad bool, message string) {
		if bad {
			errs = append(errs, errors.New(message))
		}
	}
	if r.format != "jsonl" && r.format != "npy" {
		errs = append(errs, fmt.Errorf("--output-format is %q; want jsonl or npy", r.format))
	}
	unscored := r.data.NoLabels || len(r.input.Texts) > 0
	add(p.Given("prompt") && p.Given("prompt-name"), "--prompt and --prompt-name exclude each other")
	add(r.data.NoLabels && r.data.LabelColumn != "", "--no-labels excludes --label-column")
	add(p.Scored && unscored, "--metrics-file needs an input of pairs with scores")
	add(p.Given("max-score") && unscored, "--max-score needs an input of pairs with scores")
	return append(errs, embed.CheckSettings(r.settings.Pooling, r.settings.MaxScore)...)
}

func (r *predicting) run(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
	f, err := r.read(p)
	if err != nil {
		return nil, err
	}
	parts, err := task.Parts[*embed.Opened](p.Models, f.Name, f)
	if err != nil {
		return nil, err
	}
	cut := 0
	vectors, err := task.PredictEach(p, f.Name, f, parts,
		func(rows *text.File, of func(row int) *embed.Opened) ([][]float32, int, error) {
			return embed.EmbedEach(cmd.Context(), rows, func(i int) *embed.Predictor { return of(i).Predictor })
		}, func(n int) { cut += n })
	if err != nil {
		return nil, err
	}
	texts := f.Len()
	if f.At(0).HasPair {
		texts *= 2
	}
	limit, _ := task.Limits(parts)
	tasks.WarnCut(p.Console.Log, f.Name, cut, texts, limit)
	if !f.At(0).HasPair {
		return &task.Predictions{Rows: func(w io.Writer) error { return r.writeVectors(w, p.Models, f, vectors) }}, nil
	}
	similarities := make([]float32, f.Len())
	out := &task.Predictions{Name: f.Name, Rows: func(w io.Writer) error {
		return task.EachRow(w, p.Models, "row", f, func(i int) any { return similarityRow{similarities[i]} })
	}}
	for _, s := range parts {
		list := s.Predictor.Similarities(slices.Concat(task.Pick(vectors, s.Rows)...))
		for i, row := range s.Rows {
			similarities[row] = list[i]
		}
		metrics, err := s.Predictor.Score(s.File, list)
		if err != nil {
			return nil, err
		}
		p.Console.Undefined(metrics)
		out.Add(s.Adapter, metrics, s.File.Labelled(), s.File.Labelled())
	}
	out.Average("loss")
	return out, nil
}

// read returns the texts or pairs.
func (r *predicting) read(p *task.Predicting) (*text.File, error) {
	f := r.input.File()
	if f == nil {
		var err error
		o := r.data
		o.Adapter = p.Models.Adapter()
		if f, err = embed.ReadFile(r.input.Input, p.Env.In, o); err != nil {
			return nil, err
		}
		p.WarnRead(f.ReadWarnings())
	}
	pairs, wanted := f.At(0).HasPair, p.Scored || r.data.LabelColumn != ""
	switch {
	case pairs && r.format == "npy":
		return nil, base.Settings(errors.New("`output_format npy` is for vectors of texts, " +
			"but the input has pairs of texts, whose similarity is written"))
	case !pairs && wanted:
		return nil, base.Input(fmt.Errorf("%s: the rows are single texts, so there are no scores and no metrics "+
			"(`text_pair_column` names the second texts)", f.Name))
	case wanted && f.Labelled() == 0:
		return nil, base.Input(fmt.Errorf("%s: no pair has a score, so there are no metrics", f.Name))
	case p.Given("max-score") && f.Labelled() == 0:
		return nil, base.Settings(fmt.Errorf("`max_score` is for pairs with scores, but %s has none", f.Name))
	}
	return f, nil
}

// vectorRow is the output for a text.
type vectorRow struct {
	Embedding []float32 `json:"embedding"`
}

// similarityRow is the output for a pair of texts.
type similarityRow struct {
	Similarity float32 `json:"similarity"`
}

// writeVectors writes the vector of each row.
func (r *predicting) writeVectors(w io.Writer, m *task.Models, f *text.File, vectors [][]float32) error {
	if r.format == "npy" {
		return writeNPY(w, vectors)
	}
	return task.EachRow(w, m, "row", f, func(i int) any { return vectorRow{vectors[i]} })
}

// writeNPY writes rows of float32 in the format NPY 1.0 of NumPy: a header whose length is a multiple of 64, then the
// values, little-endian.
func writeNPY(w io.Writer, vectors [][]float32) error {
	width := len(vectors[0])
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", len(vectors), width)
	const before = 10 // magic, version and the length
	for (before+len(header)+1)%64 != 0 {
		header += " "
	}
	header += "\n"
	head := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	if _, err := w.Write(append(head, header...)); err != nil {
		return err
	}
	for _, v := range vectors {
		if err := binary.Write(w, binary.LittleEndian, v); err != nil {
			return err
		}
	}
	return nil
}
