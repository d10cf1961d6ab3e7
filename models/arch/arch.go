package arch

import (
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"
)

// Arch describes an architecture. Names of modules have no dot at the end.
type Arch struct {
	Types   []string // values of model_type in config.json
	Prefix  string   // of the base model's tensors in a checkpoint with a head, with its dot: "bert."
	Words   string   // the word table, rows×columns, without Prefix; "" if the model reads no tokens
	Copies  []string // modules whose weight repeats the word table, without Prefix; checkpoints may have them or not
	Targets []string // default target_modules of LoRA; nil: none, so the user has to name them
	Unused  []string // modules of heads that are not built here, as those for pretraining
	Buffers []string // tensors at any depth that hold no weights, as "position_ids"
	Heads   []Head

	// Config decodes config.json over the defaults of a model type, which is one of Types. It does not check the result.
	Config func(modelType string, decode func(into any) error) (Config, error)
}

// Config is a decoded config.json.
type Config interface {
	// Check returns an error that lists everything that the model cannot be built with.
	Check() error
	// Facts returns the values that loading a checkpoint needs.
	Facts() Facts
}

// Facts are the values of a config.json that are needed to fill a model from a checkpoint.
type Facts struct {
	Vocabulary int     // rows of the word table: vocab_size
	Width      int     // columns of the word table
	WidthField string  // the field of config.json that holds Width
	Std        float64 // standard deviation of fresh weights: initializer_range
	Tied       bool    // lm_head repeats the word table: tie_word_embeddings
	OwnHead    bool    // with Tied: config.json expects another lm_head in the checkpoint, which then is no mistake
}

// Head describes the model with one kind of head.
type Head struct {
	Kind Kind
	// Parts are the modules of the head beside the base model: "classifier".
	Parts []string
	// Inner are modules of the base model that only heads read, so that checkpoints may lack them: "pooler".
	Inner []string
	// Without lists modules of the base model that this model does not have, so that the loader skips their tensors:
	// "decoder" of an encoder alone.
	Without []string
	// Outputs is the weight that has a row for each output; "" if the task does not choose their number.
	Outputs string
	// Class is the class in config.json whose checkpoints have this head, if the kind of head is not asked for by a task.
	Class string
	// Bare says that the base model's names have no Prefix in this model.
	Bare bool
	// Build returns the model with empty weights; see [Labelled] and [Unlabelled]. The configuration has passed Check.
	Build func(c Config, labels int) spago.Model
}

// ReadOver returns a function for [Arch.Config] that decodes config.json into the defaults of a model type.
func ReadOver[C Config](defaults func(modelType string) (C, error)) func(string, func(into any) error) (Config, error) {
	return func(modelType string, decode func(into any) error) (Config, error) {
		c, err := defaults(modelType)
		if err != nil {
			return nil, err
		}
		if err := decode(&c); err != nil {
			return nil, err
		}
		return c, nil
	}
}

// Labelled returns a function for [Head.Build] from the constructor of a model with a given number of labels. C is the
// type that [Arch.Config] returns.
func Labelled[C Config, M spago.Model](build func(c C, labels int) M) func(Config, int) spago.Model {
	return func(c Config, labels int) spago.Model { return build(c.(C), labels) }
}

// Unlabelled returns a function for [Head.Build] from the constructor of a model without labels. C is the type that
// [Arch.Config] returns.
func Unlabelled[C Config, M spago.Model](build func(c C) M) func(Config, int) spago.Model {
	return func(c Config, _ int) spago.Model { return build(c.(C)) }
}

// Head returns the head of a kind, and whether the architecture has it.
func (a Arch) Head(k Kind) (Head, bool) {
	i := slices.IndexFunc(a.Heads, func(h Head) bool { return h.Kind == k })
	if i < 0 {
		return Head{}, false
	}
	return a.Heads[i], true
}

// HeadsWith returns the kinds of heads whose outputs are the rows of a weight. A head of two layers names another
// weight than one of a single layer, so that an adapter's tensors say which of them was trained.
func (a Arch) HeadsWith(outputs string) []Kind {
	var kinds []Kind
	for _, h := range a.Heads {
		if outputs != "" && h.Outputs == outputs {
			kinds = append(kinds, h.Kind)
		}
	}
	return kinds
}

// Has reports whether a weight, named by its path in the model, belongs to the head.
func (h Head) Has(weight string) bool {
	return slices.ContainsFunc(h.Parts, func(part string) bool { return strings.HasPrefix(weight, part+".") })
}

// Saves returns the shortest modules_to_save of an adapter that cover the head. PEFT compares the ends of names, so
// that "classifier" covers "pre_classifier" as well.
func (h Head) Saves() []string {
	var names []string
	for _, part := range h.Parts {
		covered := func(other string) bool { return other != part && strings.HasSuffix(part, other) }
		if !slices.ContainsFunc(h.Parts, covered) {
			names = append(names, part)
		}
	}
	return names
}
