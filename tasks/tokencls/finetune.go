package tokencls

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// Finetuning is the configuration of a run that trains a classifier of tokens. Fields have the names of the flags of
// "finetune token-cls"; the zero value of each is the default.
type Finetuning struct {
	tasks.Run
	// Train, Eval and Test are sentences that were read already, in place of the files of Run.
	Train, Eval, Test *tagged.File
	// Data says how the files of Run are read. Strict also refuses tags that break the rules of the scheme, which are
	// repaired otherwise.
	Data tagged.Options

	// Labels are the names of the tags, in order; nil: the adapter's, else the checkpoint's, else those found, sorted.
	Labels         []string
	LabelAllTokens bool   // give a label to all tokens of a word, not to the first one only
	Scheme         string // how tags spell entities, see [tagged.ParseScheme]; "": guessed from the tags to train on
	// SeqevalMode says which entities count in metrics: default, or strict: those spelled by the rules of the scheme.
	SeqevalMode          string
	MaxLength            *int // tokens of a sentence, 0: what the checkpoint allows; nil: the adapter's, else 0
	Stride               *int // tokens that windows of a longer sentence share, -1: cut it; nil: the adapter's, else 32
	LabelSmoothingFactor float32
	ClassWeights         []string // weight of each tag in the loss, in order, or balanced
	// CRF trains a conditional random field over the words of a sentence, whose transition scores are saved beside the
	// head. An adapter to start from that has one keeps it without this setting.
	CRF bool
	// CRFConstrain excludes transitions between tags that the rules of the scheme forbid, in training and predicting.
	CRFConstrain bool
}

// DefaultAdapter returns the default configuration of a new adapter.
func DefaultAdapter() lora.Config {
	c := tasks.DefaultAdapter()
	c.R = 16
	return c
}

// DefaultTraining returns the default settings of the training loop.
func DefaultTraining() train.Config {
	c := tasks.DefaultTraining()
	c.BatchSize = 16
	return c
}

// run is one run of a configuration.
type run struct {
	*Finetuning
	session *tasks.Session
	parts   tasks.Parts[*tagged.File]
	found   *data.Labels
	scheme  tagged.Scheme
	model   models.TokenClassifier

	forbidden   []bool // transitions between tags, with CRFConstrain
	evaluations []*Scores
	test        *Scores
}

// Plan implements [tasks.Finetuning].
func (c *Finetuning) Plan() *tasks.Plan {
	r := &run{Finetuning: c}
	return &tasks.Plan{
		Command: Type.Command, Adapter: DefaultAdapter(), Training: DefaultTraining(),
		Options: append(options(&c.MaxLength, &c.Stride, &c.Scheme, &c.SeqevalMode),
			base.Given("crf", &c.CRF), base.Given("crf-constrain", &c.CRFConstrain)),
		Check: func() []error { return append(check(c.Scheme, c.SeqevalMode, c.Stride), c.checkCRF()...) },
		Read:  r.read, Open: r.open, NewTask: r.newTask, Identity: r.identity, Describe: r.describe, Complete: r.complete,
		Labels: func() *data.Labels { return r.found }, Rows: &r.parts,
		TokenLabels: func(b *batch.Batch) []int32 { return b.Labels },
	}
}

// read reads the sentences and finds the scheme and the classes of their tags.
func (r *run) read(s *tasks.Session) error {
	r.session = s
	given := tasks.Parts[*tagged.File]{Train: r.Train, Eval: r.Eval, Test: r.Test}
	p, err := tasks.ReadParts(&r.Run, given, r.Data, tagged.Read, tagged.ReadFrom)
	if err != nil {
		return err
	}
	saved, err := s.SavedLabels(true)
	if err != nil {
		return err
	}
	src, err := s.LabelSource(r.Labels, saved)
	if err != nil {
		return err
	}
	if rest, ok := src.Yield(); ok {
		if _, err := p.Train.WithNames(src.Config); err != nil { // an index beyond the names
			src = rest
		}
	}
	names := firstOf(src.Fixed, src.Saved, src.Config)
	if err := p.Edit(func(f *tagged.File) (*tagged.File, error) { return f.WithNames(names) }); err != nil {
		return err
	}
	why := "`scheme`"
	if r.scheme, err = findScheme(r.Scheme, p.Train); err != nil {
		return err
	}
	if r.Scheme == "" {
		why = "guessed from the tags"
	}
	err = p.Edit(func(f *tagged.File) (*tagged.File, error) { return repair(f, r.scheme, r.Data.Strict) })
	if err != nil {
		return err
	}
	if r.found, err = tagged.FindLabels(src, p.Train, p.Eval, p.Test); err != nil {
		return err
	}
	if r.CRFConstrain {
		if r.forbidden, err = r.scheme.Forbidden(r.found.Names); err != nil {
			return base.Settings(fmt.Errorf("`crf_constrain`: %w", err))
		}
	}
	s.WarnReplaced(r.found)
	if err := s.CheckHead(r.found, "`labels`"); err != nil {
		return err
	}
	if err := p.Choose(&r.Run, s.Config.Seed); err != nil {
		return err
	}
	r.parts = p
	r.report(why)
	return nil
}

