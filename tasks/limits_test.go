package tasks_test

import (
	"errors"
	"strings"
	"testing"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// sizes is a model that has only limits.
type sizes struct {
	spago.Module
	nn.Limits
}

func (*sizes) String() string { return "sizes" }

// TestTokensBeyondModel: texts with a token for which the model has no word embedding are errors that name the line;
// all others are read, though the tokenizer has more tokens than the model.
func TestTokensBeyondModel(t *testing.T) {
	_, tok := tasktest.OpenMiniLM(t)
	texts := tasks.Inputs([]tokenize.Input{{Text: "a and the"}, {Text: "the"}, {Text: "the world"}})
	for rows, want := range map[int]string{30522: "", 30528: "", 2089: "", 2088: `texts:3: cannot be tokenised: ` +
		`token "world" has the id 2088, but the model has word embeddings for 2088 ids`} {
		core := tasks.NewCore(&sizes{Limits: nn.Limits{Positions: 512, Words: rows, Types: 2}}, tok, tasks.CoreConfig{})
		_, err := core.Encode(t.Context(), texts, tokenize.LongestFirst, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d rows: error %v, want %q", rows, err, want)
		}
	}
}

// TestTextLimit checks that a limit is at most the model's positions, and which one holds if none is given.
func TestTextLimit(t *testing.T) {
	_, tok := tasktest.OpenMiniLM(t)
	for _, c := range []struct {
		positions, given, want int
		err                    string
	}{
		{512, 0, 512, ""}, {1024, 0, 512, ""}, {16, 0, 16, ""}, {512, 7, 7, ""}, {512, 512, 512, ""},
		{512, 513, 0, "`max_length` is 513; want 1 to 512"}, {512, -1, 0, "`max_length` is -1; want 1 to 512"},
	} {
		m := &sizes{Limits: nn.Limits{Positions: c.positions, Words: 30522, Types: 2}}
		err := errors.Join(tasks.CheckText(m, c.given)...)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: error %v", c, err)
			}
			continue
		}
		if got := tasks.TextLimit(m, tok, c.given); err != nil || got != c.want {
			t.Errorf("%+v: got %d, %v", c, got, err)
		}
	}
}
