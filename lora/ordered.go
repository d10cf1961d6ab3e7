package lora

import (
	"bytes"
	"encoding/json"
)

// orderedObject returns a JSON object of n members in their order, which a map does not have.
func orderedObject(n int, member func(i int) (key string, value any)) ([]byte, error) {
	b := []byte{'{'}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		name, v := member(i)
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, key...), ':'), value...)
	}
	return append(b, '}'), nil
}

// readOrdered calls add for each member of a JSON object in its order. It returns an error for any other value, and for
// a member whose value is not a V.
func readOrdered[V any](text []byte, add func(key string, value V)) error {
	var all map[string]V // what the values have to be, and how errors are worded
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value V
		if err := d.Decode(&value); err != nil {
			return err
		}
		add(key.(string), value)
	}
	return nil
}
