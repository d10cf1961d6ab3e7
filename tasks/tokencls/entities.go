package tasks

import (
	"strings"

	"github.com/spalora/spalora/data/tagged"
)

// Aggregation says what entities are made of: of tokens or of words, and which tag a word of several tokens has.
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

// TextEntity is an entity that was found in a text.
type TextEntity struct {
	Type     string // of the entity or, of a token alone, its tag
	Score    float64
	From, To int // code points of the text
	// ID and Index are those of the first token.
	ID    int32
	Index int
}

// Entities returns what is predicted for a sentence as a list of entities in order, without what is outside of any. As in transformers'
// pipeline, neighbours with the same type are one entity, unless a tag says that one begins or ends between them; the score is the mean over
// tokens (simple) or words. Tags that spell no entities are types themselves. Words are those of the sentence: the pipeline guesses at them.
func (t *TokenCls) Entities(p TokenPrediction, a Aggregation) []TextEntity {
	var parts []taggedPart
	for from := 0; from < len(p.Tokens); {
		to := from + 1
		if a != AggregateNone && a != AggregateSimple {
			for to < len(p.Tokens) && p.Tokens[to].Word == p.Tokens[from].Word {
				to++
			}
		}
		parts = append(parts, t.part(p.Tokens[from:to], a))
		from = to
	}
	var out []TextEntity
	for from := 0; from < len(parts); {
		to, sum := from+1, parts[from].score
		for a != AggregateNone && to < len(parts) && t.goesOn(parts[to-1].tag, parts[to].tag) {
			sum += parts[to].score
			to++
		}
		if tag := parts[from].tag; tag != outside {
			kind := tag
			if a != AggregateNone {
				_, kind = t.cutTag(tag)
			}
			out = append(out, TextEntity{Type: kind, Score: sum / float64(to-from), From: parts[from].from, To: parts[to-1].to, ID: parts[from].id, Index: parts[from].index})
		}
		from = to
	}
	return out
}

// taggedPart is a token or word with what is predicted for it.
type taggedPart struct {
	tag             string
	score           float64
	from, to, index int
	id              int32
}

// part aggregates the tokens of a word.
func (t *TokenCls) part(tokens []PredictedToken, a Aggregation) taggedPart {
	scores := tokens[0].Scores
	switch a {
	case AggregateMax:
		for _, k := range tokens[1:] {
			if k.Scores[largest(k.Scores)] > scores[largest(scores)] {
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
	from, best := tokens[0].From, largest(scores)
	if a != AggregateNone && a != AggregateSimple {
		from = max(from, tokens[0].Begin)
	}
	return taggedPart{t.cfg.Labels.Names[best], float64(scores[best]), from, tokens[len(tokens)-1].To, tokens[0].Index, tokens[0].ID}
}

// cutTag returns the letter and the type of a tag that spells an entity; of another the letter is 0.
func (t *TokenCls) cutTag(tag string) (letter byte, kind string) {
	if t.cfg.Scheme == tagged.Plain || tag == "" || strings.IndexByte("BIESLU", tag[0]) < 0 {
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

// goesOn reports whether a tag goes on with the entity of the tag before.
func (t *TokenCls) goesOn(last, tag string) bool {
	lastLetter, lastKind := t.cutTag(last)
	letter, kind := t.cutTag(tag)
	if kind != lastKind {
		return false
	}
	begins, ended := letter == 'B' || letter == 'S' || letter == 'U', lastLetter == 'E' || lastLetter == 'S' || lastLetter == 'L' || lastLetter == 'U'
	return !begins && !ended
}
