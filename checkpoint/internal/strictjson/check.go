package strictjson

import "fmt"

// Check returns an error unless data is one JSON object or array, without duplicate keys in any object and without
// anything after it. The error has the position.
func Check(data []byte) error {
	s, err := New(data)
	if err != nil {
		return err
	}
	if err := s.unique(); err != nil {
		return err
	}
	return s.End()
}

// unique skips a value as Skip does, but returns an error if an object has duplicate keys.
func (s *Scanner) unique() error {
	switch s.Kind() {
	case '{':
		seen := map[string]bool{}
		return s.Object(func(key string) error {
			if seen[key] {
				return s.fail("duplicate key %q", Clip(key))
			}
			seen[key] = true
			return s.unique()
		})
	case '[':
		return s.Array(s.unique)
	}
	return s.Skip()
}

// Keys returns the keys of the object at the top level of data, in order. The data must have passed [Check].
func Keys(data []byte) ([]string, error) {
	s, err := New(data)
	if err != nil {
		return nil, err
	}
	var keys []string
	err = s.Object(func(key string) error {
		keys = append(keys, key)
		return s.Skip()
	})
	if err != nil {
		return nil, fmt.Errorf("not an object: %w", err)
	}
	return keys, nil
}
