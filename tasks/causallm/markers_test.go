package causallm

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/chat"
)

// TestTemplateWarnings compares templates with the tokens of the embedded tokenizer, of which <|endoftext|> is one.
func TestTemplateWarnings(t *testing.T) {
	tok := newCausal(t, tinyGPT, Config{}).Tok
	end, ok := tok.ID("<|endoftext|>")
	if !ok {
		t.Fatal("the tokenizer has no <|endoftext|>")
	}
	for _, tt := range []struct {
		name, turn string
		ends       []int32
		want       []string
	}{
		{"they agree", "{{ m.content }}<|endoftext|>", []int32{end}, nil},
		{"no such token", "{{ m.content }}<|eot_id|>", []int32{end},
			[]string{`writes "<|eot_id|>", which the tokenizer has no token for`}},
		{"two that are missing", "<|head_id|>{{ m.content }}<|eot_id|><|endoftext|>", []int32{end},
			[]string{`writes "<|head_id|>", "<|eot_id|>"`}},
		{"another end", "{{ m.content }}<|endoftext|>", []int32{end + 1},
			[]string{`ends the assistant's turns with "<|endoftext|>"`}},
		{"nothing ends a turn", "{{ m.content }}\n", nil, nil},
		{"an end elsewhere", "{{ m.content }} and <|endoftext|>", nil, nil},
		{"a refusal", "{{ raise_exception('no') }}<|eot_id|>", nil, nil},
	} {
		template, err := chat.New("{% for m in messages %}"+tt.turn+"{% endfor %}", "t", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := templateWarnings(template, tok, tt.ends)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			continue
		}
		for i, w := range got {
			if !strings.Contains(w, tt.want[i]) {
				t.Errorf("%s: %q, want %q", tt.name, w, tt.want[i])
			}
		}
	}
	if templateWarnings(nil, tok, nil) != nil {
		t.Error("a warning without a template")
	}
}
