// Package transcribe turns speech into text with a Whisper model, as transformers' generate does.
//
//	tokens, err := transcribe.OpenTokens(src, tok)
//	prefix, err := tokens.Prefix("german", "transcribe", false)
//
// [Tokens] has the special tokens of a checkpoint: those that a transcript begins with, by language, task and
// timestamps, and the labels that a model is trained with.
package transcribe
