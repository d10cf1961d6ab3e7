// Package embedded holds the checkpoints and data sets that commands and examples use by default, so that a first run
// needs neither network nor files. Their licences are beside the files. Library packages never import it.
package embedded

import (
	"embed"
	"io/fs"
)

var (
	//go:embed minilm/config.json
	miniLMConfig []byte
	//go:embed minilm/model.safetensors
	miniLMWeights []byte
	//go:embed minilm/tokenizer.json
	miniLMTokenizer []byte
	//go:embed minilm/tokenizer_config.json
	miniLMTokenizerConfig []byte
	//go:embed minilm/special_tokens_map.json
	miniLMSpecialTokens []byte
	//go:embed minilm/modules.json
	miniLMModules []byte
	//go:embed minilm/1_Pooling/config.json
	miniLMPooling []byte
	//go:embed minilm/LICENSE.txt
	miniLMLicense []byte
	//go:embed minilm/NOTICE.txt
	miniLMNotice []byte
	//go:embed gpt/config.json
	gptConfig []byte
	//go:embed gpt/model.safetensors
	gptWeights []byte
	//go:embed gpt/tokenizer.json
	gptTokenizer []byte
	//go:embed gpt/tokenizer_config.json
	gptTokenizerConfig []byte
	//go:embed gpt/NOTICE.txt
	gptNotice []byte
	//go:embed gpt/LICENSE-GSM8K.txt
	gptLicense []byte
	//go:embed t5/config.json
	t5Config []byte
	//go:embed t5/model.safetensors
	t5Weights []byte
	//go:embed t5/tokenizer.json
	t5Tokenizer []byte
	//go:embed t5/tokenizer_config.json
	t5TokenizerConfig []byte
	//go:embed t5/NOTICE.txt
	t5Notice []byte
	//go:embed t5/AUTHORS.txt
	t5Authors []byte
	//go:embed whisper/config.json
	whisperConfig []byte
	//go:embed whisper/generation_config.json
	whisperGeneration []byte
	//go:embed whisper/preprocessor_config.json
	whisperFeatures []byte
	//go:embed whisper/model.transformers.gguf
	whisperWeights []byte
	//go:embed whisper/tokenizer.json
	whisperTokenizer []byte
	//go:embed whisper/NOTICE.txt
	whisperNotice []byte
	//go:embed whisper/LICENSE.txt
	whisperLicense []byte
	//go:embed vit/config.json
	vitConfig []byte
	//go:embed vit/preprocessor_config.json
	vitPixels []byte
	//go:embed vit/model.safetensors
	vitWeights []byte
	//go:embed vit/README.md
	vitCard []byte
	//go:embed vit/LICENSE-Omniglot.txt
	vitLicense []byte
	//go:embed mnist/train-images-idx3-ubyte.gz
	mnistTrainImages []byte
	//go:embed mnist/train-labels-idx1-ubyte.gz
	mnistTrainLabels []byte
	//go:embed mnist/test-images-idx3-ubyte.gz
	mnistTestImages []byte
	//go:embed mnist/test-labels-idx1-ubyte.gz
	mnistTestLabels []byte
	//go:embed fsdd/train fsdd/test
	fsdd embed.FS
	//go:embed tatoeba/train.tsv
	tatoebaTrain []byte
	//go:embed tatoeba/test.tsv
	tatoebaTest []byte
	//go:embed e2e/train.jsonl
	e2eTrain []byte
	//go:embed e2e/test.jsonl
	e2eTest []byte
	//go:embed banking77/train.csv
	banking77Train []byte
	//go:embed banking77/test.csv
	banking77Test []byte
	//go:embed restaurant8k/train.json
	restaurant8kTrain []byte
	//go:embed restaurant8k/test.json
	restaurant8kTest []byte
	//go:embed policyqa/train.json
	policyQATrain []byte
	//go:embed policyqa/test.json
	policyQATest []byte
	//go:embed codah/train.tsv
	codahTrain []byte
	//go:embed codah/test.tsv
	codahTest []byte
)

// The names of the embedded checkpoints and data sets in messages and adapter configurations.
const (
	MiniLMName       = "sentence-transformers/all-MiniLM-L6-v2"
	GPTName          = "spalora/gpt-shakespeare-3m"
	T5Name           = "spalora/t5-en-sv-2m"
	WhisperName      = "openai/whisper-tiny.en"
	ViTName          = "spalora/vit-omniglot-1m"
	MNISTName        = "mnist"
	TatoebaName      = "tatoeba-en-sv"
	E2EName          = "e2e-nlg"
	FSDDName         = "fsdd"
	Banking77Name    = "banking77"
	Restaurant8kName = "restaurant8k"
	PolicyQAName     = "policyqa"
	CodahName        = "codah"
)

// MiniLM returns the files of all-MiniLM-L6-v2 by name (BERT architecture, 6 layers, C=384, 22.7 million weights in
// float16). The contents must not be changed.
func MiniLM() map[string][]byte {
	return map[string][]byte{
		"config.json": miniLMConfig, "model.safetensors": miniLMWeights, "tokenizer.json": miniLMTokenizer,
		"tokenizer_config.json": miniLMTokenizerConfig, "special_tokens_map.json": miniLMSpecialTokens,
		"modules.json": miniLMModules, "1_Pooling/config.json": miniLMPooling,
		"LICENSE.txt": miniLMLicense, "NOTICE.txt": miniLMNotice,
	}
}

