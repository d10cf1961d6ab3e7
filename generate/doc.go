// Package generate continues prompts with a causal language model, as transformers' generate does.
//
//	g := generate.New(model, tok, pool)
//	cfg := generate.Defaults()
//	cfg.MaxNewTokens, cfg.EosTokenIDs = 64, info.EosIDs
//	out, err := g.Text(ctx, "Once upon a time", cfg)
//	fmt.Println(out[0].Text, out[0].Finish)
//
// Options have the names, defaults and arithmetic of transformers' GenerationConfig. Greedy choices equal transformers'
// unless the two largest logits differ by no more than rounding. Samples depend on the seed, the number of the prompt,
// the number of the copy and the position, but not on the other prompts of the batch or the number of workers; the
// random numbers are not torch's.
//
// All prompts of a call run as one ragged batch with a cache of keys and values: one pass over the prompts, then passes
// with one row for each unfinished sequence or beam. Beam search chooses the sequences that transformers' choose, with
// their scores; it does not draw. Reordered beams copy only the keys and values since they parted.
//
// The package has no processors other than those of [Config].
package generate
