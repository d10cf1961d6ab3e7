package tokencls

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// CRF reports whether the model has a conditional random field, so that tags are those of the best path through a
// sentence, and scores of words their marginal probabilities.
func (p *Predictor) CRF() bool { return p.crf != nil }

// chain returns the transition scores in use. The model must have a conditional random field.
func (p *Predictor) chain() *op.Chain { return op.NewChain(p.crf.Scores(p.Adapter), p.forbidden) }

// checkAggregation returns an error about a strategy that needs scores of tokens if there are only those of words.
func (p *Predictor) checkAggregation(a Aggregation) error {
	if p.crf == nil || a == AggregateFirst {
		return nil
	}
	return fmt.Errorf("`aggregation_strategy %s` reads scores of single tokens, but the model's CRF scores whole words; "+
		"leave it out, or use first", a)
}

// decode replaces the logits of tokens, which are in place of scores, by the label and the marginal probabilities of
// each word, at its first token. The chain of a sentence goes over its words, whatever windows they were read in.
func (of *Prediction) decode(c *op.Chain, k int) {
	var firsts []int
	for i := range of.Tokens {
		if i == 0 || of.Tokens[i].Word != of.Tokens[i-1].Word {
			firsts = append(firsts, i)
		}
	}
	of.emissions = make([]float32, 0, len(firsts)*k)
	for _, i := range firsts {
		of.emissions = append(of.emissions, of.Tokens[i].Scores...)
	}
	path, scores := make([]int32, len(firsts)), make([]float32, len(of.emissions))
	c.Viterbi(of.emissions, path)
	c.Marginals(of.emissions, scores)
	n := -1 // number of the word
	for i := range of.Tokens {
		token := &of.Tokens[i]
		token.Scores = nil
		if n+1 < len(firsts) && firsts[n+1] == i {
			n++
			token.Scores = scores[n*k : (n+1)*k : (n+1)*k]
		}
		token.Label = int(path[n])
	}
}

// decode sets found to the labels of words, given their emissions (K for each), and returns the loss summed over the
// sentences and their number.
func (t *Task) decode(s *set, emissions []float32, found []int32) (loss, sentences float64) {
	chain, k, wanted := t.chain(), t.outputs(), s.wanted()
	from := 0
	for _, to := range s.ends {
		x := emissions[from*k : to*k]
		chain.Viterbi(x, found[from:to])
		sum, n := chain.Loss(x, wanted[from:to])
		loss, sentences = loss+sum, sentences+float64(n)
		from = to
	}
	return loss, sentences
}

// keptStarts returns the offsets of sequences among the rows with the given ascending numbers; nil: all rows.
func keptStarts(starts, rows []int) []int {
	if rows == nil {
		return starts
	}
	kept := make([]int, len(starts))
	for i, s := range starts {
		kept[i] = sort.SearchInts(rows, s)
	}
	return kept
}

// checkCRF returns the errors about settings that have no meaning with a conditional random field, or without one. The
// adapter to start from has one if its file has transition scores.
func (c *Finetuning) checkCRF() []error {
	if has, _ := adapterCRF(c.Adapter); has {
		c.CRF = true
	}
	var errs []error
	add := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New(text))
		}
	}
	add(c.CRFConstrain && !c.CRF, "`crf_constrain` needs `crf`, whose transitions it limits")
	add(c.CRF && c.LabelAllTokens,
		"`label_all_tokens` excludes `crf`: the chain of a sentence has one tag for each word, that of its first token")
	add(c.CRF && c.LabelSmoothingFactor != 0,
		"`label_smoothing_factor` excludes `crf`: the loss is that of whole sentences, not of single labels")
	add(c.CRF && len(c.ClassWeights) > 0,
		"`class_weights` excludes `crf`: the loss is that of whole sentences, not of single tags")
	return errs
}

// adapterCRF reports whether the adapter in dir has transition scores, and whether it has not although its
// modules_to_save name them. "" and an adapter that cannot be read have none; loading reports the error.
func adapterCRF(dir string) (has, lost bool) {
	if dir == "" {
		return false, false
	}
	tensors, err := lora.Tensors(dir)
	if err != nil {
		return false, false
	}
	if slices.ContainsFunc(tensors, func(t lora.TensorInfo) bool { return models.IsCRF(t.Path) }) {
		return true, false
	}
	c, _, err := lora.ReadConfig(dir)
	return false, err == nil && slices.Contains(c.ModulesToSave, models.CRFModule)
}

// opener is a function that opens a model with a head for a number of labels.
type opener = func(src *checkpoint.Source, labels int, seed uint64) (models.TokenClassifier, checkpoint.Report, error)

func openTagger(src *checkpoint.Source, labels int, seed uint64) (models.TokenClassifier, checkpoint.Report, error) {
	t, report, err := models.OpenTagger(src, labels, seed)
	if err != nil {
		return nil, report, err
	}
	return t, report, nil
}

// openerOf returns how a trained model is opened: with a conditional random field if the adapter has transition scores
// or, without an adapter, the checkpoint.
func openerOf(o tasks.Opening, has bool) opener {
	return func(src *checkpoint.Source, labels int, seed uint64) (models.TokenClassifier, checkpoint.Report, error) {
		if has || o.Adapter.Dir == "" && models.HasCRF(src, labels) {
			return openTagger(src, labels, seed)
		}
		return models.OpenTokenClassifier(src, labels, seed)
	}
}

// shareCRF returns a shared model for an adapter over k labels that has transition scores or not: with a conditional
// random field of that size in place of the one that the model was opened with, or without one.
func shareCRF(s *base.Shared, has bool, k int) *base.Shared {
	return base.Reshaped(s, func(net models.TokenClassifier) models.TokenClassifier {
		if t, ok := net.(*models.Tagger); ok {
			net = t.TokenClassifier
		}
		if !has {
			return net
		}
		return models.NewTagger(net, k)
	})
}

// openCRF makes the subject of a run one with a conditional random field.
func (r *run) openCRF(s *tasks.Session) (subject *tasks.Subject, err error) {
	r.model, subject, err = tasks.OpenSubject(s, Type.Of, base.Outputs(openTagger, len(r.found.Names)))
	if err == nil {
		subject.Type.Saves, subject.Adds = []string{models.CRFModule}, []string{models.CRFModule}
	}
	return subject, err
}

// constrain gives the transitions that the scheme forbids the score that says so.
func (r *run) constrain(s *tasks.Session) {
	w := r.model.(*models.Tagger).CRF.Scores(s.AdapterSet())
	scores, n := op.Values(w.Train()), 0
	for i, forbidden := range r.forbidden {
		if forbidden {
			scores[i] = op.Forbidden
			n++
		}
	}
	s.Log.Info().Msgf("the CRF excludes %d of %d transitions, which the scheme %s forbids", n, len(scores)-1, r.scheme)
}
