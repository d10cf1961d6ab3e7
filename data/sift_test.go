package data_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/pair"
)

func TestSift(t *testing.T) {
	var rows []pair.Pair
	for i := range 50 {
		rows = append(rows, pair.Pair{Source: fmt.Sprint(i), Line: i + 1})
	}
	f := pair.New("f.jsonl", rows...)
	check := func(p pair.Pair) (pair.Pair, error) {
		if strings.HasSuffix(p.Source, "7") {
			return p, errors.New("it is broken")
		}
		p.Source += "!"
		return p, nil
	}
	kept, bad, err := data.Sift(t.Context(), f, 5, check)
	if err != nil || kept.Len() != 45 || kept.At(7).Source != "8!" || len(bad) != 5 {
		t.Fatalf("%d rows, %v, %v", kept.Len(), bad, err)
	}
	if b := bad[1]; b.File != "f.jsonl" || b.Line != 18 || b.Err.Error() != "it is broken" {
		t.Errorf("%+v", b)
	}
	if f.Len() != 50 || f.At(8).Source != "8" {
		t.Error("the file has changed")
	}
	for _, c := range []struct {
		most int
		want string
	}{
		{0, "data: f.jsonl:8: a file cannot be read (repair it, remove the row, or allow some with `skip_bad_files`): " +
			"it is broken"},
		{4, "data: f.jsonl:8: more than the 4 files of `skip_bad_files` cannot be read: it is broken"},
	} {
		_, bad, err := data.Sift(t.Context(), f, c.most, check)
		if err == nil || err.Error() != c.want || len(bad) != c.most+1 || bad[c.most].Line != 8+10*c.most {
			t.Errorf("%d: %v, %v", c.most, bad, err)
		}
	}
	_, _, err = data.Sift(t.Context(), f, 99, func(p pair.Pair) (pair.Pair, error) { return p, errors.New("all are") })
	if err == nil || err.Error() != "data: f.jsonl:1: no file of the 50 rows can be read: all are" {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := data.Sift(ctx, f, 5, check); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
