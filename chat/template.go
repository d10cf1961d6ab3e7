package chat

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
	"github.com/spalora/spalora/data/document"
)

// ErrNoTemplate is wrapped by the error of [Load] for a checkpoint without a chat template.
var ErrNoTemplate = errors.New("the checkpoint has no chat template")

// Template is the chat template of a checkpoint. It is immutable and safe for concurrent use.
type Template struct {
	rewritten
	name     string // name of the file, for messages
	compiled *jinja.Template
	tokens   map[string]string // bos_token and so on
}

// Options control how a template is rendered.
type Options struct {
	// AddGenerationPrompt adds the beginning of an assistant's turn at the end of the text.
	AddGenerationPrompt bool
	// Tokens are the special tokens that templates may print: bos_token, eos_token, unk_token, pad_token and so on. They
	// replace those that tokenizer_config.json names; an empty one is ignored.
	Tokens map[string]string
	// Now is the time that strftime_now formats; zero means the time of the call.
	Now time.Time
}

// New compiles a template. The name is used in error messages; tokens maps the keys of tokenizer_config.json to special
// tokens, which [Options] may replace.
func New(source, name string, tokens map[string]string) (*Template, error) {
	r, err := rewrite(source)
	if err != nil {
		return nil, fmt.Errorf("chat: %s: the chat template: %w", name, err)
	}
	t := &Template{rewritten: r, name: name, tokens: maps.Clone(tokens)}
	err = guard(func() (err error) {
		t.compiled, err = jinja.Compile(r.source)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chat: %s: the chat template cannot be used: %w", name, err)
	}
	return t, nil
}

// guard turns a panic of the library into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return f()
}

// Load reads the chat template of a checkpoint: chat_template.jinja, or chat_template in tokenizer_config.json (a text,
// or a list of named ones, of which it takes "default"), and the special tokens of that file and of
// special_tokens_map.json. As in transformers, the latter takes precedence, but is not read if tokenizer_config.json
// has added_tokens_decoder. open returns the content of a file, or an error that wraps fs.ErrNotExist. If there is no
// template, the error wraps [ErrNoTemplate].
func Load(open func(name string) ([]byte, error)) (*Template, error) {
	const config, special, file = "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"
	tokens := map[string]string{}
	source, found, complete := "", false, false
	for _, name := range []string{config, special} { // the later one takes precedence
		if complete {
			break
		}
		content, err := open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s, ok, all, err := parseConfig(content, tokens)
		if err != nil {
			return nil, fmt.Errorf("chat: %s: %w", name, err)
		}
		if name == config {
			source, found, complete = s, ok, all
		}
	}
	content, err := open(file)
	switch {
	case err == nil:
		return New(string(content), file, tokens)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case !found:
		return nil, fmt.Errorf("chat: %w (%s, or chat_template in %s)", ErrNoTemplate, file, config)
	}
	return New(source, config, tokens)
}

// Token returns a special token of the checkpoint by its key, such as "bos_token", or "" if the checkpoint names none.
func (t *Template) Token(name string) string { return t.tokens[name] }

// Render returns the text of a chat. It returns an error with the template's reason if the template refuses the
// messages.
func (t *Template) Render(messages []document.Message, o Options) (string, error) {
	return t.render(messages, o, nil)
}

func (t *Template) render(messages []document.Message, o Options, m *markers) (string, error) {
	values, input := t.values(messages, o)
	l := newLimits(input, t.operands)
	l.markers = m
	maps.Copy(values, l.functions())
	var text string
	err := guard(func() (err error) {
		text, err = t.compiled.RenderValues(values)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("chat: %s: the chat template refuses the messages: %s", t.name,
			strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return text, nil
}

// values returns the variables and functions that a template can use, as in transformers, and the number of bytes of
// the messages.
func (t *Template) values(messages []document.Message, o Options) (map[string]jinja.Value, int) {
	list := make([]jinja.Value, len(messages))
	input := 0
	for i, m := range messages {
		list[i] = jinja.NewDict()
		list[i].AsDict().Set("role", jinja.NewString(m.Role))
		list[i].AsDict().Set("content", jinja.NewString(m.Content))
		input += len(m.Role) + len(m.Content)
	}
	now := o.Now
	if now.IsZero() {
		now = time.Now()
	}
	values := map[string]jinja.Value{
		"messages": jinja.NewList(list), "add_generation_prompt": jinja.NewBool(o.AddGenerationPrompt),
		"tools": jinja.None(), "documents": jinja.None(),
		"strftime_now": jinja.NewCallable("strftime_now", func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value,
			error) {
			if len(args) != 1 || !args[0].IsString() {
				return jinja.Undefined(), fmt.Errorf("strftime_now needs a format")
			}
			s, err := strftime(now, args[0].AsString())
			return jinja.NewString(s), err
		}),
	}
	for _, list := range []map[string]string{t.tokens, o.Tokens} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if list[name] == "" {
				delete(values, name)
				continue
			}
			values[name] = jinja.NewString(list[name])
		}
	}
	return values, input
}
