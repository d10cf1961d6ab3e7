package tokencls_test

import (
	"testing"

	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/tasks/tokencls"
)

// TestUndefinedF1 checks that an F1 that is undefined is 0, as in seqeval, and has the reason.
func TestUndefinedF1(t *testing.T) {
	found := tokencls.Scores{Entities: &metrics.EntityScores{}, Tags: &metrics.ClassScores{}}
	found.Entities.Micro.F1.Reason = "no entity is a target or predicted"
	if v := found.Metrics().Values[0]; v.Name != "f1" || v.Value != 0 || v.Reason != "no entity is a target or predicted" {
		t.Errorf("f1 is %+v", v)
	}
}
