package metrics

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data/tagged"
)

// seqevalScores are what seqeval says in one mode.
type seqevalScores struct {
	Types    map[string][4]float64 // precision, recall, F1, support
	Averages [3][4]*float64        // micro, macro, weighted
	Entities [][3]any              // strict: those of the last predicted sentence
}

// seqevalCase is what reference/seqeval_fixture.py writes. A mode in which seqeval raises an error is nil.
type seqevalCase struct {
	Want, Got                            []string
	Accuracy                             *float64
	Default                              *seqevalScores
	Entities                             [][3]any // default mode, of the last predicted sentence
	Scheme                               *string
	IOB1, IOB2, IOE1, IOE2, IOBES, BILOU *seqevalScores
}

func (c *seqevalCase) strict() map[tagged.Scheme]*seqevalScores {
	return map[tagged.Scheme]*seqevalScores{tagged.IOB1: c.IOB1, tagged.IOB2: c.IOB2, tagged.IOE1: c.IOE1,
		tagged.IOE2: c.IOE2, tagged.IOBES: c.IOBES, tagged.BILOU: c.BILOU}
}

func loadSeqeval(t *testing.T) []seqevalCase {
	t.Helper()
	file, err := os.Open("testdata/seqeval.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases []seqevalCase }
	if err := json.NewDecoder(z).Decode(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 1000 {
		t.Fatalf("the fixture has %d cases, want at least 1000", len(f.Cases))
	}
	return f.Cases
}

func sentences(lines []string) [][]string {
	out := make([][]string, len(lines))
	for i, l := range lines {
		out[i] = strings.Fields(l)
	}
	return out
}

func TestEntitiesEqualSeqeval(t *testing.T) {
	modes := 0
	for i, c := range loadSeqeval(t) {
		want, got := sentences(c.Want), sentences(c.Got)
		s, err := Entities(want, got, "")
		if c.Accuracy == nil { // no word: seqeval divides by zero
			if !errors.Is(err, ErrNoTargets) {
				t.Errorf("case %d: %v, want ErrNoTargets", i, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		near(t, i, "accuracy", s.Accuracy, c.Accuracy, 1e-12)
		checkEntities(t, fmt.Sprintf("case %d, default", i), s, c.Default)
		for scheme, w := range c.strict() {
			s, err := Entities(want, got, scheme)
			if (err == nil) != (w != nil) {
				t.Errorf("case %d, %s: %v, seqeval has %v", i, scheme, err, w)
			}
			if err == nil && w != nil {
				modes++
				checkEntities(t, fmt.Sprintf("case %d, %s", i, scheme), s, w)
			}
		}
	}
	if modes < 3700 {
		t.Errorf("only %d strict scores were compared", modes)
	}
}

func checkEntities(t *testing.T, name string, got *EntityScores, want *seqevalScores) {
	t.Helper()
	same := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-12) {
			t.Errorf("%s: %s = %v, want %v", name, what, got, want)
		}
	}
	if len(got.PerType) != len(want.Types) {
		t.Errorf("%s: types %v, want %v", name, got.PerType, want.Types)
	}
	targets := 0
	for _, g := range got.PerType {
		w, ok := want.Types[g.Type]
		if !ok {
			t.Errorf("%s: a type %q that seqeval has not", name, g.Type)
		}
		same(g.Type+" precision", g.Precision, w[0])
		same(g.Type+" recall", g.Recall, w[1])
		same(g.Type+" F1", g.F1, w[2])
		same(g.Type+" support", float64(g.Targets), w[3])
		targets += g.Targets
	}
	for i, a := range []EntityAverage{got.Micro, got.Macro, got.Weighted} {
		for j, v := range []Score{a.Precision, a.Recall, a.F1} {
			what := []string{"micro", "macro", "weighted"}[i] + " " + []string{"precision", "recall", "F1"}[j]
			w := want.Averages[i][j]
			if w == nil && v.Reason == "" {
				t.Errorf("%s: %s = %v, but is not defined", name, what, v)
			}
			if w == nil {
				w = new(float64)
			}
			same(what, v.Value, *w)
		}
		same("support", float64(targets), *want.Averages[i][3])
	}
}

// The entities of a single sentence, and the scheme that tags are guessed to be of.
func TestEntitiesOfDataEqualSeqeval(t *testing.T) {
	check := func(name string, got []tagged.Entity, want [][3]any) {
		t.Helper()
		var w []tagged.Entity
		for _, e := range want {
			w = append(w, tagged.Entity{Type: e[0].(string), From: int(e[1].(float64)), To: int(e[2].(float64))})
		}
		if !slices.Equal(got, w) {
			t.Errorf("%s: %v, want %v", name, got, w)
		}
	}
	for i, c := range loadSeqeval(t) {
		last := strings.Fields(c.Got[len(c.Got)-1])
		check(fmt.Sprintf("case %d: %q", i, last), tagged.Entities(last), c.Entities)
		for scheme, w := range c.strict() {
			if w == nil {
				continue
			}
			got, err := tagged.StrictEntities(last, scheme)
			if err != nil {
				t.Errorf("case %d, %s: %v", i, scheme, err)
			}
			check(fmt.Sprintf("case %d, %s: %q", i, scheme, last), got, w.Entities)
		}
	}
}

// The guess is seqeval's auto_detect, or a scheme that fits the tags better: seqeval takes IOB1 for IOB2 and IOE1 for
// IOE2, as the letters are the same.
func TestGuessSchemeOfSeqevalCases(t *testing.T) {
	regular := regexp.MustCompile(`^(O|[BIESLU]-[^-].*)$`)
	same, better := 0, 0
	for i, c := range loadSeqeval(t) {
		table := tagged.New("f")
		odd := false
		for _, tags := range sentences(c.Want) {
			table.Append(tagged.Sentence{Tags: tags})
			odd = odd || slices.ContainsFunc(tags, func(s string) bool { return !regular.MatchString(s) })
		}
		if odd || c.Scheme == nil {
			continue
		}
		got, err := tagged.GuessScheme(table)
		want := tagged.Scheme(*c.Scheme)
		switch {
		case err != nil:
			t.Errorf("case %d: %v", i, err)
		case got == want:
			same++
		case want == tagged.IOB2 || want == tagged.IOE2:
			a, errA := table.Repair(got)
			b, errB := table.Repair(want)
			if errA != nil || errB != nil || a.Repaired >= b.Repaired {
				t.Errorf("case %d: %s, seqeval has %s", i, got, want)
			}
			better++
		default:
			t.Errorf("case %d: %s, seqeval has %s", i, got, want)
		}
	}
	if same < 500 || better == 0 {
		t.Errorf("%d guesses like seqeval's, %d better ones", same, better)
	}
}

func TestEntitiesErrors(t *testing.T) {
	one := [][]string{{"B-X", "O"}}
	tests := []struct {
		name, want string
		targets    [][]string
		got        [][]string
		scheme     tagged.Scheme
	}{
		{"sentences", "1 tagged sentences for 0 predictions", one, nil, ""},
		{"words", "2 tags for 1 predictions in sentence 0", one, [][]string{{"O"}}, ""},
		{"empty target", "word 1 in sentence 0 is empty", [][]string{{"O", ""}}, one, ""},
		{"empty prediction", "word 0 in sentence 0 is empty", one, [][]string{{"", "O"}}, tagged.IOB2},
		{"target", `target: sentence 0: data: the tag "B-X" of word 0 is none of the scheme IOE2 (O, I-…, E-…)`,
			one, one, tagged.IOE2},
		{"prediction", `prediction: sentence 0: data: the tag "X-X" of word 0`, one, [][]string{{"X-X", "O"}}, tagged.IOB2},
		{"scheme", `scheme "none" spell no entities`, one, one, tagged.Plain},
		{"nothing", "no row has a target", nil, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Entities(tt.targets, tt.got, tt.scheme)
			if err == nil || !strings.HasPrefix(err.Error(), "metrics: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestEntitiesReasons(t *testing.T) {
	none, x := [][]string{{"O"}}, [][]string{{"B-X"}}
	for _, tt := range []struct {
		want, got                 [][]string
		precision, recall, f1, mf string // micro, and macro F1
	}{
		{x, x, "", "", "", ""},
		{x, none, "no entity is predicted", "", "", ""},
		{none, x, "", "no entity is a target", "", ""},
		{none, none, "no entity is predicted", "no entity is a target", "no entity is a target or predicted",
			"no entity is a target or predicted"},
	} {
		s, err := Entities(tt.want, tt.got, tagged.IOB2)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{s.Micro.Precision.Reason, s.Micro.Recall.Reason, s.Micro.F1.Reason, s.Macro.F1.Reason}
		if want := []string{tt.precision, tt.recall, tt.f1, tt.mf}; !slices.Equal(got, want) {
			t.Errorf("%v for %v: reasons %q, want %q", tt.got, tt.want, got, want)
		}
	}
}
