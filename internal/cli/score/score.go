// Package score is the command that compares generated texts with reference texts.
package score

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/tasks/metrics/normalize"
)

const examples = `  score --metric rouge --predictions summaries.jsonl --references highlights.jsonl
  score --metric bleu --predictions hyp.txt --references ref-a.txt --references ref-b.txt --tokenize intl
  score --metric chrf --predictions hyp.txt --references ref.txt --output chrf.json
  score --metric wer --normalize english --predictions transcripts.jsonl --references spoken.jsonl`

// measures are the values of --metric.
var measures = []string{"rouge", "bleu", "chrf", "exact-match", "wer", "cer"}

// scoring is one run of the command.
type scoring struct {
	metric, predictions string
	references          []string
	tokenize            string
	noStemmer           bool
	normalize           string
	form                func(text string) string // what --normalize names
	result              cli.Result
}

// Command returns "score".
func Command(env cli.Env) *cobra.Command {
	r := &scoring{result: cli.Result{Flag: "--output"}}
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Score generated texts against reference texts",
		Long: `Compare a file of generated texts with one or more files of reference texts, row by row, and print JSON. All
scores are in percent:
  rouge        rouge1, rouge2, rougeL, rougeLsum: mean F-measures, as rouge_score computes them
  bleu         bleu, with precisions, brevity_penalty, the lengths and the signature of sacreBLEU
  chrf         chrf and chrf++, with their signatures
  exact-match  exact_match: the share of rows that equal a reference
  wer          wer: word errors for 100 words of the references, as jiwer counts them; more than 100 is possible
  cer          cer: the same for characters
A file has one text in each line, also empty ones; a file whose name ends in .jsonl, .ndjson or .json has objects with
the key text, for texts with line feeds. A row of references may have a list of texts. Of several references of a row,
rouge and chrf take the best one, bleu counts what any of them has; wer and cer take one reference a row.
Exit codes: 0 done, 2 wrong flags, 3 a file is damaged or has another number of rows. After an error nothing is
written.`,
		Example: examples,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Input", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.predictions, "predictions", "", "`file` of the generated texts")
		fs.StringArrayVar(&r.references, "references", nil,
			"`file` of reference texts; may be given several times, for several references of each row")
	})
	cli.Section(fs, "Measure", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.metric, "metric", "", "rouge, bleu, chrf, exact-match, wer or cer")
		fs.StringVar(&r.tokenize, "tokenize", string(metrics.Tokenizer13a),
			"`tokenizer` of bleu: 13a, intl (punctuation of all scripts), zh (Chinese), char or none")
		fs.BoolVar(&r.noStemmer, "no-stemmer", false, "rouge compares whole words; default: their stems")
		fs.StringVar(&r.normalize, "normalize", "", "Whisper's normal `form` of the texts that wer and cer compare: english "+
			"(numbers as figures, contractions in full) or basic (any language); default: the texts as they are")
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.result.Path, "output", "", "`file` of JSON; default, or -: standard output")
		fs.BoolVar(&r.result.Overwrite, "overwrite", false, "replace --output if it exists")
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return r.run(env, cmd.Flags().Changed) }
	cli.Leaf(cmd)
	return cmd
}

// check returns an error if flags are missing or contradict each other.
func (r *scoring) check(given func(string) bool) error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(!slices.Contains(measures, r.metric), "--metric is %q; want one of %s", r.metric, strings.Join(measures, ", "))
	add(r.predictions == "", "--predictions is missing; give a file of generated texts")
	add(len(r.references) == 0, "--references is missing; give a file of reference texts")
	add(given("tokenize") && r.metric != "bleu", "--tokenize is for --metric bleu")
	add(given("no-stemmer") && r.metric != "rouge", "--no-stemmer is for --metric rouge")
	add(given("normalize") && !r.errorRate(), "--normalize is for --metric wer and cer")
	_, err := metrics.ParseTokenizer(r.tokenize)
	form, unknown := normalize.Named(r.normalize)
	r.form = form
	errs = append(errs, err, unknown)
	if err := cli.UsageError(errors.Join(errs...)); err != nil {
		return err
	}
	for _, input := range append([]string{r.predictions}, r.references...) {
		if err := r.result.Check(input); err != nil {
			return err
		}
	}
	return nil
}

// errorRate reports whether the metric compares each row with one reference.
func (r *scoring) errorRate() bool { return r.metric == "wer" || r.metric == "cer" }

