package tagged

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

// How spans become tags where they do not fit words or each other.
func TestSpans(t *testing.T) {
	tests := []struct {
		name, text, spans  string
		want               string
		moved, overlapping int
	}{
		{"within a word", "13:00pm", `[0,5,"T"]`, "B-T I-T I-T", 1, 0},
		{"spaces around", " quarter to 8pm", `[0,12,"T"]`, "B-T I-T O", 1, 0},
		{"end within a word", " quarter to 8pm", `[0,13,"T"]`, "B-T I-T I-T", 1, 0},
		{"space behind", "a b", `[0,2,"X"]`, "B-X O", 1, 0},
		{"side by side", "a b c", `[0,1,"X"],[2,5,"X"]`, "B-X B-X I-X", 0, 0},
		{"the first one is kept", "a b c", `[2,5,"Y"],[0,3,"X"]`, "B-X I-X O", 0, 1},
		{"the longer one is kept", "a b c", `[0,1,"X"],[0,3,"Y"]`, "B-Y I-Y O", 0, 1},
		{"of equals the first label", "a b c", `[2,3,"Y"],[2,3,"X"]`, "O B-X O", 0, 1},
		{"twice the same", "a b c", `[2,3,"X"],[2,3,"X"]`, "O B-X O", 0, 1},
		{"one word, two spans", "10pm", `[0,2,"X"],[2,4,"Y"]`, "B-X", 1, 1},
		{"one that is left out does not shade others", "a b c d", `[0,3,"X"],[2,5,"Y"],[4,7,"Z"]`, "B-X I-X B-Z I-Z", 0, 1},
	}
	for _, tt := range tests {
		table := readTokens(t, "f.jsonl", fmt.Sprintf(`{"text":%q,"spans":[%s]}`, tt.text, tt.spans), Options{})
		if got := strings.Join(table.At(0).Tags, " "); got != tt.want || table.Moved != tt.moved ||
			table.Overlapping != tt.overlapping {
			t.Errorf("%s: %q, %d moved, %d left out; want %q, %d, %d", tt.name, got, table.Moved, table.Overlapping, tt.want,
				tt.moved, tt.overlapping)
		}
	}
}

// The data set that is compiled in. Its 1,832 and 3,477 spans were counted by a script of its own, and so were those
// that share characters and those that begin or end within a word or with a space.
func TestRestaurant8k(t *testing.T) {
	var tables []*File
	for _, want := range []struct {
		file                          string
		texts, spans, moved, overlaps int
	}{{"train.json", 2049, 1832, 3, 13}, {"test.json", 3731, 3477, 4, 18}} {
		content, err := os.ReadFile("../../embedded/restaurant8k/" + want.file)
		if err != nil {
			t.Fatal(err)
		}
		table := readTokens(t, want.file, string(content), Options{})
		entities := 0
		for e := range table.Values() {
			strict, err := StrictEntities(e.Tags, IOB2)
			if err != nil || !slices.Equal(strict, Entities(e.Tags)) {
				t.Fatalf("%q: %v, %v", e.Text, strict, err)
			}
			entities += len(strict)
		}
		if table.Len() != want.texts || entities != want.spans-want.overlaps || table.Moved != want.moved ||
			table.Overlapping != want.overlaps {
			t.Errorf("%s: %d texts, %d entities, %d spans moved, %d left out; want %+v", want.file, table.Len(), entities,
				table.Moved, table.Overlapping, want)
		}
		tables = append(tables, table)
	}
	if scheme, err := GuessScheme(tables...); scheme != IOB2 || err != nil {
		t.Error(scheme, err)
	}
	l, err := FindLabels(data.LabelSource{}, tables...)
	if err != nil || strings.Join(l.Names,
		" ") != "B-date B-first_name B-last_name B-people B-time I-date I-people I-time O" {
		t.Errorf("%+v, %v", l, err)
	}
}
