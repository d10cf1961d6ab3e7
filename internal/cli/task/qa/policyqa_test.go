package qa_test

import (
	"testing"

	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/embedded"
)

// TestPolicyQA checks that the embedded questions are those that their accessor describes, that each answer is at its
// answer_start, and that no context is in both parts.
func TestPolicyQA(t *testing.T) {
	train, test := embedded.PolicyQA()
	var parts []*question.File
	for _, part := range []struct {
		name      string
		content   []byte
		questions int
	}{{"train.json", train, 1294}, {"test.json", test, 411}} {
		q, err := question.ReadBytes(part.content, part.name, question.Options{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		if q.Format != question.SQuAD || q.Len() != part.questions || q.WithPlaces().Len() != part.questions {
			t.Errorf("%s: %d questions in %s", part.name, q.Len(), q.Format)
		}
		parts = append(parts, q)
	}
	contexts := map[string]bool{}
	for e := range parts[0].Values() {
		contexts[e.Context] = true
	}
	for e := range parts[1].Values() {
		if contexts[e.Context] {
			t.Errorf("test.json:%d: the context is trained on too", e.Line)
		}
	}
}
