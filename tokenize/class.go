package tokenize

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// modelClasses maps a model_type of config.json to the tokenizer class that transformers uses when
// tokenizer_config.json names none.
var modelClasses = map[string]string{
	"bert": "BertTokenizer", "distilbert": "BertTokenizer", "electra": "BertTokenizer",
	"gpt2": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer", "qwen3": "Qwen2Tokenizer",
	"roberta": "RobertaTokenizer", "xlm-roberta": "XLMRobertaTokenizer",
}

// bertClasses lists the classes that make BERT's tokenizer from vocab.txt.
var bertClasses = []string{
	"BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer",
	"MobileBertTokenizer", "SqueezeBertTokenizer",
}

// robertaRoles maps RoBERTa's roles to their tokens.
var robertaRoles = map[string]string{
	"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
	"cls_token": "<s>", "mask_token": "<mask>",
}

// class returns the tokenizer class that tokenizer_config.json names, or else that of the model, without Fast at the
// end; "" if there is none. typ is the model type of config.json if class read that file.
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

// knownClass returns the tokenizer class of a checkpoint with the given file, which must be in known. usual is the
// class if no file names one.
func (s *settings) knownClass(open func(string) ([]byte, error), file, usual string, known []string) (string, error) {
	name, typ, err := s.class(open)
	switch {
	case err != nil:
		return "", err
	case name == "" && typ == "" && usual != "":
		return usual, nil
	case name == "" && typ != "":
		return "", fmt.Errorf("tokenize: %s: tokenizer_class is missing, and it is not known how model_type %q reads %s",
			configFile, typ, file)
	case !slices.Contains(known, name):
		last := len(known) - 1
		return "", fmt.Errorf("tokenize: %s: tokenizer_class: it is not known how %q splits text, only how %s and %s do; "+
			"save the tokenizer with transformers to get a %s",
			configFile, name, strings.Join(known[:last], ", "), known[last], tokenizerFile)
	}
	return name, nil
}

// libraryClasses lists the classes for which transformers 5 lets the library read tokenizer.json. For other classes
// transformers reads the file itself.
var libraryClasses = []string{"", "PreTrainedTokenizer", "TokenizersBackend"}

// beside returns what the tokenizer class adds to tokenizer.json: the tokens of its roles, nil if they are not known,
// and whether the numbers of the file are read exactly.
func (s *settings) beside(open func(string) ([]byte, error)) (usual map[string]string, exact bool, err error) {
	name, _, err := s.class(open)
	usual = bpeClasses[name].roles
	if name == "XLMRobertaTokenizer" {
		usual = robertaRoles
	}
	return usual, !slices.Contains(libraryClasses, name), err
}

// bpeClassNames lists the names of the bpeClasses, sorted.
var bpeClassNames = slices.Sorted(maps.Keys(bpeClasses))

// sentencePieceFiles lists the usual file names of SentencePiece models.
var sentencePieceFiles = []string{
	"sentencepiece.bpe.model", "spiece.model", "tokenizer.model", "sentencepiece.model", "spm.model",
}

// errNoFile returns the error for a checkpoint without a tokenizer that can be read.
func errNoFile(open func(string) ([]byte, error)) error {
	for _, name := range sentencePieceFiles {
		if _, err := open(name); err == nil {
			return fmt.Errorf("tokenize: %s is not read without %s; make that file with transformers: "+
				"AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)", name, tokenizerFile)
		}
	}
	return fmt.Errorf("tokenize: found none of %s, %s and %s: %w", tokenizerFile, bpeFile, vocabFile, fs.ErrNotExist)
}
