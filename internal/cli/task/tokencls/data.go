package finetune

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/metrics"
)

// readData reads the sentences and finds the scheme and the classes of their tags.
func (r *tokenClsRun) readData(base *cli.Base) error {
	t, err := r.readTables()
	if err != nil {
		return err
	}
	saved, err := r.savedLabels(true)
	if err != nil {
		return err
	}
	src, err := r.labelSource(base, r.labels, saved)
	if err != nil {
		return err
	}
	names := firstOf(src.Fixed, src.Saved, src.Config)
	if err := t.edit(func(x *tagged.File) (*tagged.File, error) { return x.WithNames(names) }); err != nil {
		return err
	}
	var why string
	if r.scheme, why, err = r.data.FindScheme(t.train); err != nil {
		return err
	}
	if err := t.edit(func(x *tagged.File) (*tagged.File, error) { return cli.RepairTags(x, r.scheme, r.data.Strict) }); err != nil {
		return err
	}
	if r.found, err = tagged.FindLabels(src, t.train, t.eval, t.test); err != nil {
		return err
	}
	if err := r.checkHead(r.found, "--labels says"); err != nil {
		return err
	}
	if err := t.choose(r.files, r.train.cfg.Seed); err != nil {
		return err
	}
	r.tables = t
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

func (r *tokenClsRun) readTables() (t parts[*tagged.File], err error) {
	if r.files.train == "" {
		train, test := embedded.Restaurant8k()
		o := tagged.Options{Format: data.JSONLines}
		if t.test, err = tagged.ReadBytes(test, embedded.Restaurant8kName+" test", o); err != nil {
			return t, err
		}
		t.train, err = tagged.ReadBytes(train, embedded.Restaurant8kName, o)
		return t, err
	}
	o, err := r.data.Options()
	if err != nil {
		return t, err
	}
	return readParts(r.files, func(path string) (*tagged.File, error) { return cli.ReadTokens(path, r.env.In, o) })
}

// report logs what was read and what is odd about it.
func (r *tokenClsRun) report(why string) {
	t, log := r.tables, r.console.Log
	rows := t.sizes(t.train.Name, "sentences", func(x *tagged.File) int { return x.Len() })
	scheme := "tags of the scheme " + string(r.scheme)
	if r.scheme == tagged.Plain {
		scheme = "tags that spell no entities"
	}
	log.Info().Msgf("%s; %s (%s), %d labels", rows, scheme, why, len(r.found.Names))
	if r.scheme == tagged.Plain && !slices.ContainsFunc(r.found.Names, notNumber) {
		log.Warn().Msgf("%s: the tags are numbers, so they spell no entities; --labels gives their names, in order", t.train.Name)
	}
	r.warn(tagged.Warnings(r.found, t.train, t.eval, t.test))
}

// notNumber reports whether a tag is a word.
func notNumber(tag string) bool {
	_, err := strconv.Atoi(tag)
	return err != nil
}

// remark logs what is odd about the scores of a split and, of the test, those of each type.
func (r *tokenClsRun) remark(s batch.Split, scores *tasks.TokenScores) {
	log := r.console.Log
	for _, text := range oddScores(scores, r.found.Names) {
		log.Warn().Msgf("%v: %s", s, text)
	}
	if s != batch.Test {
		return
	}
	list := typeScores(scores, r.found.Names)
	if scores.Entities == nil {
		return
	}
	for _, x := range list {
		log.Info().Msgf("test, %s: precision %.4f, recall %.4f, f1 %.4f; %d entities, %d predicted", x.Type, x.Precision, x.Recall, x.F1, x.Targets, x.Predicted)
	}
}

// oddScores says why scores tell little.
func oddScores(s *tasks.TokenScores, names []string) []string {
	if s.Entities == nil {
		only := ""
		for i, c := range s.Tags.PerClass {
			if c.Predicted == s.Words && c.Targets < s.Words {
				only = names[i]
			}
		}
		if only == "" {
			return nil
		}
		return []string{fmt.Sprintf("%s is predicted for every one of %d words. Likely causes: %s", only, s.Words, collapse)}
	}
	wanted, predicted := s.Found()
	switch {
	case wanted == 0 && predicted == 0:
		return []string{fmt.Sprintf("none of the %d words is in an entity, and none is predicted to be: f1, precision and recall are 0 by convention", s.Words)}
	case wanted == 0:
		return []string{fmt.Sprintf("none of the %d words is in an entity, so each of the %d predicted ones is wrong and f1 is 0", s.Words, predicted)}
	case predicted == 0:
		return []string{fmt.Sprintf("not one entity is predicted for %d words, which have %d: f1 is 0. Likely causes: %s", s.Words, wanted, collapse)}
	}
	return nil
}

// collapse lists why a model predicts one tag only.
const collapse = "too few steps so far; a learning rate that is too high for the layers that are adapted (all-linear with 3e-3 collapses to O, 1e-3 on query and value does not) " +
	"or too low; --class-weights; or almost all words with one tag (--class-weights balanced)"

// typeScore is the score of a type of entity, or of a tag, as results.json has it.
type typeScore struct {
	Type      string  `json:"type"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	Targets   int     `json:"targets"`
	Predicted int     `json:"predicted"`
}

// typeScores lists the scores of types or, without entities, of tags that are there or predicted.
func typeScores(s *tasks.TokenScores, names []string) []typeScore {
	if s == nil {
		return nil
	}
	var list []typeScore
	add := func(name string, c metrics.ClassScore) {
		list = append(list, typeScore{name, c.Precision, c.Recall, c.F1, c.Targets, c.Predicted})
	}
	if s.Entities != nil {
		for _, t := range s.Entities.PerType {
			add(t.Type, t.ClassScore)
		}
		return list
	}
	for i, c := range s.Tags.PerClass {
		if c.Targets+c.Predicted > 0 {
			add(names[i], c)
		}
	}
	return list
}

// complete puts the scores of types into the results: those of the best evaluation, if it was in this run, and of the test.
func (r *tokenClsRun) complete(out *results) {
	out.TestTypes = typeScores(r.test, r.found.Names)
	best := out.Train.Best
	if best == nil {
		return
	}
	for _, s := range r.evaluations {
		if reflect.DeepEqual(s.Metrics(), best.Metrics) {
			out.EvalTypes = typeScores(s, r.found.Names)
			return
		}
	}
}
