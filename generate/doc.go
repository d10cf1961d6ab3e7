// Package generate lets a causal language model go on with prompts, as transformers' generate does.
//
//	g := generate.New(model, tok, pool)
//	cfg := generate.Defaults()
//	cfg.MaxNewTokens, cfg.EosTokenIDs = 64, info.EosIDs
//	out, err := g.Text(ctx, "Once upon a time", cfg)
//	fmt.Println(out[0].Text, out[0].Finish)
//
// Options have the names, defaults and arithmetic of transformers' GenerationConfig; greedy choices equal transformers' wherever the two
// largest logits are not within rounding of each other. What is sampled depends on the seed, the number of the prompt, the number of the
// copy and the position, not on what else is in the batch or on the number of workers; the numbers drawn are not torch's.
//
// All prompts of a call run as one ragged batch over a cache of keys and values: one pass over the prompts, then one row for each
// sequence that goes on. Beam search, and processors other than those of [Config], are not there.
package generate
