package data_test

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/data/text"
)

// Rows of Prodigy that were not accepted are not learned from, but predictions have a row for each.
func TestRejected(t *testing.T) {
	const rows = `{"text":"Ann","label":"X","spans":[[0,3,"P"]],"answer":"accept"}
{"text":"ran","label":"X","spans":[[0,3,"P"]],"answer":"reject"}
{"text":"sat","label":"Y","spans":[],"answer":"ignore"}
{"text":"Bob","label":"Y","spans":[[0,3,"P"]]}
`
	const warning = `f.jsonl:2: 2 rows whose "answer" is "reject" or "ignore", which were left out`
	check := func(what string, n, want int, odd []data.Warning, err error) {
		t.Helper()
		if err != nil || n != want || (len(odd) == 1 && odd[0].String() == warning) != (want == 2) {
			t.Errorf("%s: %d rows, %v, %v", what, n, odd, err)
		}
	}
	for name, want := range map[string]int{"train": 2, "predict": 4} {
		optional := name == "predict"
		texts, err := text.ReadBytes([]byte(rows), "f.jsonl", text.Options{OptionalLabels: optional})
		check(name+" texts", texts.Len(), want, texts.ReadWarnings(), err)
		tags, err := tagged.ReadBytes([]byte(rows), "f.jsonl", tagged.Options{OptionalLabels: optional})
		check(name+" tags", tags.Len(), want, tags.ReadWarnings(), err)
		if optional && (texts.At(1).Label.Kind != data.NoLabel || tags.At(1).Tags != nil) {
			t.Errorf("a row that was not accepted has the label %v and the tags %q", texts.At(1).Label, tags.At(1).Tags)
		}
	}
	// The answer itself may be the label.
	texts, err := text.ReadBytes([]byte(rows), "f.jsonl", text.Options{LabelColumn: "answer", MaxSamples: 3})
	check("answers", texts.Len(), 3, texts.ReadWarnings(), err)
	all := strings.ReplaceAll(rows[:strings.LastIndex(rows, "{")], "accept", "reject")
	if _, err := text.ReadBytes([]byte(all), "f.jsonl", text.Options{}); err == nil ||
		!strings.Contains(err.Error(), `but those whose "answer" is "reject" or "ignore"`) {
		t.Errorf("none accepted: %v", err)
	}
}