func (r *scoring) run(env cli.Env, given func(string) bool) error {
	if err := r.check(given); err != nil {
		return err
	}
	predictions, err := read(r.predictions, false)
	if err != nil {
		return err
	}
	references := make([][]string, len(predictions))
	for _, path := range r.references {
		rows, err := read(path, true)
		if err != nil {
			return err
		}
		if len(rows) != len(predictions) {
			return cli.InputError(fmt.Errorf("%s has %d texts, %s has %d; give files of the same number of rows", r.predictions,
				len(predictions), path, len(rows)))
		}
		for i, texts := range rows {
			references[i] = append(references[i], texts...)
		}
	}
	if i := slices.IndexFunc(references, func(list []string) bool { return len(list) > 1 }); i >= 0 && r.errorRate() {
		return cli.InputError(fmt.Errorf("row %d has %d references, but %s compares with one; give one file with one text "+
			"a row", i+1, len(references[i]), r.metric))
	}
	scores := r.scores(predictions, references)
	return r.result.Write(env, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(scores)
	})
}

// The scores of each measure, in percent.
type (
	rougeScores struct {
		Rows      int     `json:"rows"`
		Rouge1    float64 `json:"rouge1"`
		Rouge2    float64 `json:"rouge2"`
		RougeL    float64 `json:"rougeL"`
		RougeLSum float64 `json:"rougeLsum"`
	}
	bleuScores struct {
		Rows             int       `json:"rows"`
		BLEU             float64   `json:"bleu"`
		Precisions       []float64 `json:"precisions"`
		BrevityPenalty   float64   `json:"brevity_penalty"`
		PredictionLength int       `json:"prediction_length"`
		ReferenceLength  int       `json:"reference_length"`
		Signature        string    `json:"signature"`
	}
	chrfScores struct {
		Rows          int     `json:"rows"`
		CHRF          float64 `json:"chrf"`
		CHRFPlus      float64 `json:"chrf++"`
		Signature     string  `json:"signature"`
		SignaturePlus string  `json:"signature++"`
	}
	wordScores struct {
		Rows           int     `json:"rows"`
		WER            float64 `json:"wer"`
		Edits          int     `json:"edits"`
		ReferenceWords int     `json:"reference_words"`
	}
	characterScores struct {
		Rows                int     `json:"rows"`
		CER                 float64 `json:"cer"`
		Edits               int     `json:"edits"`
		ReferenceCharacters int     `json:"reference_characters"`
	}
	matchScores struct {
		Rows       int     `json:"rows"`
		ExactMatch float64 `json:"exact_match"`
	}
)

// scores compares predictions, each a list of one text, with their references.
func (r *scoring) scores(predictions, references [][]string) any {
	rows := len(predictions)
	each := func(f func(prediction string, references []string)) {
		for i, p := range predictions {
			f(p[0], references[i])
		}
	}
	switch r.metric {
	case "rouge":
		var sum metrics.RougeMean
		each(func(p string, refs []string) { sum.Add(metrics.ScoreRouge(p, refs, !r.noStemmer)) })
		m := sum.Mean()
		return rougeScores{rows, 100 * m.R1.F1, 100 * m.R2.F1, 100 * m.L.F1, 100 * m.LSum.F1}
	case "bleu":
		b := metrics.NewBLEU(metrics.Tokenizer(r.tokenize))
		each(b.Add)
		s := b.Score()
		return bleuScores{
			Rows: rows, BLEU: s.Score, Precisions: s.Precisions[:], BrevityPenalty: s.BrevityPenalty,
			PredictionLength: s.PredictionLength, ReferenceLength: s.ReferenceLength, Signature: s.Signature,
		}
	case "chrf":
		c, plus := metrics.NewCHRF(false), metrics.NewCHRF(true)
		each(c.Add)
		each(plus.Add)
		return chrfScores{rows, c.Score(), plus.Score(), c.Signature(), plus.Signature()}
	case "wer":
		e := r.edits(metrics.NewWER(), each)
		return wordScores{rows, e.Score(), e.Edits, e.Length}
	case "cer":
		e := r.edits(metrics.NewCER(), each)
		return characterScores{rows, e.Score(), e.Edits, e.Length}
	}
	same := 0
	each(func(p string, refs []string) {
		if slices.Contains(refs, p) {
			same++
		}
	})
	return matchScores{rows, 100 * float64(same) / float64(rows)}
}

// edits adds all rows to an error rate, as --normalize asks.
func (r *scoring) edits(e *metrics.ErrorRate, each func(func(string, []string))) *metrics.ErrorRate {
	each(func(p string, refs []string) { e.Add(r.form(p), r.form(refs[0])) })
	return e
}
