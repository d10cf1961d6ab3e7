package spagonn

import (
	"reflect"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"
)

// TestOffset: another version of spago, whose operators are built otherwise, is an error that names the version.
func TestOffset(t *testing.T) {
	for _, other := range []any{struct{ fn int }{}, struct{ f ag.AutoGradFunction }{}} {
		_, err := offsetOf(reflect.TypeOf(other))
		if err == nil || !strings.Contains(err.Error(), "has no field fn of type ag.AutoGradFunction") ||
			!strings.Contains(err.Error(), "build with version v1.1.0") {
			t.Errorf("%T: %v", other, err)
		}
	}
	if _, err := functionOffset(); err != nil {
		t.Error(err)
	}
}

// TestGuardedName: the stack is searched for the function that recovers.
func TestGuardedName(t *testing.T) {
	if !strings.HasSuffix(guardedName, "nn/spagonn.guarded") {
		t.Errorf("guarded is %s in a stack", guardedName)
	}
}
