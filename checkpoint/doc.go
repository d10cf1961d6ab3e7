// Package checkpoint opens a pretrained model in the layout of Hugging Face: a directory with config.json, the weights
// in one or several safetensors files and the tokenizer's files, or the same files in memory. It opens a GGUF file as
// if it were such a directory, and keeps its weights quantised. A directory may also have quantised weights with
// transformers' names in model.transformers.gguf, whose metadata say so (spalora.tensor_names is "transformers").
//
//	src, err := checkpoint.Open("models/all-MiniLM-L6-v2")
//	if err != nil { … }
//	defer src.Close()
//	err = src.DecodeConfig(&config)
//	tensors, report, err := src.Load(wants, checkpoint.LoadOptions{Prefix: "bert.", Skip: skip})
//	fmt.Println(report)
//
// Weights are mapped, not read: opening takes milliseconds, and the tensors that Load returns are views in the stored
// type, valid until [Source.Close]. [Source.Load] accounts for every tensor: the model's tensors and the checkpoint's
// must agree except where the options allow a difference, and all differences are reported at once.
//
// Nothing outside the directory is opened, even if an index or a symbolic link names it. The only links that are
// followed are those of the Hugging Face cache, whose snapshots link to the blobs beside them. Pickle files are refused
// by name and by content. Configurations are read strictly: see [DecodeJSON].
//
// Limits: the only quantised types are some of GGUF's; a device, a pipe or a directory in place of a file is refused.
package checkpoint
