package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spalora/spalora/data/document"
)

// fixture is the output of reference/chat_fixtures.py.
type fixture struct {
	Tokens    map[string]string             `json:"tokens"`
	Chats     map[string][]document.Message `json:"chats"`
	Templates []struct {
		Name, Source string
		Cases        []struct {
			Chat      string
			Prompt    bool `json:"add_generation_prompt"`
			Text      string
			Error     string
			Assistant []string
		}
	} `json:"templates"`
}

func load(t testing.TB) fixture {
	t.Helper()
	content, err := os.ReadFile("testdata/templates.json")
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	if err := json.Unmarshal(content, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Templates) < 200 || len(f.Chats) < 4 {
		t.Fatalf("%d templates, %d chats", len(f.Templates), len(f.Chats))
	}
	return f
}

// The text equals that of transformers' apply_chat_template, byte for byte; chats that transformers refuses are refused
// here.
func TestRenderEqualsTransformers(t *testing.T) {
	f := load(t)
	refused := 0
	for _, tt := range f.Templates {
		template, err := New(tt.Source, tt.Name, f.Tokens)
		if err != nil {
			t.Errorf("%q: %v", tt.Source, err)
			continue
		}
		for _, c := range tt.Cases {
			got, err := template.Render(f.Chats[c.Chat], Options{AddGenerationPrompt: c.Prompt})
			if (err != nil) != (c.Error != "") || got != c.Text {
				t.Errorf("%s of %q, prompt %v\n%s\ngot  %q, %v\nwant %q, %s", tt.Name, c.Chat, c.Prompt, tt.Source,
					got, err, c.Text, c.Error)
			}
			if c.Error != "" {
				refused++
				if err != nil && !strings.Contains(err.Error(), c.Error) {
					t.Errorf("%s: the error is %v; want %s", tt.Name, err, c.Error)
				}
			}
		}
	}
	if refused < 5 {
		t.Errorf("only %d chats are refused", refused)
	}
}

