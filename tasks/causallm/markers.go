package causallm

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/tokenize"
)

// marker is how chat templates spell special tokens.
var marker = regexp.MustCompile(`<\|[^<>|\s]+\|>|<[a-z]+_of_[a-z]+>|</s>`)

// TemplateWarnings returns what the chat template and the special tokens of the checkpoint disagree about.
func (o *Opened) TemplateWarnings() []string {
	return templateWarnings(o.cfg.Template, o.Tok, o.Decoding.EosTokenIDs)
}

// templateWarnings says which special tokens a template writes that the tokenizer splits into pieces, and whether what
// ends a turn of the assistant is none of the tokens that end a generated text. Templates that refuse the chat that it
// is tried on are not judged.
func templateWarnings(t *chat.Template, tok *tokenize.Tokenizer, ends []int32) (list []string) {
	if t == nil {
		return nil
	}
	const answer = "Xyzzy"
	text, err := t.Render([]document.Message{{Role: "user", Content: "Plugh"}, {Role: "assistant", Content: answer}},
		chat.Options{})
	if err != nil {
		return nil
	}
	var split []string
	for _, m := range marker.FindAllString(text, -1) {
		if _, whole := tok.ID(m); !whole && !slices.Contains(split, m) {
			split = append(split, m)
		}
	}
	if len(split) > 0 {
		list = append(list, fmt.Sprintf("the chat template writes %s, which the tokenizer has no token for: they are split "+
			"into pieces (add them to the tokenizer, or take the template of this checkpoint)", data.NameList(split)))
	}
	_, after, found := strings.Cut(text, answer)
	if !found {
		return list
	}
	end := marker.FindString(after)
	if id, whole := tok.ID(end); whole && strings.HasPrefix(strings.TrimSpace(after), end) && !slices.Contains(ends, id) {
		list = append(list, fmt.Sprintf("the chat template ends the assistant's turns with %s (token %d), which is not "+
			"among the tokens that end a generated text (%v): answers go on behind it; set "+
			"eos_token_id in generation_config.json",
			data.Excerpt(end), id, ends))
	}
	return list
}
