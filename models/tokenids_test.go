package models

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint"
)

// TestTokenIDs reads the special tokens of both files.
func TestTokenIDs(t *testing.T) {
	for _, c := range []struct{ config, generation, want, err string }{
		{`{}`, "", "eos [], bos -1, pad -1", ""},
		{`{"eos_token_id": 2, "bos_token_id": 1, "pad_token_id": null}`, "", "eos [2], bos 1, pad -1", ""},
		{`{"eos_token_id": 2, "bos_token_id": 1}`, `{"eos_token_id": [3, 4], "pad_token_id": 5}`, "eos [3 4], bos 1, pad 5",
			""},
		{`{"eos_token_id": [], "pad_token_id": -1}`, `{"eos_token_id": null}`, "eos [], bos -1, pad -1", ""},
		{`{"eos_token_id": "x"}`, "", "", "config.json: eos_token_id"},
		{`{"eos_token_id": 3000000000}`, "", "", "config.json: eos_token_id"},
		{`{}`, `{"bos_token_id": 1.5}`, "", "generation_config.json: bos_token_id"},
		{`{}`, `[]`, "", "generation_config.json"},
	} {
		// A source from memory must have weights.
		weights := append([]byte{60, 0, 0, 0, 0, 0, 0, 0},
			[]byte(fmt.Sprintf("%-60s", `{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`)+"\x00\x00\x00\x00")...)
		files := map[string][]byte{"config.json": []byte(c.config), "model.safetensors": weights}
		if c.generation != "" {
			files["generation_config.json"] = []byte(c.generation)
		}
		src, err := checkpoint.FromBytes(files)
		if err != nil {
			t.Fatal(err)
		}
		i, err := ReadInfo(src)
		got := fmt.Sprintf("eos %v, bos %d, pad %d", i.EosIDs, i.BosID, i.PadID)
		switch {
		case c.err == "" && (err != nil || got != c.want):
			t.Errorf("%s %s: %s (%v), want %s", c.config, c.generation, got, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s %s: %v, want %q", c.config, c.generation, err, c.err)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

// FuzzTokenIDs: no text gives a negative id, and what is accepted is a number or a list of numbers.
func FuzzTokenIDs(f *testing.F) {
	for _, s := range []string{"", "null", "1", "-1", "[1,2]", "[]", `"x"`, "[1,[2]]", "9e99", "2147483648", "1.5", "{}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ids, err := parseTokenIDs(raw)
		for _, id := range ids {
			if id < 0 {
				t.Errorf("%q gives %d", raw, id)
			}
		}
		if err == nil && len(raw) > 0 && !json.Valid(raw) {
			t.Errorf("%q is no JSON and gives %v", raw, ids)
		}
	})
}