// Segments add up to the whole text; each trained one is an assistant's turn.
func TestSegments(t *testing.T) {
	f := load(t)
	want := map[string][]string{ // trained parts of the chat "long", including the ends of turns
		"chatml-system":    {"b<|im_end|>", " d\\n{{ e }} <|im_end|>"},
		"brackets":         {" b </s>", " d\\n{{ e }} </s>"},
		"headers":          {"b<|eot_id|>", "d\\n{{ e }}<|eot_id|>"},
		"namespace":        nil, // the template numbers the last user
		"tools":            {"b<|im_end|>", " d\\n{{ e }} <|im_end|>"},
		"model":            {"b<end_of_turn>", "d\\n{{ e }}<end_of_turn>"},
		"lines":            {"b</s>", " d\\n{{ e }} </s>"},
		"generation":       {"b</s>", " d\\n{{ e }} </s>"},
		"generation-lines": {"b\n</s>\n", " d\\n{{ e }} \n</s>\n"},
	}
	for _, tt := range f.Templates {
		trained, ok := want[tt.Name]
		if !ok {
			continue
		}
		delete(want, tt.Name)
		template, err := New(tt.Source, tt.Name, f.Tokens)
		if err != nil {
			t.Fatal(err)
		}
		list, err := template.Segments(f.Chats["long"], 0, Options{})
		if trained == nil {
			if !errors.Is(err, ErrSegments) || !strings.Contains(err.Error(), "--train-on-prompt") {
				t.Errorf("%s: got %v, %v", tt.Name, list, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.Name, err)
			continue
		}
		text, got := joined(list)
		if whole, err := template.Render(f.Chats["long"], Options{}); err != nil || text != whole {
			t.Errorf("%s: segments are %q, the text %q, %v", tt.Name, text, whole, err)
		}
		if !slices.Equal(got, trained) {
			t.Errorf("%s: trained %q, want %q", tt.Name, got, trained)
		}
		list, err = template.Segments(f.Chats["long"], 2, Options{})
		if _, got := joined(list); err != nil || !slices.Equal(got, trained[1:]) {
			t.Errorf("%s: after a prompt of two messages %q, %v", tt.Name, got, err)
		}
	}
	if len(want) > 0 {
		t.Errorf("no fixtures of %v", want)
	}
}

// Templates that write their last turn differently from earlier ones.
func TestSegmentsOfUnequalTurns(t *testing.T) {
	messages := load(t).Chats["long"]
	const turns = "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' and loop.last %}(thought){% endif %}"
	for source, want := range map[string][]string{
		turns +
			"{{ m.content | trim }}<end>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}": {"b<end>",
			"d\\n{{ e }}<end>"},
		// a turn has no end
		turns + "{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}": nil,
		// the prompt is not in the text
		turns + "{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>(thought){% endif %}":     nil,
		"{% for m in messages %}<{{ loop.length }}>{{ m.content }}<end>{% endfor %}":                                nil,
		"{{ messages[-1].content }}{% if messages[-1].role == 'assistant' %}{{ raise_exception('no') }}{% endif %}": nil,
	} {
		template, err := New(source, "f", nil)
		if err != nil {
			t.Fatal(err)
		}
		list, err := template.Segments(messages, 0, Options{})
		if _, got := joined(list); want == nil != errors.Is(err, ErrSegments) || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
}

// Generation blocks mark the same parts as transformers' assistant mask.
func TestGenerationEqualsTransformers(t *testing.T) {
	f := load(t)
	n := 0
	for _, tt := range f.Templates {
		for _, c := range tt.Cases {
			if c.Assistant == nil {
				continue
			}
			template, err := New(tt.Source, tt.Name, f.Tokens)
			if err != nil {
				t.Fatal(err)
			}
			list, err := template.Segments(f.Chats[c.Chat], 0, Options{})
			if _, got := joined(list); err != nil || !slices.Equal(got, c.Assistant) {
				t.Errorf("%s of %s: got %q, %v, want %q", tt.Name, c.Chat, got, err, c.Assistant)
			}
			n += len(c.Assistant)
		}
	}
	if n < 8 {
		t.Errorf("only %d turns", n)
	}
}

func joined(list []Segment) (text string, trained []string) {
	for _, s := range list {
		text += s.Text
		if s.Trained {
			trained = append(trained, s.Text)
		}
	}
	return text, trained
}

// No template may hang, exhaust the memory or end the process.
func TestWildTemplates(t *testing.T) {
	messages := []document.Message{{Role: "user", Content: "a"}}
	for _, tt := range []struct{ source, want string }{
		{"{% for a in range(1000000000000) %}{% endfor %}", "range of more than 100000 numbers"},
		{
			"{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% " +
				"endfor %}", "more than",
		},
		{"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "more than 100 deep"},
		{"{% macro f() %}{% if caller %}{% endif %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}", "more than 100 deep"},
		{
			"{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
			"a variable holds more than",
		},
		{
			"{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
			"a variable holds more than",
		},
		{"{% for i in range(90000) %}{{ '" + strings.Repeat("x", 1000) + "' }}{% endfor %}", "the output is longer than"},
		{"{{ messages | selectattr('role') }}", "refuses the messages"},
		{"{{ 'x' * 99999999999 }}", "a value holds more than"},
		{"{{ 'x' | indent(99999999) }}", "a value holds more than"},
		{"{{ '%99999999999d' % 1 }}", "a value holds more than"},
		{"{{ range(1, 9, 0) }}", "the step of range is 0"},
		{"{{ range(9223372036854775806, 9223372036854775807, 5) | length }}{{ raise_exception('end') }}", "end"},
		{"{{ messages[0].role() }}", "not callable"},
		{"{{ x | frobnicate }}", `unknown filter "frobnicate"`},
		{"{{ strftime_now('%Q') }}", "%Q is not supported"},
	} {
		template, err := New(tt.source, "f", nil)
		if err != nil {
			t.Errorf("%.60s: %v", tt.source, err)
			continue
		}
		start := time.Now()
		text, err := template.Render(messages, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: got %.60q, %v, want %s", tt.source, text, err, tt.want)
		}
		if d := time.Since(start); d > maxTime+5*time.Second {
			t.Errorf("%.60s took %v", tt.source, d)
		}
	}
}

// A template that cannot be rendered as Jinja would render it is refused when it is loaded.
func TestBadTemplates(t *testing.T) {
	for source, want := range map[string]string{
		"a\n{{ b": "line 2: a tag is not closed with }}", "{% if x %}": "line 1: if is not closed",
		"{% endif %}":                 "unexpected endif",
		"{% for x in y %}{% endif %}": "unexpected endif", "{% if x %}{% endfor %}": "unexpected endfor",
		"{# x": "a comment is not closed", "{% raw %}x": "a raw block is not closed",
		"{{ 'x }}": "a string is not closed", "{{ (a] }}": `unexpected "]"`, "{{ a ! b }}": "unexpected character '!'",
		"{{ }}": "is empty", "{% %}": "without a statement",
		"{% include 'x' %}": `"include" is not supported`, "{% block x %}{% endblock %}": `"block" is not supported`,
		"{% do x %}":         `"do" is not supported`,
		"{% set a, b = x %}": "set needs one name", "{% set a ! %}{% endset %}": "unexpected character",
		"{% set a = %}": "without a value", "{% for a in b recursive %}{% endfor %}": "recursive",
		"{% for (a, b) in c %}{% endfor %}": "must be names and commas", "{% for a %}{% endfor %}": "a for without in",
		"{{ f(*a) }}": "arguments with * are not supported", "{{ f(a=1, a=2) }}": "is given twice",
		"{{ f(a=1, 2) }}": "follows one with a name", "{% macro f(a=1, b) %}{% endmacro %}": "follows one with a default",
		"{% break %}": "break outside of a loop", "{{ a[] }}": "not complete", "{{ a[1:2:3:4] }}": "not complete",
		"{{ 1_000 }}": "the number 1_…", "{{ a b }}": `unexpected "b"`, "{{ 99999999999999999999 }}": "too large",
		`{{ '\x4' }}`: "invalid escape", "{% else %}": "unexpected else",
		"{{ " + strings.Repeat("(", 101) + "1" + strings.Repeat(")", 101) + " }}": "open brackets",
		"{{ " + strings.Repeat("not ", 5000) + "1 }}":                             "more than 4000 parts",
		strings.Repeat("{% if 1 %}", 101) + strings.Repeat("{% endif %}", 101):    "more than 100 blocks",
		strings.Repeat(" ", maxTemplate+1):                                        "bytes, at most 1048576",
		"{{ a + }}":                                                               "unexpected \"end of tag\"",
		"{% if %}{% endif %}":                                                     "not complete",
		"{% if a %}{% elif %}{% endif %}":                                         "not complete",
		"{% macro %}{% endmacro %}":                                               "not complete",
		"{% break now %}":                                                         "takes no arguments",
		"{% ! %}":                                                                 "unexpected character",
		"{% 'x' %}":                                                               "without a statement",
		"{{ '\\":                                                                  "a string is not closed",
	} {
		_, err := New(source, "chat_template.jinja", nil)
		if err == nil || !strings.HasPrefix(err.Error(), "chat: chat_template.jinja: the chat template") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", source, err, want)
		}
	}
}

func files(list map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if s, ok := list[name]; ok {
			return []byte(s), nil
		}
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
}

func TestLoad(t *testing.T) {
	const config = "tokenizer_config.json"
	tokens := `"bos_token":"<b>","eos_token":{"content":"<e>","special":true},"unk_token":null,"add_bos_token":true`
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{
			"in the configuration",
			map[string]string{config: `{` + tokens + `,"chat_template":"{{ bos_token }}c{{ unk_token }}{{ eos_token }}"}`},
			"<b>c<e>",
		},
		{
			"a file first",
			map[string]string{config: `{` + tokens + `,"chat_template":"c"}`, "chat_template.jinja": "f{{ eos_token }}\n"},
			"f<e>",
		},
		{"a file alone", map[string]string{"chat_template.jinja": "f{{ eos_token }}"}, "f"},
		{
			"tokens of another file",
			map[string]string{config: `{"bos_token":"<b>","chat_template":"{{ bos_token }}{{ eos_token }}"}`,
				"special_tokens_map.json": `{"eos_token":"<e>","bos_token":{"content":"<x>"}}`}, "<x><e>",
		},
		{
			"another file that is not read",
			map[string]string{
				config: `{"bos_token":"<b>","added_tokens_decoder":{},` +
					`"chat_template":"{{ bos_token }}{{ eos_token }}"}`,
				"special_tokens_map.json": `{"eos_token":"<e>","bos_token":{"content":"<x>"}}`,
			},
			"<b>",
		},
		{"named ones",
			map[string]string{
				config: `{"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]}`,
			},
			"d"},
	} {
		template, err := Load(files(tt.files))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got, err := template.Render(nil, Options{}); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	template, err := Load(files(map[string]string{
		config: `{` + tokens +
			`,"chat_template":"{{ bos_token }}{{ eos_token is defined }}{{ strftime_now('%d %b %Y %-j %%') }}"}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := template.Render(nil, Options{
		Tokens: map[string]string{"bos_token": "B", "eos_token": ""}, Now: time.Date(2024, 1, 5, 0, 0, 0, 0, time.UTC),
	})
	if err != nil || got != "BFalse05 Jan 2024 5 %" || template.Token("eos_token") != "<e>" {
		t.Errorf("got %q, %v, %q", got, err, template.Token("eos_token"))
	}
	for content, want := range map[string]string{
		"{": "unexpected end", `{"chat_template":5}`: "must be a text or a list",
		`{"chat_template":[{"name":"rag","template":"x"}]}`: `no template "default", only "rag"`,
		`{"chat_template":"{{"}`:                            "not closed",
		"{}":                                                "no chat template", `{"chat_template":null}`: "no chat template",
	} {
		_, err := Load(files(map[string]string{config: content}))
		if err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(want, "no chat template") != errors.Is(err, ErrNoTemplate) {
			t.Errorf("%s: got %v, want %s", content, err, want)
		}
	}
	if _, err := Load(func(string) ([]byte, error) { return nil, fs.ErrPermission }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

// FuzzTemplate checks that every template gives a text or an error, in bounded time.
func FuzzTemplate(f *testing.F) {
	for _, t := range load(f).Templates {
		f.Add(t.Source)
	}
	messages := []document.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}}
	f.Fuzz(func(t *testing.T, source string) {
		template, err := New(source, "f", nil)
		if err != nil {
			return
		}
		text, err := template.Render(messages, Options{})
		if err != nil {
			return
		}
		list, err := template.Segments(messages, 0, Options{Now: time.Unix(0, 0)})
		if whole, _ := joined(list); err == nil && whole != text && !strings.Contains(source, "strftime_now") {
			t.Fatalf("segments %v of %q", list, text)
		}
	})
}

// TestUnlearned learns nothing of messages that are marked so, with and without generation blocks.
func TestUnlearned(t *testing.T) {
	messages := []document.Message{
		{Role: "user", Content: "a"}, {Role: "assistant", Content: "bad", Unlearned: true}, {Role: "user", Content: "c"},
		{Role: "assistant", Content: "good"}, {Role: "assistant", Content: "worse", Unlearned: true},
	}
	for _, source := range []string{
		"{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}",
		"{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}{% generation %}{{ m.content }};" +
			"{% endgeneration %}{% else %}{{ m.content }};{% endif %}{% endfor %}",
	} {
		template, err := New(source, "t", nil)
		if err != nil {
			t.Fatal(err)
		}
		for given, want := range [][]string{{"good;"}, {"good;"}, {"good;"}, {"good;"}, nil} {
			list, err := template.Segments(messages, given, Options{})
			if err != nil {
				t.Fatal(err)
			}
			text, got := joined(list)
			if text != "user:a;assistant:bad;user:c;assistant:good;assistant:worse;" || !slices.Equal(got, want) {
				t.Errorf("%s, %d given: %q of %q, want %q", source, given, got, text, want)
			}
		}
	}
}
