package causallm

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/settings"
)

// StandardNewTokens is the default number of new tokens of a sequence; transformers' 20 are hardly a sentence.
const StandardNewTokens = 128

// Generation holds the settings of generated text. Nil fields take the values of the checkpoint's
// generation_config.json, else transformers' defaults. Names are those of its GenerationConfig.
type Generation struct {
	MaxNewTokens       int      // most tokens to generate for a prompt; 0: StandardNewTokens
	DoSample           *bool    // draw tokens by their probability; the settings from Temperature to MinP imply it
	Temperature        *float64 // below 1 favours likely tokens, above 1 flattens the distribution; 0 is greedy
	TopK               *int     // draw from this number of most probable tokens; 0: all
	TopP               *float64 // draw from the most probable tokens that make up this probability; 1: all
	MinP               *float64 // draw from tokens that are at least this share as probable as the most probable one
	RepetitionPenalty  *float64 // above 1: make tokens that have occurred less probable
	Stop               []string // texts to stop before
	Seed               *uint64  // decides what is drawn; nil: 42
	NumReturnSequences int      // sequences for each prompt; 0: 1
}

// Check returns an error if settings contradict each other.
func (g *Generation) Check() error {
	zero := g.Temperature != nil && *g.Temperature == 0
	if g.DoSample == nil {
		return nil
	}
	if *g.DoSample {
		if zero {
			return errors.New("`temperature 0` takes the most probable token, `do_sample` draws one; leave one of them out")
		}
		return nil
	}
	for _, x := range []struct {
		option string
		given  bool
	}{{"temperature", g.Temperature != nil && !zero}, {"top_k", g.TopK != nil}, {"top_p", g.TopP != nil},
		{"min_p", g.MinP != nil}} {
		if x.given {
			return fmt.Errorf("`%s` has no effect with `do_sample`=false; leave one of them out", x.option)
		}
	}
	return nil
}

// Config returns the configuration of generation with a checkpoint: the settings, else the values of its
// generation_config.json, else transformers' defaults.
func (g *Generation) Config(b *base.Base) (generate.Config, error) {
	c := generate.Defaults()
	if err := g.Check(); err != nil {
		return c, base.Settings(err)
	}
	file, _, err := readGeneration(b)
	if err != nil {
		return c, err
	}
	c.StopStrings, c.EosTokenIDs, c.Seed = g.Stop, endIDs(b), 42
	c.MaxNewTokens = StandardNewTokens
	if g.MaxNewTokens != 0 {
		c.MaxNewTokens = g.MaxNewTokens
	}
	if g.NumReturnSequences != 0 {
		c.NumReturnSequences = g.NumReturnSequences
	}
	choose(&c.Seed, g.Seed, nil)
	choose(&c.DoSample, g.DoSample, file.DoSample)
	choose(&c.Temperature, g.Temperature, file.Temperature)
	choose(&c.TopK, g.TopK, file.TopK)
	choose(&c.TopP, g.TopP, file.TopP)
	choose(&c.MinP, g.MinP, file.MinP)
	choose(&c.RepetitionPenalty, g.RepetitionPenalty, file.RepetitionPenalty)
	if g.DoSample == nil {
		c.DoSample = c.DoSample || g.Temperature != nil || g.TopK != nil || g.TopP != nil || g.MinP != nil
	}
	if g.Temperature != nil && *g.Temperature == 0 {
		c.DoSample, c.Temperature = false, 1
	}
	return c, base.Settings(c.Validate())
}

// generationFile holds the settings of a checkpoint's generation_config.json.
type generationFile struct {
	DoSample          *bool    `json:"do_sample"`
	Temperature       *float64 `json:"temperature"`
	TopK              *int     `json:"top_k"`
	TopP              *float64 `json:"top_p"`
	MinP              *float64 `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`
}

// readGeneration reads the generation_config.json of a checkpoint, if it has one, and returns a warning for each of its
// settings that are not honoured.
func readGeneration(b *base.Base) (file generationFile, warnings []string, err error) {
	name := settings.GenerationConfig.Name
	text, err := b.File(name)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil, nil
	}
	if err == nil {
		err = checkpoint.DecodeJSON(name, text, &file)
	}
	if err == nil {
		warnings, err = settings.GenerationConfig.Check(text)
	}
	if err != nil {
		err = base.Input(fmt.Errorf("%s: %w", b.Name, err))
	}
	return file, warnings, err
}

// choose replaces a default by the setting, or by the value of the checkpoint if that is not given.
func choose[T any](to, given, file *T) {
	switch {
	case given != nil:
		*to = *given
	case file != nil:
		*to = *file
	}
}

// endIDs returns the tokens that end a generated text: those of the checkpoint's configuration, else the tokenizer's.
func endIDs(b *base.Base) []int32 {
	if len(b.Info.EosIDs) > 0 {
		return b.Info.EosIDs
	}
	if id := b.Tokenizer.EosID(); id >= 0 {
		return []int32{id}
	}
	return nil
}

// chatTemplate returns the chat template of a base, nil if it has none.
func chatTemplate(b *base.Base) (*chat.Template, error) {
	t, err := chat.Load(b.File)
	if errors.Is(err, chat.ErrNoTemplate) {
		return nil, nil
	}
	if err != nil {
		return nil, base.Input(fmt.Errorf("%s: %w", b.Name, err))
	}
	return t, nil
}
