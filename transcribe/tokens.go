package transcribe

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/tokenize"
)

// The tasks of a multilingual checkpoint: Transcribe writes what is said in its language, Translate in English.
const (
	Transcribe = "transcribe"
	Translate  = "translate"
)

// Detect stands in a prefix for the token of a language that the model has to detect. It is not an id.
const Detect int32 = -1

// Tokens holds the special tokens of a Whisper checkpoint. It must not be changed while it is in use; it is safe for
// concurrent use.
type Tokens struct {
	Start int32 // <|startoftranscript|>
	End   int32 // <|endoftext|>
	// NoTimestamps is <|notimestamps|>, which a transcript without timestamps begins with; −1 if there is none. The
	// timestamps are the ids above it, 0.02 seconds apart, the first for 0 seconds.
	NoTimestamps int32
	Previous     int32            // <|startofprev|>, before the text of earlier windows; −1 if there is none
	Languages    map[string]int32 // by code; empty for an English-only checkpoint
	Tasks        map[string]int32 // Transcribe and Translate; empty for an English-only checkpoint
	Multilingual bool             // transcripts begin with a language and a task
	// MaxInitialTimestamp is the largest first timestamp of a window, in units of 0.02 seconds; −1: any.
	MaxInitialTimestamp int
	Suppress            []int32 // never generated
	BeginSuppress       []int32 // not generated as the first token

	// Thresholds of generation_config.json, which [Options] replaces; nil: none.
	CompressionRatioThreshold, LogprobThreshold, NoSpeechThreshold *float64
	ConditionOnPrevTokens                                          bool

	language, task string  // defaults of generation_config.json; "" if it has none
	forced         []int32 // follow Start if neither language nor task is given; Detect for a language to detect
	maxLength      int     // max_length of generation_config.json; 0: none
	vocabulary     int     // of the model
	tok            *tokenize.Tokenizer
}

// generationFile is the file with the settings of generated text.
const generationFile = "generation_config.json"

// OpenTokens returns the special tokens of the checkpoint src, whose tokenizer is tok. See [NewTokens] for the files.
func OpenTokens(src *checkpoint.Source, tok *tokenize.Tokenizer) (*Tokens, error) {
	generation, err := src.File(generationFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t, err := NewTokens(tok, src.Config(), generation)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src.Name(), err)
	}
	return t, nil
}

// numbers are the settings of generation_config.json and config.json that NewTokens reads.
type numbers struct {
	Start         *int32           `json:"decoder_start_token_id"`
	End           ids              `json:"eos_token_id"`
	NoTimestamps  *int32           `json:"no_timestamps_token_id"`
	Previous      *int32           `json:"prev_sot_token_id"`
	Languages     map[string]int32 `json:"lang_to_id"`
	Tasks         map[string]int32 `json:"task_to_id"`
	Multilingual  *bool            `json:"is_multilingual"`
	MaxInitial    *int             `json:"max_initial_timestamp_index"`
	Suppress      []int32          `json:"suppress_tokens"`
	BeginSuppress []int32          `json:"begin_suppress_tokens"`
	Forced        [][]*int32       `json:"forced_decoder_ids"`
	Language      string           `json:"language"`
	Task          string           `json:"task"`
	MaxLength     int              `json:"max_length"`
	Compression   *float64         `json:"compression_ratio_threshold"`
	Logprob       *float64         `json:"logprob_threshold"`
	NoSpeech      *float64         `json:"no_speech_threshold"`
	Condition     *bool            `json:"condition_on_prev_tokens"`
}

// NewTokens returns the special tokens of a checkpoint with the tokenizer tok. config is its config.json, generation
// its generation_config.json. Without the latter (nil) the settings of config count, as in transformers. Ids that the
// files lack are those of the tokenizer's tokens; whether such a checkpoint is multilingual follows from its
// vocabulary. NewTokens returns an error that names the file and the key if a value cannot be read, if an id is not one
// of the model's, or if there is no token that a transcript starts or ends with.
func NewTokens(tok *tokenize.Tokenizer, config, generation []byte) (*Tokens, error) {
	if tok == nil {
		return nil, errors.New("transcribe: the special tokens of a checkpoint need its tokenizer; give one")
	}
	var model struct {
		Vocabulary int `json:"vocab_size"`
		numbers
	}
	const configFile = "config.json"
	if err := checkpoint.DecodeJSON(configFile, config, &model); err != nil {
		return nil, err
	}
	name, set := configFile, model.numbers
	if generation != nil {
		name, set = generationFile, numbers{}
		if err := checkpoint.DecodeJSON(name, generation, &set); err != nil {
			return nil, err
		}
		if set.Forced == nil {
			set.Forced = model.Forced
		}
	}
	t := &Tokens{MaxInitialTimestamp: -1, Suppress: set.Suppress, BeginSuppress: set.BeginSuppress, tok: tok,
		CompressionRatioThreshold: set.Compression, LogprobThreshold: set.Logprob, NoSpeechThreshold: set.NoSpeech,
		ConditionOnPrevTokens: set.Condition != nil && *set.Condition, maxLength: max(set.MaxLength, 0),
		vocabulary: max(model.Vocabulary, tok.VocabSize())}
	if model.Vocabulary > 0 {
		t.vocabulary = model.Vocabulary
	}
	if set.MaxInitial != nil {
		t.MaxInitialTimestamp = *set.MaxInitial
	}
	t.Start = first(set.Start, model.Start, t.token("<|startoftranscript|>"))
	t.End = first(set.End.first(), model.End.first(), t.token("<|endoftext|>"))
	t.NoTimestamps = first(set.NoTimestamps, t.token("<|notimestamps|>"))
	t.Previous = first(set.Previous, t.token("<|startofprev|>"))
	t.Languages, t.Tasks = t.languageTokens(set.Languages), t.taskTokens(set.Tasks)
	var err error
	if t.forced, err = consecutive(set.Forced); err != nil {
		return nil, fmt.Errorf("transcribe: %s: %w", name, err)
	}
	t.Multilingual = t.multilingual(&set)
	if !t.Multilingual {
		t.Languages, t.Tasks = nil, nil
	}
	t.language, t.task = set.Language, set.Task
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("transcribe: %s: %w", name, err)
	}
	return t, nil
}

