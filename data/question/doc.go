// Package question reads questions about contexts whose answers are parts of the contexts: SQuAD JSON, versions 1.1 and
// 2.0, and JSON Lines.
//
//	train, err := question.Read("train-v2.0.json", question.Options{})
//	train = train.WithPlaces() // those that can be learned
//	for _, q := range train.All() {
//		answer, ok := q.Place() // false: the context has no answer
//	}
//
// Places are counted in code points. A file whose answers are misplaced is repaired where that is certain, and counted
// (see [File]). Package data describes the formats that it shares with other readers.
package question
