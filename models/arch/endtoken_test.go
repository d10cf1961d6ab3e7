package arch_test

import (
	"encoding/json"
	"testing"

	"github.com/spalora/spalora/models/arch"
)

// TestEndToken reads what config.json may have as eos_token_id, over a default.
func TestEndToken(t *testing.T) {
	for text, want := range map[string]arch.EndToken{
		`{}`: 1, `{"eos_token_id": 2}`: 2, `{"eos_token_id": 0}`: 0,
		`{"eos_token_id": null}`: arch.NoEndToken, `{"eos_token_id": [1, 2]}`: arch.NoEndToken,
	} {
		c := struct {
			End arch.EndToken `json:"eos_token_id"`
		}{1}
		if err := json.Unmarshal([]byte(text), &c); err != nil || c.End != want {
			t.Errorf("%s: got %d, %v; want %d", text, c.End, err, want)
		}
		for _, text := range []string{`{"eos_token_id": "</s>"}`, `{"eos_token_id": 1.5}`, `{"eos_token_id": {}}`} {
			if err := json.Unmarshal([]byte(text), &c); err == nil {
				t.Errorf("%s is read", text)
			}
		}
	}
}
