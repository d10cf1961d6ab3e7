// Package nn holds the layers that models are made of, the pass that a call sends through them, and the walker that
// derives all names from a model's declaration.
//
// A model is a struct whose fields carry the checkpoint's names as tags:
//
//	type Layer struct {
//		spago.Module
//		Query *nn.Linear `hf:"attention.self.query"`
//		Norm  *nn.LayerNorm `hf:"attention.output.LayerNorm"`
//	}
//
// Loading, saving, LoRA targets, parameter lists and the printed module tree all come from [Walk] over these tags. A
// layer holds weights and sizes only; everything about a call (the tape, the sequences, the random stream of dropout,
// the adapter in use) is in [Pass]. So one model serves many goroutines at once, each with its own pass.
package nn
