package tokencls

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tasks"
)

// Aggregation chooses whether entities are made of tokens or of words, and which tag a word of several tokens has.
type Aggregation string

// The strategies of transformers' TokenClassificationPipeline, with its names.
const (
	AggregateNone    Aggregation = "none"    // each token is one of its own
	AggregateSimple  Aggregation = "simple"  // tokens; words may be taken apart
	AggregateFirst   Aggregation = "first"   // words; a word has the tag of its first token
	AggregateAverage Aggregation = "average" // words; the scores of a word's tokens are averaged
	AggregateMax     Aggregation = "max"     // words; a word has the tag of the token with the largest score
)

// Aggregations lists the strategies.
var Aggregations = []Aggregation{AggregateNone, AggregateSimple, AggregateFirst, AggregateAverage, AggregateMax}

// ParseAggregation reads the value of the setting aggregation_strategy; "" is first.
func ParseAggregation(s string) (Aggregation, error) {
	if s == "" {
		return AggregateFirst, nil
	}
	if a := Aggregation(s); slices.Contains(Aggregations, a) {
		return a, nil
	}
	return "", fmt.Errorf("`aggregation_strategy` is %q; want none, simple, first, average or max", s)
}

// Entity is an entity that was found in a text.
type Entity struct {
	Type     string  // of the entity or, of a token alone, its tag
	Score    float64 // mean probability of its tokens (none and simple) or words
	Text     string  // the part of the text
	From, To int     // its code points: From ≤ i < To
	// ID and Index are those of the first token.
	ID    int32
	Index int
}

// Entities returns the entities of a sentence in order. As in transformers' pipeline, neighbours with the same type are
// one entity, unless a tag says that one begins or ends between them; the score is the mean over tokens (simple) or
// words. Tags that spell no entities are types themselves. Words are those of the sentence, which the pipeline guesses.
// With a CRF, which scores words, every strategy acts as [AggregateFirst].
func (p *Predictor) Entities(e tagged.Sentence, of Prediction, a Aggregation) []Entity {
	if p.crf != nil {
		a = AggregateFirst
	}
	var parts []taggedPart
	for from := 0; from < len(of.Tokens); {
		to := from + 1
		if a != AggregateNone && a != AggregateSimple {
			for to < len(of.Tokens) && of.Tokens[to].Word == of.Tokens[from].Word {
				to++
			}
		}
		parts = append(parts, p.part(of.Tokens[from:to], a))
		from = to
	}
	text := []rune(e.Text)
	var out []Entity
	for from := 0; from < len(parts); {
		to, sum := from+1, parts[from].score
		for a != AggregateNone && to < len(parts) && p.continues(parts[to-1].tag, parts[to].tag) {
			sum += parts[to].score
			to++
		}
		if tag := parts[from].tag; tag != outside {
			kind := tag
			if a != AggregateNone {
				_, kind = p.cutTag(tag)
			}
			first, last := parts[from], parts[to-1]
			out = append(out, Entity{
				Type: kind, Score: sum / float64(to-from), Text: string(text[first.from:last.to]), From: first.from, To: last.to,
				ID: first.id, Index: first.index,
			})
		}
		from = to
	}
	return out
}

// Spelling returns the first token of an entity as the vocabulary spells it (##ton) or, if that is the unknown token,
// the entity's text.
func (p *Predictor) Spelling(e Entity) string {
	if e.ID == p.Tok.UnkID() {
		return e.Text
	}
	token, _ := p.Tok.Token(e.ID)
	return token
}

// Tag returns the entities in texts, found with the strategy a. Texts that are longer than the limit are read in
// windows, or cut, as the configuration says. With a CRF, a strategy other than [AggregateFirst] is an error.
func (p *Predictor) Tag(ctx context.Context, texts []string, a Aggregation) ([][]Entity, error) {
	if err := p.checkAggregation(a); err != nil {
		return nil, base.Settings(err)
	}
	o := &Opened{Predictor: p, Aggregation: a}
	return TagEach(ctx, texts, func(int) *Opened { return o })
}

