package tasks_test

import (
	"errors"
	"strings"
	"testing"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
)

// sizes is a model that has only limits.
type sizes struct {
	spago.Module
	nn.Limits
}

func (*sizes) String() string { return "sizes" }

// TestTokenizerFits checks vocabularies that are smaller and larger than the model's table: ids beyond it are refused,
// rows without a token are not.
func TestTokenizerFits(t *testing.T) {
	_, tok := tasktest.OpenMiniLM(t)
	for rows, want := range map[int]string{
		30522: "", 30528: "",
		30521: "the tokenizer has 30522 tokens, but the model's word_embeddings have 30521 rows",
	} {
		err := errors.Join(tasks.CheckText(&sizes{Limits: nn.Limits{Positions: 512, Words: rows, Types: 2}}, tok, 0)...)
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
		err := errors.Join(tasks.CheckText(m, tok, c.given)...)
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
