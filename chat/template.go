package chat

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spalora/spalora/data/document"
)

// ErrNoTemplate is wrapped by the error of [Load] for a checkpoint without a chat template.
var ErrNoTemplate = errors.New("the checkpoint has no chat template")

// Template is the chat template of a checkpoint. It is immutable and safe for concurrent use.
type Template struct {
	program
	name   string            // name of the file, for messages
	tokens map[string]string // bos_token and so on
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
	p, err := parse(source)
	if err != nil {
		return nil, fmt.Errorf("chat: %s: the chat template: %w", name, err)
	}
	return &Template{program: p, name: name, tokens: maps.Clone(tokens)}, nil
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

func (t *Template) render(messages []document.Message, o Options, m *markers) (text string, err error) {
	globals, input := t.globals(messages, o)
	r := newRenderer(input)
	r.markers = m
	defer func() {
		if e := recover(); e != nil { // a failure; anything else would be a fault of this package, but no reason to end
			text, err = "", fmt.Errorf("chat: %s: the chat template refuses the messages: %s", t.name,
				strings.ReplaceAll(fmt.Sprint(e), "\n", " "))
		}
	}()
	run((&frame{r: r, vars: globals}).inner(), t.body)
	return r.out.String(), nil
}

// globals returns the variables and functions that a template can use, as in transformers, and the number of bytes of
// the messages.
func (t *Template) globals(messages []document.Message, o Options) (map[string]any, int) {
	chat := newList()
	input := 0
	for _, m := range messages {
		d := newDict()
		d.set("role", m.Role)
		d.set("content", m.Content)
		chat.items = append(chat.items, d)
		input += len(m.Role) + len(m.Content)
	}
	now := o.Now
	if now.IsZero() {
		now = time.Now()
	}
	values := map[string]any{
		"messages": chat, "add_generation_prompt": o.AddGenerationPrompt, "tools": nil, "documents": nil,
		"range": &function{"range", numberRange},
		"dict": method("dict", func(_ *renderer, p params) any {
			d := newDict()
			if len(p.list) > 0 {
				fail("dict of a value is not supported: give names")
			}
			for _, name := range slices.Sorted(maps.Keys(p.named)) {
				if len(p.named) > 1 {
					fail("dict of several names is not supported: write {…}")
				}
				d.set(name, p.named[name])
			}
			return d
		}),
		"namespace": method("namespace", func(_ *renderer, p params) any {
			n := &namespace{newDict()}
			if len(p.list) > 1 {
				fail("namespace takes at most one dict")
			}
			for _, v := range p.list {
				d, ok := v.(*dict)
				if !ok {
					fail("namespace takes a dict, not %s", typeName(v))
				}
				n.dict = d.copy()
			}
			for name, v := range p.named {
				n.set(name, v)
			}
			return n
		}),
		"raise_exception": method("raise_exception", func(_ *renderer, p params) any {
			message := p.bind("message")[0]
			p.need(message)
			fail("%s", pythonString(message))
			return nil
		}),
		"strftime_now": method("strftime_now", func(_ *renderer, p params) any {
			format := p.bind("format")[0]
			p.need(format)
			s, err := strftime(now, p.text(format, ""))
			if err != nil {
				panic(failure{err})
			}
			return s
		}),
	}
	for _, list := range []map[string]string{t.tokens, o.Tokens} {
		for name, token := range list {
			if token == "" {
				delete(values, name)
				continue
			}
			values[name] = token
		}
	}
	return values, input
}
