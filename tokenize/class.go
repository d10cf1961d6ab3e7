package tokenize

import (
	"bytes"
	"cmp"
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
	"roberta": "RobertaTokenizer", "bart": "RobertaTokenizer", "xlm-roberta": xlmrClass, "camembert": "CamembertTokenizer",
	"albert": "AlbertTokenizer", "marian": marianClass, "t5": t5Class, "mt5": t5Class, "pegasus": "PegasusTokenizer",
	"mbart": mbartClass, "mbart50": mbart50Class, "nllb-moe": nllbClass,
}

// otherNames maps further names of classes to the usual ones.
var otherNames = map[string]string{"BartTokenizer": "RobertaTokenizer", "MT5Tokenizer": t5Class}

// bertClasses lists the classes that make BERT's tokenizer from vocab.txt.
var bertClasses = []string{
	"BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer",
	"MobileBertTokenizer", "SqueezeBertTokenizer",
}

// typedClasses lists the classes whose encodings have token types unless the settings list the model's inputs.
var typedClasses = []string{
	"BertTokenizer", "ConvBertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer", "MobileBertTokenizer",
	"SqueezeBertTokenizer", "CodeGenTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer", "FNetTokenizer",
}

// robertaRoles maps RoBERTa's roles to their tokens.
var robertaRoles = map[string]string{
	"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
	"cls_token": "<s>", "mask_token": "<mask>",
}

// readClass reads the tokenizer class and the model type that the files name.
func (s *settings) readClass(open func(string) ([]byte, error)) error {
	named := s.config.get("tokenizer_class").optionalText()
	raw, err := open(modelFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("tokenize: %s: %w", modelFile, err)
	default:
		doc, err := parseJSON(modelFile, raw)
		if err != nil {
			return err
		}
		f := field{modelFile + ":", doc, &s.errs}
		s.modelType = f.get("model_type").optionalText()
		if named == "" {
			named = f.get("tokenizer_class").optionalText()
		}
	}
	s.named = strings.TrimSuffix(named, "Fast")
	if usual, ok := otherNames[s.named]; ok {
		s.named = usual
	}
	return s.err()
}

// ownClass returns the class that the files name, or else that of the model; "" if neither is known.
func (s *settings) ownClass() string { return cmp.Or(s.named, modelClasses[s.modelType]) }

// knownClass finds the tokenizer class of a checkpoint with the given file; it must be in known. usual is the class if
// no file names one.
func (s *settings) knownClass(file, usual string, known []string) error {
	s.class = s.ownClass()
	switch {
	case s.class == "" && s.modelType == "" && usual != "":
		s.class = usual
	case s.class == "" && s.modelType != "":
		return fmt.Errorf("tokenize: %s: tokenizer_class is missing, and it is not known how model_type %q reads %s",
			configFile, s.modelType, file)
	case !slices.Contains(known, s.class):
		last := len(known) - 1
		return fmt.Errorf("tokenize: %s: tokenizer_class: it is not known how %q splits text, only how %s and %s do; "+
			"save the tokenizer with transformers to get a %s",
			configFile, s.class, strings.Join(known[:last], ", "), known[last], tokenizerFile)
	}
	return nil
}

// backend is the class of transformers that uses tokenizer.json as it is.
const backend = "TokenizersBackend"

const (
	llamaClass = "LlamaTokenizer"
	xlmrClass  = "XLMRobertaTokenizer"
)

// chooseClass finds the class with which transformers 5 reads tokenizer.json: the one that the files name, or else that
// of the model. It does not trust the files about Qwen 2, and reads Mistral's files and byte-level ones that claim
// LLaMA's class as they are.
func (s *settings) chooseClass(raw []byte) {
	usual := modelClasses[s.modelType]
	switch name := s.named; {
	case name == "" && s.modelType == "":
		s.class = ""
	case s.modelType == "qwen2":
		s.class = usual
	case s.modelType == "mistral", name == "PreTrainedTokenizer", name == "" && usual == "",
		name == llamaClass && bytes.Contains(raw, []byte(`"ByteLevel"`)):
		s.class = backend
	default:
		s.class = cmp.Or(name, usual)
	}
	s.usual = bpeClasses[s.class].roles
	if class := pieceClasses[s.class]; class != nil && s.class != llamaClass {
		s.usual = class.roles
	}
}

// exact reports whether the numbers of tokenizer.json are read exactly: for all classes but the backend, transformers
// reads the file itself.
func (s *settings) exact() bool { return s.class != "" && s.class != backend }

// bpeClassNames lists the names of the bpeClasses, sorted.
var bpeClassNames = slices.Sorted(maps.Keys(bpeClasses))

// errNoFile returns the error for a checkpoint without a tokenizer that can be read.
func (s *settings) errNoFile(open func(string) ([]byte, error)) error {
	for _, name := range []string{"sentencepiece.bpe.model", "spiece.model", "sentencepiece.model", "spm.model"} {
		if _, err := open(name); err != nil {
			continue
		}
		if class := s.ownClass(); class != "" {
			return fmt.Errorf("tokenize: it is not known how a %s reads %s; name the tokenizer_class in %s, or make %s with "+
				"transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)", class, name, configFile, tokenizerFile)
		}
		return fmt.Errorf("tokenize: %s: tokenizer_class is missing, and without it %s cannot be read; name one of %s",
			configFile, name, strings.Join(pieceClassNames, ", "))
	}
	return fmt.Errorf("tokenize: found none of %s, %s and %s, and no SentencePiece model: %w", tokenizerFile, bpeFile,
		vocabFile, fs.ErrNotExist)
}
