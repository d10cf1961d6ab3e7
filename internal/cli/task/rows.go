package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Scores are the probabilities of all classes.
type Scores struct {
	Names  []string
	Values []float32
}

// MarshalJSON writes {"name": probability, …} in the order of the classes.
func (s Scores) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range s.Names {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := AppendJSON(&b, name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := AppendJSON(&b, s.Values[i]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// EachLine writes n lines of JSON; noun names what one of them is about, for messages.
func EachLine(w io.Writer, noun string, n int, row func(i int) any) error {
	var b bytes.Buffer
	for i := range n {
		b.Reset()
		if err := AppendJSON(&b, row(i)); err != nil {
			return fmt.Errorf("%s %d: %w", noun, i+1, err)
		}
		b.WriteByte('\n')
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// AppendJSON writes v without HTML escapes.
func AppendJSON(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line feed
	return nil
}

// WriteLine writes v as one line of JSON.
func WriteLine(w io.Writer, v any) error {
	var b bytes.Buffer
	if err := AppendJSON(&b, v); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}
