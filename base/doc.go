// Package base opens the inputs and the results of fine-tuning: a checkpoint with its tokenizer, and the directory of
// an adapter with everything it records beside its tensors (task, base model, class names, remembered settings).
//
// A [Base] is opened once; [OpenModel] fills a model with any head from it, [Base.LoadAdapter] loads an adapter for
// that model and checks that it was trained on it. [OpenTrained] does both and returns an error for an untrained head.
//
//	b, err := base.Open("bert-base-uncased")
//	m, err := base.OpenModel(b, log, 42, models.OpenEncoder)
//
// Errors are classified: [Blame] says whether the settings or a file is at fault. Messages name settings in
// backquotes with underscores (`max_length`).
package base
