package models

import (
	"fmt"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/models/distilbert"
	"github.com/spalora/spalora/models/electra"
	"github.com/spalora/spalora/models/gpt"
	"github.com/spalora/spalora/models/llama"
	"github.com/spalora/spalora/models/roberta"
)

// family is an architecture with a checkpoint's configuration: it builds models with empty weights, and says how each is filled. A nil
// function is a head that the architecture does not have.
type family struct {
	name               string // model_type
	sequenceClassifier func(labels int) (SequenceClassifier, loading)
	tokenClassifier    func(labels int) (TokenClassifier, loading)
	questionAnswerer   func() (QuestionAnswerer, loading)
	multipleChoice     func() (MultipleChoice, loading)
	encoder            func() (Encoder, loading)
	causalLM           func() (CausalLM, loading)
}

// The model types, for messages.
const (
	causalTypes = "gpt2, llama, mistral, qwen2 or qwen3"
	allTypes    = "bert, roberta, xlm-roberta, distilbert, electra, " + causalTypes
)

// familyOf reads and checks the configuration of src.
func familyOf(src *checkpoint.Source) (family, error) {
	info, err := ReadInfo(src)
	if err != nil {
		return family{}, err
	}
	switch info.ModelType {
	case "bert":
		c, err := decodeConfig(src, bert.DefaultConfig())
		if err != nil {
			return family{}, err
		}
		return bertFamily(c), checkRows(src, c.VocabSize, "hidden_size", c.HiddenSize, "bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight")
	case "roberta", "xlm-roberta":
		defaults, err := roberta.DefaultConfig(info.ModelType)
		if err != nil {
			return family{}, err
		}
		c, err := decodeConfig(src, defaults)
		if err != nil {
			return family{}, err
		}
		return robertaFamily(c), checkRows(src, c.VocabSize, "hidden_size", c.HiddenSize, "roberta.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight")
	case "distilbert":
		c, err := decodeConfig(src, distilbert.DefaultConfig())
		if err != nil {
			return family{}, err
		}
		return distilbertFamily(c), checkRows(src, c.VocabSize, "dim", c.Width, "distilbert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight")
	case "electra":
		c, err := decodeConfig(src, electra.DefaultConfig())
		if err != nil {
			return family{}, err
		}
		return electraFamily(c), checkRows(src, c.VocabSize, "embedding_size", c.EmbeddingSize, "electra.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight")
	case "gpt2":
		c, err := decodeConfig(src, gpt.DefaultConfig())
		if err != nil {
			return family{}, err
		}
		return gptFamily(c), checkRows(src, c.VocabSize, "n_embd", c.Width, "transformer.wte.weight", "wte.weight")
	case "llama", "mistral", "qwen2", "qwen3":
		defaults, err := llama.DefaultConfig(info.ModelType)
		if err != nil {
			return family{}, err
		}
		c, err := decodeConfig(src, defaults)
		if err != nil {
			return family{}, err
		}
		return llamaFamily(c), checkRows(src, c.VocabSize, "hidden_size", c.HiddenSize, "model.embed_tokens.weight", "embed_tokens.weight")
	case "":
		return family{}, fmt.Errorf("models: %s: config.json has no model_type", src.Name())
	}
	return family{}, fmt.Errorf("models: %s: model_type %q is not supported; want %s", src.Name(), info.ModelType, allTypes)
}

// decodeConfig decodes config.json over the defaults and checks it.
func decodeConfig[C interface{ Check() error }](src *checkpoint.Source, c C) (C, error) {
	if err := src.DecodeConfig(&c); err != nil {
		return c, err
	}
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("models: %s: %w", src.Name(), err)
	}
	return c, nil
}

// checkRows compares the sizes in config.json with the word table, by one of its names, before anything of those sizes is allocated.
func checkRows(src *checkpoint.Source, vocabulary int, field string, width int, names ...string) error {
	for _, n := range names {
		if t, ok := src.Tensor(n); ok && len(t.Shape) == 2 && (t.Shape[0] != vocabulary || t.Shape[1] != width) {
			return fmt.Errorf("models: %s: config.json says vocab_size %d and %s %d, but %s is %d×%d",
				src.Name(), vocabulary, field, width, n, t.Shape[0], t.Shape[1])
		}
	}
	return nil
}

func bertFamily(c bert.Config) family {
	below := func(heads ...string) loading { return loading{prefix: "bert.", heads: heads, std: c.InitializerRange} }
	return family{
		name: c.ModelType,
		sequenceClassifier: func(labels int) (SequenceClassifier, loading) {
			return bert.NewForSequenceClassification(c, labels), below("classifier.", "bert.pooler.")
		},
		tokenClassifier: func(labels int) (TokenClassifier, loading) {
			return bert.NewForTokenClassification(c, labels), below("classifier.")
		},
		questionAnswerer: func() (QuestionAnswerer, loading) { return bert.NewForQuestionAnswering(c), below("qa_outputs.") },
		multipleChoice: func() (MultipleChoice, loading) {
			return bert.NewForMultipleChoice(c), below("classifier.", "bert.pooler.")
		},
		encoder: func() (Encoder, loading) { return bert.New(c), below("pooler.") },
	}
}

