package adapter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/nn"
)

// mergedConfig returns the base's config.json with what the head adds: architecture, class names, problem type, and the
// type of the weights. Keys are sorted, as transformers writes them.
func mergedConfig(base []byte, c *cli.Classifier, dtype string) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(base, &m); err != nil {
		return nil, fmt.Errorf("merge: config.json: %w", err)
	}
	names := c.Labels.Names
	if len(names) == 0 { // regression: transformers counts outputs by names
		names = []string{"LABEL_0"}
	}
	id2label, label2id := map[string]string{}, map[string]int{}
	for i, n := range names {
		id2label[strconv.Itoa(i)], label2id[n] = n, i
	}
	set := map[string]any{"id2label": id2label, "label2id": label2id, "dtype": dtype}
	if c.Told {
		set["problem_type"] = c.Labels.Problem.String()
	}
	if k, ok := c.Model.(nn.Classed); ok {
		set["architectures"] = []string{k.Class()}
	}
	for _, old := range []string{"torch_dtype", "num_labels", "_num_labels"} {
		delete(m, old)
	}
	for key, v := range set {
		text, err := compactJSON(v)
		if err != nil {
			return nil, fmt.Errorf("merge: config.json: %s: %w", key, err)
		}
		m[key] = text
	}
	text, err := compactJSON(m)
	if err != nil {
		return nil, fmt.Errorf("merge: config.json: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, fmt.Errorf("merge: config.json: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// compactJSON encodes v without the escapes that only HTML needs.
func compactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
