package llamacpp

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/chat"
)

// The chat templates of published models, or their parts that concern plain chats.
var published = []struct {
	name, source, bos string
	added             bool
	want, system      string // the form and the default system message; "" for no form
}{
	{"SmolLM2", "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}" +
		"{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}" +
		"{% endif %}" +
		"{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" +
		"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}", "<|im_start|>", false,
		"ChatML", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
	{"plain ChatML", "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
		"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}", "", false, "ChatML", ""},
	{"LLaMA 3", "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + " +
		"'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}" +
		"{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}" +
		"{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}", "<|begin_of_text|>", true, "LLaMA 3", ""},
	{"TinyLlama", "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + " +
		"message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n" +
		"{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n" +
		"{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n" +
		"{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>\n' }}{% endif %}\n{% endfor %}", "<s>", true,
		"Zephyr", ""},
	{"Mistral 0.2", "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}" +
		"{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}" +
		"{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}" +
		"{% endif %}{% endfor %}", "<s>", true, "Mistral", ""},
	{"begin token that tokenizing does not add", "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n" +
		"{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
		"<s>", false, "ChatML", ""},
	{"LLaMA 2", "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}" +
		"{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}" +
		"{% set system_message = false %}{% endif %}{% for message in loop_messages %}" +
		"{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + " +
		"'\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}" +
		"{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}" +
		"{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
		"<s>", true, "LLaMA 2", ""},
	{"another form", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "", false, "", ""},
	{"a date", "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
		"{{ strftime_now('%Y') }}<|im_start|>assistant\n", "", false, "", ""},
}

// TestChatFormats derives the form of chats from the templates of published models.
func TestChatFormats(t *testing.T) {
	for _, c := range published {
		tokens := map[string]string{"eos_token": "</s>"}
		if c.bos != "" {
			tokens["bos_token"] = c.bos
		}
		template, err := chat.New(c.source, c.name, tokens)
		if err != nil {
			t.Fatal(err)
		}
		f, system, ok := modelChat{template, c.bos, c.added}.format()
		if ok != (c.want != "") || ok && f.name != c.want || system != c.system {
			t.Errorf("%s: got %q with the system message %q, want %q with %q", c.name, f.name, system, c.want, c.system)
		}
		if begins := strings.HasPrefix(f.template, "<s>"); begins != strings.HasPrefix(c.name, "begin token") {
			t.Errorf("%s: the template is %q", c.name, f.template)
		}
	}
}

// TestStops shows that every stop string is part of the form's template.
func TestStops(t *testing.T) {
	role := strings.NewReplacer("system", "{{ .Role }}", "user", "{{ .Role }}", "assistant", "{{ .Role }}")
	for _, f := range chatFormats {
		for _, s := range f.stops {
			if !strings.Contains(f.template, s) && !strings.Contains(f.template, role.Replace(s)) {
				t.Errorf("%s: the template never writes %q", f.name, s)
			}
		}
	}
}
