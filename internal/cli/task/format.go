package task

import (
	"slices"

	"github.com/spalora/spalora/data"
)

// FormatOf returns the format of a file of texts or prompts: the given one or that of the name's ending, else JSON
// Lines if the content begins with an object or a list of objects and plain text if not. "" means that the reader
// chooses.
func FormatOf(name string, content []byte, given data.Format, delimiter rune) data.Format {
	endings := []string{".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".txt"}
	switch ending := data.Ending(name); {
	case given != "":
		return given
	case slices.Contains(endings[3:6], ending):
		return data.JSONLines
	case ending == ".txt" && delimiter == 0:
		return data.PlainText
	case slices.Contains(endings, ending) || delimiter != 0:
		return ""
	}
	if data.HoldsObjects(content) {
		return data.JSONLines
	}
	return data.PlainText
}
