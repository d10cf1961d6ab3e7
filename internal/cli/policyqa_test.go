package cli

import (
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/embedded"
)

// The embedded questions are what their accessor says, each answer stands where it should, and no paragraph is on both sides.
func TestPolicyQA(t *testing.T) {
	train, test := embedded.PolicyQA()
	var parts []*data.Questions
	for _, part := range []struct {
		name      string
		content   []byte
		questions int
	}{{"train.json", train, 1294}, {"test.json", test, 411}} {
		q, err := data.ReadQuestionsBytes(part.content, part.name, data.QuestionOptions{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		if q.Format != data.SQuADJSON || len(q.List) != part.questions || len(q.WithPlaces().List) != part.questions {
			t.Errorf("%s: %d questions in %s", part.name, len(q.List), q.Format)
		}
		parts = append(parts, q)
	}
	contexts := map[string]bool{}
	for _, e := range parts[0].List {
		contexts[e.Context] = true
	}
	for _, e := range parts[1].List {
		if contexts[e.Context] {
			t.Errorf("test.json:%d: the context is trained on too", e.Line)
		}
	}
}
