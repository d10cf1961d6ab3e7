package tokenize

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// modelClasses are the tokenizer classes that transformers takes for a model_type of
// config.json when tokenizer_config.json names none.
var modelClasses = map[string]string{
	"bert": "BertTokenizer", "distilbert": "BertTokenizer", "electra": "BertTokenizer",
	"gpt2": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer", "qwen3": "Qwen2Tokenizer",
	"roberta": "RobertaTokenizer", "xlm-roberta": "XLMRobertaTokenizer",
}

// bertClasses are the classes that make BERT's tokenizer of vocab.txt.
var bertClasses = []string{
	"BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer", "MobileBertTokenizer", "SqueezeBertTokenizer",
}

// robertaRoles are the tokens of RoBERTa's roles.
var robertaRoles = map[string]string{
	"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>",
}

// class returns the tokenizer class that tokenizer_config.json names, or else that
// of the model, without Fast at the end; "" if there is none. typ is the model
// type of config.json if that was looked at.
func (s *settings) class(open func(string) ([]byte, error)) (name, typ string, err error) {
	if name = s.config.get("tokenizer_class").optionalText(); name != "" {
		return strings.TrimSuffix(name, "Fast"), "", nil
	}
	if err := s.err(); err != nil {
		return "", "", err
	}
	raw, err := open(modelFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", "", nil
	case err != nil:
		return "", "", fmt.Errorf("tokenize: %s: %w", modelFile, err)
	}
	doc, err := parseJSON(modelFile, raw)
	if err != nil {
		return "", "", err
	}
	typ = field{modelFile + ":", doc, &s.errs}.get("model_type").optionalText()
	return modelClasses[typ], typ, s.err()
}

// knownClass returns the tokenizer class of a checkpoint with the given file, which
// must be among known. usual is the class where nothing names one.
func (s *settings) knownClass(open func(string) ([]byte, error), file, usual string, known []string) (string, error) {
	name, typ, err := s.class(open)
	switch {
	case err != nil:
		return "", err
	case name == "" && typ == "" && usual != "":
		return usual, nil
	case name == "" && typ != "":
		return "", fmt.Errorf("tokenize: %s: tokenizer_class is missing, and what model_type %q would do with %s is not known", configFile, typ, file)
	case !slices.Contains(known, name):
		last := len(known) - 1
		return "", fmt.Errorf("tokenize: %s: tokenizer_class: how %q splits text is not known, only %s and %s: save the tokenizer with transformers to get a %s",
			configFile, name, strings.Join(known[:last], ", "), known[last], tokenizerFile)
	}
	return name, nil
}

// libraryClasses are the classes for which transformers 5 has the library read
// tokenizer.json. For others it reads the file itself.
var libraryClasses = []string{"", "PreTrainedTokenizer", "TokenizersBackend"}

// beside returns what the tokenizer class says beside tokenizer.json: the tokens of
// its roles, nil if they are not known, and whether the numbers of the file are
// read exactly.
func (s *settings) beside(open func(string) ([]byte, error)) (usual map[string]string, exact bool, err error) {
	name, _, err := s.class(open)
	usual = bpeClasses[name].roles
	if name == "XLMRobertaTokenizer" {
		usual = robertaRoles
	}
	return usual, !slices.Contains(libraryClasses, name), err
}

// bpeClassNames are the names of the bpeClasses.
var bpeClassNames = slices.Sorted(maps.Keys(bpeClasses))

// sentencePieceFiles are the names that models of SentencePiece have.
var sentencePieceFiles = []string{"sentencepiece.bpe.model", "spiece.model", "tokenizer.model", "sentencepiece.model", "spm.model"}

// errNoFile is the error of a checkpoint without a tokenizer that can be read.
func errNoFile(open func(string) ([]byte, error)) error {
	for _, name := range sentencePieceFiles {
		if _, err := open(name); err == nil {
			return fmt.Errorf("tokenize: %s is not read without %s: make that with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)", name, tokenizerFile)
		}
	}
	return fmt.Errorf("tokenize: none of %s, %s and %s found: %w", tokenizerFile, bpeFile, vocabFile, fs.ErrNotExist)
}
