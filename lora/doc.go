// Package lora adapts a frozen model with low-rank corrections, W′ = W + s·B·A with s = α/r (Hu et al. 2021,
// arXiv:2106.09685), and reads and writes them in PEFT's format.
//
//	c := lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls}
//	set, err := lora.Attach(model, c, seed)
//	fmt.Println(set.Summary(model))        // trainable params: … || all params: … || trainable%: …
//	pass := &nn.Pass{Tape: tape, Adapter: set}
//	err = set.Save(dir)                    // adapter_config.json, adapter_model.safetensors
//
// Attach does not change the model. A [Set] is separate from it, and a call uses the set in its pass, or the base model
// if the pass has none. So one model serves any number of sets and goroutines, and a call selects its adapter by the
// set in its pass.
package lora
