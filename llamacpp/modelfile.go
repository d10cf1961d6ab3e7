package llamacpp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data/document"
)

// chatFormat is a form of chats that many models share, as a template of Ollama: a text/template that gets the
// messages.
type chatFormat struct {
	name, template string
	stops          []string // what a model writes when it begins another turn
}

// chatFormats lists the known forms. The model's own template decides which of them fits.
var chatFormats = []chatFormat{
	{
		"ChatML", "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
		[]string{"<|im_start|>", "<|im_end|>"},
	},
	{
		"LLaMA 3", "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>" +
			"{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
		[]string{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
	},
	{
		"Zephyr", "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}</s>\n{{ end }}<|assistant|>\n",
		[]string{"<|system|>", "<|user|>", "<|assistant|>", "</s>"},
	},
	{
		"LLaMA 2", "{{- $system := \"\" }}{{ range .Messages }}{{ if eq .Role \"system\" }}{{ $system = .Content }}" +
			"{{ else if eq .Role \"user\" }}<s>[INST] {{ if $system }}<<SYS>>\n{{ $system }}\n<</SYS>>\n\n{{ $system = \"\" }}" +
			"{{ end }}{{ .Content }} [/INST]{{ else }} {{ .Content }} </s>{{ end }}{{ end }}",
		[]string{"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"},
	},
	{
		"Mistral", "{{- $system := \"\" }}{{ range .Messages }}{{ if eq .Role \"system\" }}{{ $system = .Content }}" +
			"{{ else if eq .Role \"user\" }}[INST] {{ if $system }}{{ $system }}\n\n{{ $system = \"\" }}{{ end }}" +
			"{{ .Content }} [/INST]{{ else }}{{ .Content }}</s>{{ end }}{{ end }}",
		[]string{"[INST]", "[/INST]"},
	},
}

// Modelfile returns the text of a Modelfile, which describes a model to Ollama: from, the path of its GGUF file, the
// template of chats, strings at which answers end, and the system message that the chat template has by default. Notes
// say what is left out. The template is one of a few known forms, if that gives the text of the model's chat template
// for chats of one and of several turns, with and without a system message; otherwise it is left out, and Ollama takes
// the template of the GGUF file if it knows it.
func Modelfile(b *base.Base, from string) (text string, notes []string, err error) {
	if strings.ContainsAny(from, "\n\"") {
		return "", nil, base.Settings(fmt.Errorf("a Modelfile cannot hold the path %q; give another `output`", from))
	}
	lines := []string{"FROM " + from}
	leave := func(format string, args ...any) {
		notes = append(notes, fmt.Sprintf("the Modelfile has no TEMPLATE: "+format, args...))
	}
	var stops []string
	t, err := chat.Load(b.File)
	switch {
	case errors.Is(err, chat.ErrNoTemplate):
		leave("the model has no chat template")
	case err != nil:
		return "", nil, base.Input(fmt.Errorf("%s: %w", b.Name, err))
	default:
		special, err := special(b)
		if err != nil {
			return "", nil, err
		}
		m := modelChat{t, t.Token("bos_token"), special.AddBos}
		f, system, ok := m.format()
		if !ok {
			leave("the chat template is not one of the known forms (ChatML, LLaMA 3, Zephyr, LLaMA 2, Mistral)")
			break
		}
		lines = append(lines, quoted("TEMPLATE", f.template))
		if system != "" {
			lines = append(lines, quoted("SYSTEM", system))
		}
		stops = slices.Clone(f.stops)
	}
	for _, id := range b.Info.EosIDs {
		if token, ok := b.Tokenizer.Token(id); ok && !slices.Contains(stops, token) {
			stops = append(stops, token)
		}
	}
	for _, s := range stops {
		lines = append(lines, fmt.Sprintf("PARAMETER stop %q", s))
	}
	return strings.Join(lines, "\n") + "\n", notes, nil
}

// quoted returns an instruction with a text of several lines.
func quoted(instruction, text string) string { return instruction + ` """` + text + `"""` }

// modelChat is the chat template of a model.
type modelChat struct {
	template *chat.Template
	bos      string // the begin token, "" if there is none
	added    bool   // whether tokenizing adds the begin token
}

// chats returns conversations in which a format may differ from another.
func chats() [][]document.Message {
	one := []document.Message{{Role: "user", Content: "What is α?"}}
	two := append(slices.Clone(one), document.Message{Role: "assistant", Content: "A letter."},
		document.Message{Role: "user", Content: "And β?\nSay more."})
	system := document.Message{Role: "system", Content: "Answer briefly."}
	return [][]document.Message{
		one, two, append([]document.Message{system}, one...), append([]document.Message{system}, two...),
	}
}

// format returns the known form that gives the text of the template for all chats, and the system message that the
// template adds to a chat without one.
func (m modelChat) format() (f chatFormat, system string, ok bool) {
	system = m.system()
	for _, f := range chatFormats {
		if strings.Contains(system, `"""`) || !m.fits(f.template, system) {
			if m.bos == "" || m.added {
				continue
			}
			if f.template = m.bos + f.template; !m.fits(f.template, system) { // the template has it, tokenizing does not add it
				continue
			}
		}
		return f, system, true
	}
	return f, "", false
}

// render returns the text of a chat that is tokenized without the begin token if tokenizing adds that.
func (m modelChat) render(messages []document.Message) (string, error) {
	text, err := m.template.Render(messages, chat.Options{AddGenerationPrompt: true})
	if m.added && m.bos != "" {
		text = strings.TrimPrefix(text, m.bos)
	}
	return text, err
}

// system returns the system message that the template adds to a chat without one, "" for none: where a chat with a
// system message has that, the text of a chat without one has the default.
func (m modelChat) system() string {
	const mark = "\u2402mark\u2403"
	chat := chats()[0]
	with, err := m.render(append([]document.Message{{Role: "system", Content: mark}}, chat...))
	if err != nil {
		return ""
	}
	without, err := m.render(chat)
	before, after, ok := strings.Cut(with, mark)
	if err != nil || !ok || !strings.HasPrefix(without, before) || len(without) < len(before)+len(after) ||
		!strings.HasSuffix(without, after) {
		return ""
	}
	return without[len(before) : len(without)-len(after)]
}

// fits reports whether a template of Ollama gives the text of the model's template for all chats that the latter takes.
func (m modelChat) fits(text, system string) bool {
	t, err := template.New("").Parse(text)
	if err != nil {
		return false
	}
	for i, messages := range chats() {
		want, err := m.render(messages)
		if err != nil && i < 2 { // a template may refuse system messages, but nothing else
			return false
		}
		if err != nil {
			continue
		}
		if messages[0].Role != "system" && system != "" { // as Ollama adds that of the Modelfile
			messages = append([]document.Message{{Role: "system", Content: system}}, messages...)
		}
		var got strings.Builder
		if t.Execute(&got, map[string]any{"Messages": messages}) != nil {
			return false
		}
		text := got.String()
		if m.added && m.bos != "" {
			text = strings.TrimPrefix(text, m.bos)
		}
		if text != want {
			return false
		}
	}
	return true
}
