// Package checkpoint opens a pretrained model as Hugging Face stores it: a directory with config.json, the weights in one or
// several safetensors files and the tokenizer's files, or the same files in memory. A GGUF file is opened as if it were such a
// directory, its weights quantised as they are.
//
//	src, err := checkpoint.Open("models/all-MiniLM-L6-v2")
//	if err != nil { … }
//	defer src.Close()
//	err = src.DecodeConfig(&config)
//	tensors, report, err := src.Load(wants, checkpoint.LoadOptions{Prefix: "bert.", Skip: skip})
//	fmt.Println(report)
//
// Weights are mapped, not read: opening takes milliseconds, and the tensors that Load returns are views in the stored type, valid
// until [Source.Close]. [Source.Load] accounts for every tensor: what a model wants and what the checkpoint has must agree except
// where the options say otherwise, and everything that differs is reported at once.
//
// Nothing outside the directory is opened, whatever an index or a symbolic link names; only the layout of the Hugging Face cache,
// whose snapshots are links into the blobs beside them, is followed. Pickle files are refused by name and by content. Configurations
// are read strictly: see [DecodeJSON].
//
// Limits: of quantised types, those of GGUF only, and not all; a device, a pipe or a directory in place of a file is refused.
package checkpoint
