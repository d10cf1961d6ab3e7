package strictjson

import "fmt"

// Check errs unless data is one JSON object or array without equal keys in any object and without anything after it. The error
// says where.
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

// unique skips a value as Skip does, but refuses equal keys.
func (s *Scanner) unique() error {
	switch s.Kind() {
	case '{':
		seen := map[string]bool{}
		return s.Object(func(key string) error {
			if seen[key] {
				return s.fail("key %q a second time", Clip(key))
			}
			seen[key] = true
			return s.unique()
		})
	case '[':
		return s.Array(s.unique)
	}
	return s.Skip()
}

// Keys returns the keys of the object at the top of data, in order. The data must have passed [Check].
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
