package transcribe

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spalora/spalora/tokenize"
)

// UnmarshalJSON reads a number or a list.
func (l *ids) UnmarshalJSON(text []byte) error {
	var one *int32
	if json.Unmarshal(text, &one) == nil {
		*l = nil
		if one != nil {
			*l = ids{*one}
		}
		return nil
	}
	var list []int32
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*l = list
	return nil
}

// Prefix returns the tokens that a transcript begins with when it is generated, as transformers' generate chooses them:
// Start, the language and the task, then NoTimestamps unless timestamps is true. language is a name or a code (see
// [LanguageCode]); task is Transcribe or Translate. "" is the value of generation_config.json. Without a language and a
// task, forced_decoder_ids of the files count; if they do not name a language, its place has [Detect]. A language
// without a task is transcribed.
//
// An English-only checkpoint has no tokens for either; its language can only be English and its task Transcribe.
// Prefix returns an error otherwise, if the checkpoint has no token for the language or the task, or if timestamps are
// wanted and it has none.
func (t *Tokens) Prefix(language, task string, timestamps bool) ([]int32, error) {
	if t.Multilingual && language == "" {
		language = t.language
	}
	if t.Multilingual && task == "" {
		task = t.task
	}
	named, err := t.named(language, task)
	if err != nil {
		return nil, err
	}
	list := []int32{t.Start}
	switch {
	case !t.Multilingual || language == "" && task == "":
		list = append(list, t.forced...)
		if t.Multilingual && len(t.forced) == 0 {
			list = append(list, Detect)
		}
	case language == "":
		list = append(list, Detect, named[0])
	default:
		list = append(list, named...)
		if id, ok := t.Tasks[Transcribe]; ok && task == "" {
			list = append(list, id)
		}
	}
	switch last := list[len(list)-1]; {
	case timestamps && !t.HasTimestamps():
		return nil, errors.New("transcribe: the checkpoint has no timestamp tokens; leave `return_timestamps` out")
	case timestamps && last == t.NoTimestamps:
		list = list[:len(list)-1]
	case !timestamps && t.NoTimestamps >= 0 && last != t.NoTimestamps:
		list = append(list, t.NoTimestamps)
	}
	return list, nil
}

// named returns the tokens of a language and a task, of those that are not "".
func (t *Tokens) named(language, task string) (list []int32, err error) {
	if language != "" {
		code, err := t.Language(language)
		if err != nil {
			return nil, err
		}
		if t.Multilingual {
			list = append(list, t.Languages[code])
		}
	}
	id, ok := t.Tasks[task]
	switch {
	case task == "":
	case task != Transcribe && task != Translate:
		return nil, fmt.Errorf("transcribe: `task` is %q; want %s or %s", task, Transcribe, Translate)
	case !t.Multilingual && task != Transcribe:
		return nil, fmt.Errorf("transcribe: `task` is %q, but the checkpoint only transcribes English; leave it out, or "+
			"give a multilingual checkpoint", task)
	case t.Multilingual && !ok:
		return nil, fmt.Errorf("transcribe: `task` is %q, but the checkpoint has no token for it; leave it out", task)
	case t.Multilingual:
		list = append(list, id)
	}
	return list, nil
}

// Language returns the code of a language that is given by name or code. It returns an error if the checkpoint does not
// know the language.
func (t *Tokens) Language(name string) (string, error) {
	code, err := LanguageCode(name)
	switch {
	case err != nil && t.Multilingual && t.has(name):
		return name, nil // a token that was added to the checkpoint
	case err != nil:
		return "", fmt.Errorf("transcribe: %w", err)
	case !t.Multilingual && code != english:
		return "", fmt.Errorf("transcribe: `language` is %q, but the checkpoint only transcribes English; leave it out, or "+
			"give a multilingual checkpoint", name)
	case t.Multilingual && !t.has(code):
		return "", fmt.Errorf("transcribe: `language` is %q, but the checkpoint has no token <|%s|>; give another language",
			name, code)
	}
	return code, nil
}

const english = "en"

// has reports whether there is a token of a language code.
func (t *Tokens) has(code string) bool {
	_, ok := t.Languages[code]
	return ok
}

// Code returns the language code of the first language token among ids, English for an English-only checkpoint, or ""
// if there is none.
func (t *Tokens) Code(list []int32) string {
	if !t.Multilingual {
		return english
	}
	for _, id := range list {
		for code, language := range t.Languages {
			if id == language {
				return code
			}
		}
	}
	return ""
}

// HasTimestamps reports whether the model has timestamp tokens.
func (t *Tokens) HasTimestamps() bool {
	return t.NoTimestamps >= 0 && int(t.NoTimestamps)+1 < t.vocabulary
}

// timestampBegin returns the id of the first timestamp, or the size of the vocabulary if there is none.
func (t *Tokens) timestampBegin() int32 {
	if !t.HasTimestamps() {
		return int32(t.vocabulary)
	}
	return t.NoTimestamps + 1
}

// Labels returns the tokens that the model is trained to write for a text, as WhisperTokenizer encodes it: Start, the
// tokens of the language and the task, if they are not "", NoTimestamps, the text, End. The usual recipe removes Start,
// since the decoder begins with it. Labels returns an error as [Tokens.Prefix] does, and if the tokenizer cannot encode
// the text.
func (t *Tokens) Labels(text, language, task string) ([]int32, error) {
	named, err := t.named(language, task)
	if err != nil {
		return nil, err
	}
	if t.NoTimestamps < 0 {
		return nil, errors.New("transcribe: the checkpoint has no token <|notimestamps|>, which labels begin with; " +
			"give the tokenizer of a Whisper checkpoint")
	}
	e, err := t.tok.Encode(text, tokenize.Options{NoSpecial: true})
	if err != nil {
		return nil, err
	}
	return slices.Concat([]int32{t.Start}, named, []int32{t.NoTimestamps}, e.IDs, []int32{t.End}), nil
}

// Text returns the text of tokens, without special tokens and timestamps.
func (t *Tokens) Text(list []int32) string {
	begin := t.timestampBegin()
	return t.tok.Decode(slices.DeleteFunc(slices.Clone(list), func(id int32) bool { return id >= begin }), true)
}