func robertaFamily(c roberta.Config) family {
	below := func(heads ...string) loading {
		return loading{prefix: "roberta.", heads: heads, std: c.InitializerRange}
	}
	return family{
		name: c.ModelType,
		sequenceClassifier: func(labels int) (SequenceClassifier, loading) {
			return roberta.NewForSequenceClassification(c, labels), below("classifier.")
		},
		tokenClassifier: func(labels int) (TokenClassifier, loading) {
			return roberta.NewForTokenClassification(c, labels), below("classifier.")
		},
		questionAnswerer: func() (QuestionAnswerer, loading) { return roberta.NewForQuestionAnswering(c), below("qa_outputs.") },
		multipleChoice: func() (MultipleChoice, loading) {
			return roberta.NewForMultipleChoice(c), below("classifier.", "roberta.pooler.")
		},
		encoder: func() (Encoder, loading) { return roberta.New(c), below("pooler.") },
	}
}

func distilbertFamily(c distilbert.Config) family {
	below := func(heads ...string) loading {
		return loading{prefix: "distilbert.", heads: heads, std: c.InitializerRange}
	}
	return family{
		name: c.ModelType,
		sequenceClassifier: func(labels int) (SequenceClassifier, loading) {
			return distilbert.NewForSequenceClassification(c, labels), below("classifier.", "pre_classifier.")
		},
		tokenClassifier: func(labels int) (TokenClassifier, loading) {
			return distilbert.NewForTokenClassification(c, labels), below("classifier.")
		},
		questionAnswerer: func() (QuestionAnswerer, loading) { return distilbert.NewForQuestionAnswering(c), below("qa_outputs.") },
		multipleChoice: func() (MultipleChoice, loading) {
			return distilbert.NewForMultipleChoice(c), below("classifier.", "pre_classifier.")
		},
		encoder: func() (Encoder, loading) { return distilbert.New(c), below() },
	}
}

func electraFamily(c electra.Config) family {
	below := func(heads ...string) loading {
		return loading{prefix: "electra.", heads: heads, std: c.InitializerRange}
	}
	return family{
		name: c.ModelType,
		sequenceClassifier: func(labels int) (SequenceClassifier, loading) {
			return electra.NewForSequenceClassification(c, labels), below("classifier.")
		},
		tokenClassifier: func(labels int) (TokenClassifier, loading) {
			return electra.NewForTokenClassification(c, labels), below("classifier.")
		},
		questionAnswerer: func() (QuestionAnswerer, loading) { return electra.NewForQuestionAnswering(c), below("qa_outputs.") },
		multipleChoice: func() (MultipleChoice, loading) {
			return electra.NewForMultipleChoice(c), below("classifier.", "sequence_summary.")
		},
		encoder: func() (Encoder, loading) { return electra.New(c), below() },
	}
}

func gptFamily(c gpt.Config) family {
	const prefix = "transformer."
	return family{
		name: c.ModelType,
		sequenceClassifier: func(labels int) (SequenceClassifier, loading) {
			return gpt.NewForSequenceClassification(c, labels), loading{prefix: prefix, heads: []string{"score."}, std: c.InitializerRange}
		},
		tokenClassifier: func(labels int) (TokenClassifier, loading) {
			return gpt.NewForTokenClassification(c, labels), loading{prefix: prefix, heads: []string{"classifier."}, std: c.InitializerRange}
		},
		causalLM: func() (CausalLM, loading) {
			return gpt.NewForCausalLM(c), loading{prefix: prefix, tied: tied(c.TieWordEmbeddings, "transformer.wte.weight")}
		},
	}
}

func llamaFamily(c llama.Config) family {
	const prefix = "model."
	return family{
		name: c.ModelType,
		sequenceClassifier: func(labels int) (SequenceClassifier, loading) {
			return llama.NewForSequenceClassification(c, labels), loading{prefix: prefix, heads: []string{"score."}, std: c.InitializerRange}
		},
		tokenClassifier: func(labels int) (TokenClassifier, loading) {
			return llama.NewForTokenClassification(c, labels), loading{prefix: prefix, heads: []string{"score."}, std: c.InitializerRange}
		},
		causalLM: func() (CausalLM, loading) {
			return llama.NewForCausalLM(c), loading{prefix: prefix, tied: tied(c.TieWordEmbeddings, "model.embed_tokens.weight")}
		},
	}
}

// tied says that a head in the checkpoint repeats the word table, if it does.
func tied(is bool, table string) map[string]string {
	if !is {
		return nil
	}
	return map[string]string{"lm_head.weight": table}
}
