package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
)

// GenerationFlags say how a language model goes on with prompts. Names are those of transformers' GenerationConfig.
type GenerationFlags struct {
	cfg  generate.Config
	stop []string
}

// defaultNewTokens is how many tokens a sequence gets if nothing else is said: transformers' 20 are hardly a sentence.
const defaultNewTokens = 128

// Add defines the flags.
func (g *GenerationFlags) Add(fs *pflag.FlagSet) {
	g.cfg = generate.Defaults()
	c := &g.cfg
	const checkpoints = "; default: generation_config.json's, else "
	fs.IntVar(&c.MaxNewTokens, "max-new-tokens", defaultNewTokens, "most tokens to generate for a prompt")
	fs.BoolVar(&c.DoSample, "do-sample", false, "draw tokens by their probability instead of taking the most probable one; the flags below down to --min-p imply it"+checkpoints+"false")
	fs.Float64Var(&c.Temperature, "temperature", 0, "divides the logits: below 1 is bolder, above 1 wilder; 0 takes the most probable token"+checkpoints+"1")
	fs.IntVar(&c.TopK, "top-k", 0, "draw from the so many most probable tokens; 0: all"+checkpoints+"50")
	fs.Float64Var(&c.TopP, "top-p", 0, "draw from the most probable tokens that make up this probability; 1: all"+checkpoints+"1")
	fs.Float64Var(&c.MinP, "min-p", 0, "draw from tokens that are at least this share as probable as the most probable one"+checkpoints+"0")
	fs.Float64Var(&c.RepetitionPenalty, "repetition-penalty", 0, "above 1: make tokens that were there less probable"+checkpoints+"1")
	fs.StringArrayVar(&g.stop, "stop", nil, "a `text` to stop before; may be given several times")
	fs.Uint64Var(&c.Seed, "seed", 42, "decides what is drawn")
	fs.IntVar(&c.NumReturnSequences, "num-return-sequences", 1, "sequences for each prompt")
}

// sampling are the flags that only act when tokens are drawn.
var sampling = []string{"temperature", "top-k", "top-p", "min-p"}

// generationConfig is what generation_config.json says about choosing tokens.
type generationConfig struct {
	DoSample          *bool    `json:"do_sample"`
	Temperature       *float64 `json:"temperature"`
	TopK              *int     `json:"top_k"`
	TopP              *float64 `json:"top_p"`
	MinP              *float64 `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`
}

// Check reports flags that contradict each other, before anything is opened.
func (g *GenerationFlags) Check(given func(string) bool) error {
	if given("do-sample") && !g.cfg.DoSample {
		for _, flag := range sampling {
			if given(flag) && !(flag == "temperature" && g.cfg.Temperature == 0) {
				return fmt.Errorf("--%s has no effect with --do-sample=false; leave one of them out", flag)
			}
		}
	}
	if given("do-sample") && g.cfg.DoSample && given("temperature") && g.cfg.Temperature == 0 {
		return errors.New("--temperature 0 takes the most probable token, --do-sample draws one; leave one of them out")
	}
	return nil
}

// Config returns how to generate: as the flags say, else the checkpoint's generation_config.json, else transformers' defaults.
func (g *GenerationFlags) Config(b *Base, given func(string) bool) (generate.Config, error) {
	c, d := g.cfg, generate.Defaults()
	c.StopStrings, c.EosTokenIDs = g.stop, b.EndIDs()
	var file generationConfig
	text, err := b.File("generation_config.json")
	if err == nil {
		err = checkpoint.DecodeJSON("generation_config.json", text, &file)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return c, InputError(fmt.Errorf("%s: %w", b.Name, err))
	}
	choose(&c.DoSample, given("do-sample"), file.DoSample, d.DoSample)
	choose(&c.Temperature, given("temperature"), file.Temperature, d.Temperature)
	choose(&c.TopK, given("top-k"), file.TopK, d.TopK)
	choose(&c.TopP, given("top-p"), file.TopP, d.TopP)
	choose(&c.MinP, given("min-p"), file.MinP, d.MinP)
	choose(&c.RepetitionPenalty, given("repetition-penalty"), file.RepetitionPenalty, d.RepetitionPenalty)
	if !given("do-sample") {
		for _, flag := range sampling {
			c.DoSample = c.DoSample || given(flag)
		}
	}
	if given("temperature") && c.Temperature == 0 {
		c.DoSample, c.Temperature = false, d.Temperature
	}
	return c, UsageError(c.Validate())
}

// choose keeps the value of a flag that was given, else takes that of the checkpoint, else the default.
func choose[T any](to *T, given bool, file *T, standard T) {
	switch {
	case given:
	case file != nil:
		*to = *file
	default:
		*to = standard
	}
}
