package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/spalora/spalora/checkpoint"
)

// tokenIDs holds the special tokens that config.json and generation_config.json name.
type tokenIDs struct {
	Eos json.RawMessage `json:"eos_token_id"` // an id or a list of them
	Bos json.RawMessage `json:"bos_token_id"`
	Pad json.RawMessage `json:"pad_token_id"`
}

const generationConfig = "generation_config.json"

// readTokenIDs sets the ids of config.json. Those of generation_config.json, if the file exists, replace them.
func (i *Info) readTokenIDs(src *checkpoint.Source) error {
	var config tokenIDs
	if err := src.DecodeConfig(&config); err != nil {
		return err
	}
	i.BosID, i.PadID = -1, -1
	if err := i.setTokenIDs(config, "config.json"); err != nil {
		return fmt.Errorf("models: %s: %w", src.Name(), err)
	}
	text, err := src.File(generationConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	var generation tokenIDs
	if err := checkpoint.DecodeJSON(generationConfig, text, &generation); err != nil {
		return fmt.Errorf("models: %s: %w", src.Name(), err)
	}
	if err := i.setTokenIDs(generation, generationConfig); err != nil {
		return fmt.Errorf("models: %s: %w", src.Name(), err)
	}
	return nil
}

func (i *Info) setTokenIDs(t tokenIDs, file string) error {
	for _, f := range []struct {
		name string
		raw  json.RawMessage
		set  func(ids []int32)
	}{
		{"eos_token_id", t.Eos, func(ids []int32) { i.EosIDs = ids }},
		{"bos_token_id", t.Bos, func(ids []int32) { i.BosID = ids[0] }},
		{"pad_token_id", t.Pad, func(ids []int32) { i.PadID = ids[0] }},
	} {
		ids, err := parseTokenIDs(f.raw)
		if err != nil {
			return fmt.Errorf("%s: %s is %s; want the number of a token", file, f.name, f.raw)
		}
		if len(ids) > 0 {
			f.set(ids)
		}
	}
	return nil
}

// parseTokenIDs reads an id or a list of ids. It skips negative ids: some files write pad_token_id −1 for none.
func parseTokenIDs(raw json.RawMessage) ([]int32, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var list []int64
	if err := json.Unmarshal(raw, &list); err != nil {
		var one int64
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, err
		}
		list = []int64{one}
	}
	var ids []int32
	for _, id := range list {
		if id > math.MaxInt32 {
			return nil, fmt.Errorf("token %d", id)
		}
		if id >= 0 {
			ids = append(ids, int32(id))
		}
	}
	return ids, nil
}
