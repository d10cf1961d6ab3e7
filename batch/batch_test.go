package batch

import "testing"

func TestSplitNames(t *testing.T) {
	for s, want := range map[Split]string{Train: "train", Eval: "eval", Test: "test", 7: "Split(7)"} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
