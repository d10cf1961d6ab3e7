// Package base opens what fine-tuning starts from and what it leaves: a checkpoint with its tokenizer, and the
// directory of an adapter with everything it says beside its tensors (task, base model, class names, remembered
// settings).
//
// A [Base] is opened once; [OpenModel] fills a model with any head from it, [Base.LoadAdapter] loads an adapter for
// that model and checks that both belong together, [OpenTrained] does both and refuses a head that nobody has
// trained.
//
//	b, err := base.Open("bert-base-uncased")
//	m, err := base.OpenModel(b, log, func(src *checkpoint.Source) (models.Encoder, checkpoint.Report, error) {
//		return models.OpenEncoder(src, 42)
//	})
//
// Errors are classified: [Blame] says whether the settings or a file is at fault. Messages name settings in
// backquotes with underscores (`max_length`).
package base
