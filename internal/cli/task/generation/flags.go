// Package generation defines the flags of generated text, and the rows in which commands write it.
package generation

import (
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks/generation"
)

// Wording is how the flags of a task name what texts are generated for.
type Wording struct {
	one      string // what a text is generated for
	counted  string // tokens that lengths count besides the new ones
	repeated string // what the groups of --no-repeat-ngram-size include besides the new tokens
}

// Prompts are continued, Sources have targets of their own.
var (
	Prompts = Wording{"prompt", "those of the prompt", ", those of the prompt included"}
	Sources = Wording{"source", "the one that the decoder starts with", ""}
)

// AddFlags defines the flags of generated text. Names are those of transformers' GenerationConfig.
func AddFlags(fs *pflag.FlagSet, g *generation.Settings, w Wording) {
	const file = "; default: generation_config.json's, else "
	cli.Default(fs, &g.MaxNewTokens, "max-new-tokens", 0,
		"most tokens to generate for a "+w.one+"; default: max_new_tokens of generation_config.json, else what its "+
			"max_length leaves, else 128")
	cli.Optional(fs, &g.MinNewTokens, "min-new-tokens", 0,
		"no end token before this number of new tokens; default: generation_config.json's")
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
	cli.Optional(fs, &g.NoRepeatNgramSize, "no-repeat-ngram-size", 0,
		"groups of this number of tokens occur only once"+w.repeated+"; 0: any number of times"+file+"0")
	cli.Optional(fs, &g.MinLength, "min-length", 0,
		"no end token before this number of tokens, "+w.counted+" included; default: generation_config.json's")
	cli.Default(fs, &g.NumBeams, "num-beams", 0,
		"beams of beam search, which looks for the most probable texts and shows each when it is complete; 1: no beam search"+
			file+"1")
	cli.Optional(fs, &g.LengthPenalty, "length-penalty", 0,
		"of beam search: the exponent of the length that divides the score of a text; above 0 favours long texts"+file+"1")
	fs.Var(stopping{&g.EarlyStopping}, "early-stopping",
		"`when` beam search ends: true (as many texts are finished as there are beams), false (a better one is unlikely) or "+
			"never (there can be no better one)"+file+"false")
	fs.Int32SliceVar(&g.SuppressTokens, "suppress-tokens", nil,
		"`ids` of tokens that are never generated, separated by commas; default: generation_config.json's")
	fs.Lookup("suppress-tokens").DefValue = "" // an empty list is not worth printing
	fs.StringArrayVar(&g.Stop, "stop", nil,
		"a `text` to stop before; may be given several times; default: stop_strings of generation_config.json")
	cli.Optional(fs, &g.Seed, "seed", 42, "decides what is drawn")
	cli.Default(fs, &g.NumReturnSequences, "num-return-sequences", 0, "sequences for each "+w.one+file+"1")
}

// stopping is the value of --early-stopping.
type stopping struct{ to **generate.EarlyStopping }

// Set reads true, false or never.
func (s stopping) Set(text string) error {
	e, err := generate.ParseEarlyStopping(text)
	*s.to = &e
	return err
}

// String returns the value, "" if there is none.
func (s stopping) String() string {
	if s.to == nil || *s.to == nil {
		return ""
	}
	return (*s.to).String()
}

// Type is the name of the type.
func (stopping) Type() string { return "string" }
