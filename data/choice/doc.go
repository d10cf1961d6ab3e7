// Package choice reads questions with several choices, of which one is right: CSV, TSV, JSON Lines and lists of JSON
// objects with the column names of well-known data sets (SWAG, RACE, QASC, ARC …), and the files of CODAH.
//
//	train, err := choice.Read("train.csv", choice.Options{})
//	for _, q := range train.All() {
//		first, second := q.Pair(q.Label) // the texts that a model compares for the right choice
//	}
//
// Package data describes the formats that it shares with other readers.
package choice