// firstOf returns the first list that is not empty.
func firstOf(lists ...[]string) []string {
	for _, l := range lists {
		if len(l) > 0 {
			return l
		}
	}
	return nil
}

// report logs what was read and what is odd about it.
func (r *run) report(why string) {
	p, log := r.parts, r.session.Log
	scheme := "tags of the scheme " + string(r.scheme)
	if r.scheme == tagged.Plain {
		scheme = "tags that spell no entities"
	}
	log.Info().Msgf("%s; %s (%s), %d labels", p.Sizes(p.Train.Name, "sentences"), scheme, why, len(r.found.Names))
	if r.scheme == tagged.Plain && !slices.ContainsFunc(r.found.Names, notNumber) {
		log.Warn().Msgf("%s: the tags are numbers, so they spell no entities; `labels` gives their names, in order",
			p.Train.Name)
	}
	for _, w := range tagged.Warnings(r.found, p.Train, p.Eval, p.Test) {
		log.Warn().Msg(w.String())
	}
}

// notNumber reports whether a tag is a word.
func notNumber(tag string) bool {
	_, err := strconv.Atoi(tag)
	return err != nil
}

func (r *run) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	if r.CRF {
		return r.openCRF(s)
	}
	if models.HasCRF(s.Base.Source, len(r.found.Names)) {
		s.Log.Info().Msgf("%s: the transition scores of a CRF are not used; `crf` trains them further", s.Base.Name)
	}
	r.model, subject, err = tasks.OpenSubject(s, Type.Of, base.Outputs(models.OpenTokenClassifier, len(r.found.Names)))
	return subject, err
}

func (r *run) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	s.Set.SetNote(schemeNote, string(r.scheme)) // the names of classes alone do not determine it
	if r.CRFConstrain {
		r.constrain(s)
	}
	weights, err := tasks.ClassWeights(r.ClassWeights, len(r.found.Names), r.allClasses)
	if err != nil {
		return nil, err
	}
	task, err := NewTask(r.model, s.Base.Tokenizer, TaskConfig{
		Config: Config{
			CoreConfig: s.Core(r.MaxLength), Labels: r.found, Scheme: r.scheme, Strict: r.SeqevalMode == strict,
			Stride: stride(r.Stride),
		},
		LabelAllTokens: r.LabelAllTokens, Smoothing: r.LabelSmoothingFactor, ClassWeights: weights, OnScores: r.scored,
	})
	if err != nil {
		return nil, base.Settings(err)
	}
	return task, r.parts.Consume(ctx, task.Add, func(split batch.Split, f *tagged.File) {
		task.Counts(split).Log(s.Log, f.Name, task.Limit())
	})
}

// allClasses returns the classes of all words to train on.
func (r *run) allClasses() ([]int32, error) {
	list, err := r.parts.Train.Classes(r.found)
	return slices.Concat(list...), err
}

func (r *run) identity(id map[string]string) {
	id["labels"] = string(r.found.Encode())
	id["max_length"], id["stride"] = fmt.Sprint(tasks.Value(r.MaxLength)), fmt.Sprint(stride(r.Stride))
	id["label_all_tokens"] = fmt.Sprint(r.LabelAllTokens)
	id["label_smoothing_factor"] = fmt.Sprint(r.LabelSmoothingFactor)
	id["class_weights"] = strings.Join(r.ClassWeights, ",")
	id["scheme"], id["seqeval_mode"] = string(r.scheme), cmp.Or(r.SeqevalMode, DefaultMode)
	if r.CRF { // runs without one have the identity that earlier versions gave them
		id["crf"], id["crf_constrain"] = "true", fmt.Sprint(r.CRFConstrain)
	}
}

func (r *run) describe(results *tasks.Results) {
	results.Facts = append(results.Facts, tasks.Fact{Key: "problem_type", Value: r.found.Problem.String()},
		tasks.Fact{Key: "num_labels", Value: len(r.found.Names)})
}