// first returns the first id that is not nil, or −1.
func first(list ...*int32) int32 {
	for _, id := range list {
		if id != nil {
			return *id
		}
	}
	return -1
}

// token returns the id of a token of the tokenizer, or nil.
func (t *Tokens) token(name string) *int32 {
	if id, ok := t.tok.ID(name); ok {
		return &id
	}
	return nil
}

// languageTokens returns the languages of a file by their codes, or those of the tokenizer if the file has none.
func (t *Tokens) languageTokens(file map[string]int32) map[string]int32 {
	list := map[string]int32{}
	for name, id := range file {
		code := strings.TrimSuffix(strings.TrimPrefix(name, "<|"), "|>")
		if code == oldHebrew {
			code = hebrew
		}
		list[code] = id
	}
	if len(list) > 0 {
		return list
	}
	for _, l := range languages {
		id := t.token("<|" + l.code + "|>")
		if id == nil && l.code == hebrew {
			id = t.token("<|" + oldHebrew + "|>")
		}
		if id != nil {
			list[l.code] = *id
		}
	}
	return list
}

// taskTokens returns the tasks of a file, or those of the tokenizer if the file has none.
func (t *Tokens) taskTokens(file map[string]int32) map[string]int32 {
	if len(file) > 0 {
		return file
	}
	list := map[string]int32{}
	for _, task := range []string{Transcribe, Translate} {
		if id := t.token("<|" + task + "|>"); id != nil {
			list[task] = *id
		}
	}
	return list
}

// englishEnd is <|endoftext|> of English-only checkpoints, whose vocabulary is GPT-2's. They have tokens for all
// languages, too, which their transcripts do not use.
const englishEnd = 50256

// multilingual reports whether transcripts begin with a language and a task. Old files do not say it.
func (t *Tokens) multilingual(set *numbers) bool {
	switch {
	case set.Multilingual != nil:
		return *set.Multilingual
	case len(set.Languages) > 0:
		return true
	case len(t.forced) > 0:
		return t.forced[0] != t.NoTimestamps
	}
	return t.End != englishEnd && len(t.Languages) > 0 && len(t.Tasks) > 0
}

// consecutive returns the tokens of forced_decoder_ids, pairs of a place after the start and a token, where null is a
// language to detect.
func consecutive(pairs [][]*int32) (list []int32, err error) {
	for i, p := range pairs {
		if len(p) != 2 || p[0] == nil || int(*p[0]) != i+1 {
			return nil, fmt.Errorf("forced_decoder_ids, entry %d: want a pair of the place %d and a token or null", i, i+1)
		}
		list = append(list, first(p[1])) // Detect for null
	}
	return list, nil
}

// check returns an error if a token is missing or not one of the model's.
func (t *Tokens) check() error {
	if t.Start < 0 {
		return errors.New("no decoder_start_token_id, and the tokenizer has no <|startoftranscript|>; " +
			"give the files of a Whisper checkpoint")
	}
	if t.End < 0 {
		return errors.New("no eos_token_id, and the tokenizer has no <|endoftext|>; give the files of a Whisper checkpoint")
	}
	if t.Multilingual && len(t.Languages) == 0 {
		return errors.New("is_multilingual is true, but there is no lang_to_id, and the tokenizer has no language tokens " +
			"such as <|en|>")
	}
	check := func(key string, id int32) error {
		if int(id) >= t.vocabulary || id < -1 {
			return fmt.Errorf("%s is %d; want an id below the model's %d tokens", key, id, t.vocabulary)
		}
		return nil
	}
	errs := []error{check("decoder_start_token_id", t.Start), check("eos_token_id", t.End),
		check("no_timestamps_token_id", t.NoTimestamps), check("prev_sot_token_id", t.Previous)}
	for _, id := range t.forced {
		errs = append(errs, check("forced_decoder_ids", id))
	}
	for _, code := range slices.Sorted(maps.Keys(t.Languages)) {
		errs = append(errs, check("lang_to_id of "+code, t.Languages[code]))
	}
	for _, task := range slices.Sorted(maps.Keys(t.Tasks)) {
		errs = append(errs, check("task_to_id of "+task, t.Tasks[task]))
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// ids reads an id or a list of ids.
type ids []int32

// first returns the first id, or nil.
func (l ids) first() *int32 {
	if len(l) == 0 {
		return nil
	}
	return &l[0]
}
