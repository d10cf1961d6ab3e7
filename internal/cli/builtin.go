package cli

import (
	"fmt"

	"github.com/spalora/spalora/embedded"
)

// BuiltIn is a checkpoint that is compiled in; the zero value is none.
type BuiltIn struct {
	Name  string // that adapters remember
	Short string // in --help
	Files func() map[string][]byte
}

// Usage ends the usage of --model: what it is if it is not given.
func (b BuiltIn) Usage() string {
	if b.Files == nil {
		return ""
	}
	return "; default: the embedded " + b.Short
}

// MiniLM returns the embedded encoder: the default of commands for encoders.
func MiniLM() BuiltIn { return BuiltIn{embedded.MiniLMName, "MiniLM", embedded.MiniLM} }

// GPT returns the embedded language model: the default of commands for causal language models.
func GPT() BuiltIn { return BuiltIn{embedded.GPTName, "GPT", embedded.GPT} }

// T5 returns the embedded encoder–decoder: the default of commands for encoder–decoders.
func T5() BuiltIn { return BuiltIn{embedded.T5Name, "T5", embedded.T5} }

// Whisper returns the embedded model of speech: the default of commands for recordings.
func Whisper() BuiltIn { return BuiltIn{embedded.WhisperName, "Whisper tiny.en", embedded.Whisper} }

// ViT returns the embedded vision transformer: the default of commands for images.
func ViT() BuiltIn { return BuiltIn{embedded.ViTName, "ViT", embedded.ViT} }

// ThreadsError returns the error about a number of --threads that has no meaning.
func ThreadsError(threads int) error {
	return fmt.Errorf("--threads is %d; want 1 or more, or 0 for all processors", threads)
}
