package causallm

import (
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks/causallm"
)

// addGeneration defines the flags of generated text. Names are those of transformers' GenerationConfig.
func addGeneration(fs *pflag.FlagSet, g *causallm.Generation) {
	d := generate.Defaults()
	const file = "; default: generation_config.json's, else "
	cli.Default(fs, &g.MaxNewTokens, "max-new-tokens", causallm.StandardNewTokens, "most tokens to generate for a prompt")
	cli.Optional(fs, &g.DoSample, "do-sample", false,
		"draw tokens by their probability instead of taking the most probable one; "+
			"the flags below down to --min-p imply it"+file+"false")
	cli.Optional(fs, &g.Temperature, "temperature", 0,
		"softmax temperature: below 1 favours likely tokens, above 1 flattens the "+
			"distribution; 0 is greedy"+file+"1")
	cli.Optional(fs, &g.TopK, "top-k", 0, "draw from this number of most probable tokens; 0: all"+file+"50")
	cli.Optional(fs, &g.TopP, "top-p", 0,
		"draw from the most probable tokens that make up this probability; 1: all"+file+"1")
	cli.Optional(fs, &g.MinP, "min-p", 0,
		"draw from tokens that are at least this share as probable as the most probable one"+file+"0")
	cli.Optional(fs, &g.RepetitionPenalty, "repetition-penalty", 0,
		"above 1: make tokens that have occurred less probable"+file+"1")
	fs.StringArrayVar(&g.Stop, "stop", nil, "a `text` to stop before; may be given several times")
	cli.Optional(fs, &g.Seed, "seed", 42, "decides what is drawn")
	cli.Default(fs, &g.NumReturnSequences, "num-return-sequences", d.NumReturnSequences, "sequences for each prompt")
}
