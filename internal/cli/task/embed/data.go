package embed

import (
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tasks/embed"
)

// bankingPairs puts pairs of the embedded questions into a configuration: to train on, two of the same intent; to test
// on, as many of the same intent (score 1) as of two different ones (score 0).
func bankingPairs(c *embed.Finetuning) error {
	trainText, testText := embedded.Banking77()
	o := text.Options{Format: data.CSV, TextColumn: "text", LabelColumn: "category"}
	questions, err := text.ReadBytes(trainText, embedded.Banking77Name+" pairs", o)
	if err != nil {
		return err
	}
	tested, err := text.ReadBytes(testText, embedded.Banking77Name+" test pairs", o)
	if err != nil {
		return err
	}
	pair := func(a, b text.Example, label data.Label) text.Example {
		return text.Example{Text: a.Text, Pair: b.Text, HasPair: true, Label: label, Line: a.Line}
	}
	c.Train, c.Test = emptied(questions), emptied(tested)
	for _, list := range byIntent(questions) {
		for i := 0; i+1 < len(list); i += 2 {
			c.Train.Append(pair(list[i], list[i+1], data.Label{}))
		}
	}
	same, other := data.Label{Kind: data.NumberLabel, Number: 1}, data.Label{Kind: data.NumberLabel}
	intents := byIntent(tested)
	for n, list := range intents {
		next := intents[(n+1)%len(intents)]
		for i := 0; i+1 < len(list); i += 2 {
			c.Test.Append(pair(list[i], list[i+1], same), pair(list[i], next[i%len(next)], other))
		}
	}
	return nil
}

// emptied returns a file without its rows.
func emptied(t *text.File) *text.File {
	return data.Filter(t, func(text.Example) bool { return false })
}

// byIntent returns the rows of each class, classes in the order of their first row.
func byIntent(t *text.File) [][]text.Example {
	var list [][]text.Example
	number := map[string]int{}
	for e := range t.Values() {
		n, ok := number[e.Label.Name]
		if !ok {
			n = len(list)
			number[e.Label.Name] = n
			list = append(list, nil)
		}
		list[n] = append(list[n], e)
	}
	return list
}
