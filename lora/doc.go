// Package lora adapts a frozen model with low-rank corrections, W′ = W + s·B·A with s = α/r (Hu et al. 2021,
// arXiv:2106.09685), and reads and writes them as PEFT does.
//
//	set, err := lora.Attach(model, lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls}, seed)
//	fmt.Println(set.Summary(model))        // trainable params: … || all params: … || trainable%: …
//	pass := &nn.Pass{Tape: tape, Adapter: set}
//	err = set.Save(dir)                    // adapter_config.json, adapter_model.safetensors
//
// Attaching changes nothing in the model: a [Set] stands beside it, and a call uses the set that its pass carries. So one
// model serves any number of sets, from any number of goroutines; leaving the set out of the pass is the base model, and
// swapping adapters is handing another set to the next pass.
package lora
