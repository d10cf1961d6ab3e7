// Package llamacpp writes language models and their LoRA adapters as the files of llama.cpp and Ollama, and reads
// adapters back.
//
// [Export] writes a model, with an adapter merged into it or not, as a GGUF file with tokenizer and chat template, and
// compares the file with the model. [WriteAdapter] writes an adapter as a GGUF file for llama.cpp's --lora, and
// [ReadAdapter] reads one. [Modelfile] describes an exported model to Ollama.
//
// Names, metadata and the order of rows are those of llama.cpp's converters; package checkpoint has the tables.
package llamacpp