// GPT returns the files of a small language model by name (GPT-2 architecture, 6 layers, C=192, 3.1 million weights in
// float16, a byte-level BPE of 2,048 tokens, 256 positions). This project trained it on Shakespeare and on word
// problems; docs/embedded-gpt.md describes how. The command finetune causal-lm adapts it by default to the questions of
// Banking77, whose column text can serve as a set of documents. The contents must not be changed.
func GPT() map[string][]byte {
	return map[string][]byte{
		"config.json": gptConfig, "model.safetensors": gptWeights, "tokenizer.json": gptTokenizer,
		"tokenizer_config.json": gptTokenizerConfig, "NOTICE.txt": gptNotice, "LICENSE-GSM8K.txt": gptLicense,
	}
}

// T5 returns the files of a small encoder–decoder by name (T5 architecture, 3 layers a side, C=128, 1.9 million
// weights in float16,
// a Unigram vocabulary of 4,096 tokens). This project trained it on short pairs of English and Swedish
// sentences and on spans of English texts; docs/embedded-t5.md describes how. The contents must not be changed.
func T5() map[string][]byte {
	return map[string][]byte{
		"config.json": t5Config, "model.safetensors": t5Weights, "tokenizer.json": t5Tokenizer,
		"tokenizer_config.json": t5TokenizerConfig, "NOTICE.txt": t5Notice, "AUTHORS.txt": t5Authors,
	}
}

// Whisper returns the files of Whisper tiny.en by name (4 layers a side, C=384, 37.8 million weights, quantised to 8
// bits). The contents must not be changed.
func Whisper() map[string][]byte {
	return map[string][]byte{
		"config.json": whisperConfig, "generation_config.json": whisperGeneration,
		"preprocessor_config.json": whisperFeatures, "model.transformers.gguf": whisperWeights,
		"tokenizer.json": whisperTokenizer, "NOTICE.txt": whisperNotice, "LICENSE.txt": whisperLicense,
	}
}

// ViT returns the files of a small vision transformer by name (ViT architecture, 6 layers, C=128, images of 28×28
// pixels in patches of 7×7, 1.1 million weights in float16). This project trained it on handwritten characters;
// docs/embedded-vit.md describes how. The contents must not be changed.
func ViT() map[string][]byte {
	return map[string][]byte{
		"config.json": vitConfig, "preprocessor_config.json": vitPixels, "model.safetensors": vitWeights,
		"README.md": vitCard, "LICENSE-Omniglot.txt": vitLicense,
	}
}

// IDX is images and their labels in the format of MNIST, packed with gzip.
type IDX struct{ Images, Labels []byte }

// MNIST returns a part of MNIST, handwritten digits of 28×28 grey pixels, for training and for testing: 2,000 images
// each. The contents must not be changed.
func MNIST() (train, test IDX) {
	return IDX{mnistTrainImages, mnistTrainLabels}, IDX{mnistTestImages, mnistTestLabels}
}

// FSDD returns strings of spoken digits, for training (three speakers, 135 strings of three to six digits) and for
// testing (another speaker, 30 strings of five): folders with metadata.jsonl, whose rows have file_name and text, and
// the recordings as FLAC at 8 kHz.
func FSDD() (train, test fs.FS) { return folder(fsdd, "fsdd/train"), folder(fsdd, "fsdd/test") }

// folder returns a folder of embedded files, which exists.
func folder(files embed.FS, name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err)
	}
	return sub
}

// Tatoeba returns English sentences of at least seven words with Swedish translations, for training and for testing:
// tab-separated columns en, sv and tatoeba (the numbers and authors of both sentences) without quotes, 4,495 and 189
// rows. The contents must not be changed.
func Tatoeba() (train, test []byte) { return tatoebaTrain, tatoebaTest }

// E2E returns a part of the E2E data set, tables about restaurants with sentences that say what they hold, for training
// and for testing: JSON Lines with source and target (1,548 rows), and with source and targets (210 rows). The contents
// must not be changed.
func E2E() (train, test []byte) { return e2eTrain, e2eTest }

// Banking77 returns the training and test questions of BANKING77: CSV with the columns text and category, 10,003 and
// 3,080 rows, 77 intents. The contents must not be changed.
func Banking77() (train, test []byte) { return banking77Train, banking77Test }

// Restaurant8k returns the training and test utterances of RESTAURANTS-8K: lists of JSON objects with spans of
// characters, 2,049 and 3,731 utterances, 5 slots (date, time, people, first_name, last_name). The contents must not be
// changed.
func Restaurant8k() (train, test []byte) { return restaurant8kTrain, restaurant8kTest }

// PolicyQA returns a part of PolicyQA, questions about the privacy policies of websites, for training and for testing:
// SQuAD JSON of version 1.1, 1,294 and 411 questions with one or more answers, about paragraphs from the policies of
// different websites. The contents must not be changed.
func PolicyQA() (train, test []byte) { return policyQATrain, policyQATest }

// Codah returns the training and test questions of the first fold of CODAH, each with four endings of a sentence, of
// which one is sensible: tab-separated columns without header or quotes, namely a category, a prompt, four endings and
// the number of the right one; 1,665 and 555 rows. The contents must not be changed.
func Codah() (train, test []byte) { return codahTrain, codahTest }
