package metrics

import (
	"regexp"
	"strings"

	"github.com/spalora/spalora/tasks/metrics/normalize"
)

// ErrorRate collects the edits that turn recognised texts into their references: words inserted, deleted and replaced
// for the word error rate (WER), characters for the character error rate (CER). Scores equal 100 times those of the
// Python package jiwer 4.0.0 with its default settings. It is not safe for concurrent use.
type ErrorRate struct {
	// Edits is the least number of words or characters to insert, delete and replace.
	Edits int
	// Length is the number of words or characters of the references.
	Length int

	count func(prediction, reference string) (edits, length int)
}

// NewWER returns an empty word error rate. Words are what spaces separate.
func NewWER() *ErrorRate {
	return &ErrorRate{count: func(prediction, reference string) (edits, length int) {
		words := errorWords(reference)
		return editDistance(errorWords(prediction), words), len(words)
	}}
}

// NewCER returns an empty character error rate, which counts code points. Spaces between words are characters, those at
// the ends of a text are not.
func NewCER() *ErrorRate {
	return &ErrorRate{count: func(prediction, reference string) (edits, length int) {
		chars := []rune(strings.TrimFunc(reference, normalize.IsSpace))
		return editDistance([]rune(strings.TrimFunc(prediction, normalize.IsSpace)), chars), len(chars)
	}}
}

// Add counts a prediction with its reference. Either may be empty.
func (e *ErrorRate) Add(prediction, reference string) {
	edits, length := e.count(prediction, reference)
	e.Edits, e.Length = e.Edits+edits, e.Length+length
}

// Score returns the edits for 100 words or characters of all references together: 0 where all predictions are right,
// and more than 100 where much was inserted. If all references are empty, it is 100 times the number of edits.
func (e *ErrorRate) Score() float64 { return 100 * float64(e.Edits) / float64(max(e.Length, 1)) }

// severalSpaces are white space of all kinds, which jiwer makes one space. A lone tab stays part of a word.
var severalSpaces = regexp.MustCompile(normalize.Space + `{2,}`)

// errorWords returns the words that jiwer counts.
func errorWords(text string) []string {
	text = strings.TrimFunc(severalSpaces.ReplaceAllLiteralString(text, " "), normalize.IsSpace)
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
}

// editDistance returns the least number of elements to insert, delete and replace that turns a into b.
func editDistance[E comparable](a, b []E) int {
	row := make([]int, len(b)+1) // distances of a[:i] to all b[:j]
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		corner := row[0]
		row[0] = i + 1
		for j, y := range b {
			change := corner
			if x != y {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, corner+1, row[j]+1)
		}
	}
	return row[len(b)]
}
