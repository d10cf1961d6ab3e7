// Package document reads documents for causal language models: texts, prompts with completions, and chats, from CSV,
// TSV, JSON Lines and plain text.
//
//	train, err := document.Read("train.jsonl", document.Options{})
//	for _, d := range train.All() {
//		switch train.Kind {
//		case document.Text: // d.Text
//		case document.Prompt: // d.Prompt, d.Completion
//		case document.Chat: // d.Messages
//		}
//	}
//
// A file of plain text is one document. docs/data.md has examples. Package data describes the formats that it shares
// with other readers.
package document
