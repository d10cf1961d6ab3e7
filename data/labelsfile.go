package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// labelsFile is the content of labels.json.
type labelsFile struct {
	ProblemType *string  `json:"problem_type"`
	Labels      []string `json:"labels"`
}

// Encode returns the content of a labels.json file:
//
//	{
//	  "problem_type": "single_label_classification",
//	  "labels": ["ham", "spam"]
//	}
//
// Class i is the name at index i; for regression the list is empty.
func (l *Labels) Encode() []byte {
	p := l.Problem.String()
	names := l.Names
	if names == nil {
		names = []string{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(labelsFile{&p, names}); err != nil {
		panic(err) // strings always encode
	}
	return b.Bytes()
}

// DecodeLabels reads the content of a labels.json file. It returns an error if one of the two keys is missing or there
// are others. Messages call the file name.
func DecodeLabels(content []byte, name string) (*Labels, error) {
	row, _, err := ParseObject(bytes.TrimSpace(content))
	if err != nil {
		if errors.Is(err, errTruncated) {
			err = io.ErrUnexpectedEOF
		}
		return nil, &Error{File: name, Msg: "not a labels.json file", Err: err}
	}
	for key := range row {
		if key != "problem_type" && key != "labels" {
			return nil, Errorf(name, 0, "not a labels.json file: unknown key %q", key)
		}
	}
	var f labelsFile
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, &Error{File: name, Msg: "not a labels.json file", Err: err}
	}
	if f.ProblemType == nil || f.Labels == nil {
		return nil, Errorf(name, 0, `not a labels.json file: it needs "problem_type" and "labels"`)
	}
	for _, p := range []Problem{SingleLabel, MultiLabel, Regression, TokenTags} {
		if p.String() != *f.ProblemType {
			continue
		}
		l, err := NewLabels(p, f.Labels)
		if err != nil {
			return nil, &Error{File: name, Msg: "wrong labels", Err: err}
		}
		return l, nil
	}
	return nil, &Error{File: name, Err: fmt.Errorf("%q", *f.ProblemType), Msg: "unknown problem_type"}
}