// TagEach returns the entities in texts that several predictors serve: of returns that of each; see [PredictEach].
func TagEach(ctx context.Context, texts []string, of func(i int) *Opened) ([][]Entity, error) {
	f := tagged.New("texts")
	for i, text := range texts {
		f.Append(tagged.Raw(text, i+1))
	}
	list, _, err := PredictEach(ctx, f, func(i int) *Predictor { return of(i).Predictor })
	if err != nil {
		return nil, err
	}
	out := make([][]Entity, len(list))
	for i, found := range list {
		out[i] = of(i).Entities(f.At(i), found, of(i).Aggregation)
	}
	return out, nil
}

// Tag is the prediction for a word.
type Tag struct {
	Label string  // its tag; "" for a word without a token of its own
	Score float32 // probability of the tag
}

// TagWords returns the tags of the words of sentences.
func (p *Predictor) TagWords(ctx context.Context, sentences [][]string) ([][]Tag, error) {
	return TagWordsEach(ctx, sentences, p.all)
}

// TagWordsEach returns the tags of the words of sentences that several predictors serve: of returns that of each; see
// [PredictEach].
func TagWordsEach(ctx context.Context, sentences [][]string, of func(i int) *Predictor) ([][]Tag, error) {
	f := tagged.New("sentences")
	for i, words := range sentences {
		f.Append(tagged.OfWords(words, i+1))
	}
	list, _, err := PredictEach(ctx, f, of)
	if err != nil {
		return nil, err
	}
	out := make([][]Tag, len(list))
	for i, found := range list {
		labels, scores := of(i).Tags(f.At(i), found)
		out[i] = make([]Tag, len(labels))
		for j, label := range labels {
			out[i][j] = Tag{label, scores[j]}
		}
	}
	return out, nil
}

// taggedPart is a token or word with its prediction.
type taggedPart struct {
	tag             string
	score           float64
	from, to, index int
	id              int32
}

// part aggregates the tokens of a word.
func (p *Predictor) part(tokens []Token, a Aggregation) taggedPart {
	scores := tokens[0].Scores
	switch a {
	case AggregateMax:
		for _, k := range tokens[1:] {
			if k.Scores[tasks.Largest(k.Scores)] > scores[tasks.Largest(scores)] {
				scores = k.Scores
			}
		}
	case AggregateAverage:
		scores = make([]float32, len(scores))
		for j := range scores {
			sum := 0.0
			for _, k := range tokens {
				sum += float64(k.Scores[j])
			}
			scores[j] = float32(sum / float64(len(tokens)))
		}
	}
	from, best := tokens[0].From, tasks.Largest(scores)
	if a == AggregateFirst {
		best = p.best(&tokens[0])
	}
	if a != AggregateNone && a != AggregateSimple {
		from = max(from, tokens[0].Begin)
	}
	return taggedPart{
		tag: p.cfg.Labels.Names[best], score: float64(scores[best]), from: from, to: tokens[len(tokens)-1].To,
		index: tokens[0].Index, id: tokens[0].ID,
	}
}

// cutTag returns the letter and the type of a tag that spells an entity; of another the letter is 0.
func (p *Predictor) cutTag(tag string) (letter byte, kind string) {
	if p.cfg.Scheme == tagged.Plain || tag == "" || strings.IndexByte("BIESLU", tag[0]) < 0 {
		return 0, tag
	}
	if len(tag) == 1 {
		return tag[0], "_" // as seqeval calls entities without a type
	}
	if tag[1] != '-' {
		return 0, tag
	}
	return tag[0], tag[2:]
}

// continues reports whether a tag continues the entity of the tag before.
func (p *Predictor) continues(last, tag string) bool {
	lastLetter, lastKind := p.cutTag(last)
	letter, kind := p.cutTag(tag)
	if kind != lastKind {
		return false
	}
	begins := letter == 'B' || letter == 'S' || letter == 'U'
	ended := lastLetter == 'E' || lastLetter == 'S' || lastLetter == 'L' || lastLetter == 'U'
	return !begins && !ended
}
