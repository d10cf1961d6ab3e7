// Package spalora is the root of a framework that fine-tunes transformers with LoRA on the CPU, in Go alone. It holds no code
// of its own. A program opens a Hugging Face checkpoint with [github.com/spalora/spalora/checkpoint] and
// [github.com/spalora/spalora/models], attaches an adapter with [github.com/spalora/spalora/lora], turns texts into examples with
// [github.com/spalora/spalora/tokenize], [github.com/spalora/spalora/data] and [github.com/spalora/spalora/tasks], trains with
// [github.com/spalora/spalora/train], and saves an adapter that PEFT reads; the commands under cmd do the same from flags.
package spalora
