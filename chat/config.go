package chat

import (
	"encoding/json"
	"fmt"
	"strings"
)

// parseConfig reads the chat template of tokenizer_config.json and adds its special tokens to tokens. complete reports
// whether it lists all added tokens.
func parseConfig(content []byte, tokens map[string]string) (source string, found, complete bool, err error) {
	var c map[string]json.RawMessage
	if err := json.Unmarshal(content, &c); err != nil {
		return "", false, false, err
	}
	_, complete = c["added_tokens_decoder"]
	for key, v := range c {
		if !strings.HasSuffix(key, "_token") {
			continue
		}
		var text string
		var added struct {
			Content *string `json:"content"`
		}
		if json.Unmarshal(v, &text) == nil && v[0] == '"' { // add_bos_token is a boolean, and an unused token is null
			tokens[key] = text
		} else if json.Unmarshal(v, &added) == nil && added.Content != nil {
			tokens[key] = *added.Content
		}
	}
	v, ok := c["chat_template"]
	if !ok || string(v) == "null" {
		return "", false, complete, nil
	}
	if v[0] == '"' {
		err = json.Unmarshal(v, &source)
		return source, true, complete, err
	}
	source, err = defaultTemplate(v)
	return source, err == nil, complete, err
}

// defaultTemplate returns the template named "default" of a list of named templates.
func defaultTemplate(v json.RawMessage) (string, error) {
	var list []struct {
		Name     string  `json:"name"`
		Template *string `json:"template"`
	}
	if err := json.Unmarshal(v, &list); err != nil {
		return "", fmt.Errorf("chat_template must be a text or a list of {\"name\": …, \"template\": …}")
	}
	var names []string
	for _, e := range list {
		if e.Name == "default" && e.Template != nil {
			return *e.Template, nil
		}
		names = append(names, fmt.Sprintf("%q", e.Name))
	}
	return "", fmt.Errorf("chat_template has no template \"default\", only %s", strings.Join(names, ", "))
}
