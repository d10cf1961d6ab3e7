// Package pair reads source texts with target texts for encoder–decoders: translations, texts with summaries, and
// others, from CSV, TSV, JSON Lines, and parallel files of plain text.
//
//	train, err := pair.Read("train.jsonl", pair.Options{})
//	for _, p := range train.All() {
//		// p.Source, p.Targets
//	}
//
// A source may have several targets (references): training learns the first, scores use all of them. docs/data.md has
// examples. Package data describes the formats that it shares with other readers.
package pair
