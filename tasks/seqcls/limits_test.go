package seqcls_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/tokenize"
)

// sizes is a classifier that has only limits.
type sizes struct {
	spago.Module
	nn.Limits
}

func (*sizes) String() string                               { return "sizes" }
func (*sizes) Labels() int                                  { return 2 }
func (*sizes) Logits(p *nn.Pass, b *batch.Batch) mat.Tensor { panic("not called") }

// TestLongTexts checks that no sequence is longer than the model's positions, that texts that were cut are counted, and
// that the strategy decides which text of a pair is cut.
func TestLongTexts(t *testing.T) {
	_, tok := tasktest.OpenMiniLM(t)
	labels, err := data.NewLabels(data.SingleLabel, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	label := data.Label{Kind: data.NameLabel, Name: "b"}
	table := text.New("t.csv", []text.Example{
		{Text: "short", Label: label, Line: 2},
		{Text: strings.Repeat("word ", 50), Label: label, Line: 3},
		{Text: strings.Repeat("word ", 50), Pair: strings.Repeat("other ", 50), HasPair: true, Label: label, Line: 4},
		{Text: "ten", Pair: strings.Repeat("other ", 50), HasPair: true, Label: label, Line: 5},
	}...)
	for _, c := range []struct {
		truncation tokenize.Strategy
		limit      int // 0: the model's positions
		want       []int
		cut        int
		err        string
	}{
		{tokenize.LongestFirst, 0, []int{3, 16, 16, 16}, 3, ""},
		{tokenize.LongestFirst, 8, []int{3, 8, 8, 8}, 3, ""},
		{tokenize.OnlySecond, 0, nil, 0, "t.csv"},
		{tokenize.DoNotTruncate, 0, nil, 0, "input has 52 tokens, max length is 16"},
	} {
		task, err := seqcls.NewTask(&sizes{Limits: nn.Limits{Positions: 16, Words: 30522, Types: 2}}, tok, seqcls.TaskConfig{
			Config: seqcls.Config{
				CoreConfig: tasks.CoreConfig{MaxLength: c.limit, Pool: op.NewPool(1)}, Labels: labels, Truncation: c.truncation,
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		err = task.Add(context.Background(), batch.Eval, table)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v: error %v, want %q", c.truncation, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		set := task.Set(batch.Eval)
		var have []int
		for i := range set.Len() {
			have = append(have, set.Tokens(i))
		}
		if cut := task.Splits[batch.Eval].Cut; !slices.Equal(have, c.want) || cut != c.cut {
			t.Errorf("%v: %v tokens and %d cut, want %v and %d", c.truncation, have, cut, c.want, c.cut)
		}
	}
}
