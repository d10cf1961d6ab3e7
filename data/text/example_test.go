package text_test

import (
	"fmt"
	"strings"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
)

func Example() {
	content := []byte("text,label\nwhat a film,good\n\"slow, and long\",bad\n")
	train, err := text.ReadBytes(content, "train.csv", text.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	problem, why, err := text.GuessProblem(train)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v: %s\n", problem, why)
	labels, err := text.FindLabels(problem, data.LabelSource{}, train)
	if err != nil {
		fmt.Println(err)
		return
	}
	classes, err := train.Classes(labels)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, e := range train.All() {
		fmt.Printf("line %d: %q is class %d, %s\n", e.Line, e.Text, classes[i], labels.Names[classes[i]])
	}
	// Output:
	// single_label_classification: the labels are names
	// line 2: "what a film" is class 1, good
	// line 3: "slow, and long" is class 0, bad
}

func ExampleReadBytes_error() {
	_, err := text.ReadBytes([]byte("text,label\nwhat a film,good\nslow, and long,bad\n"), "train.csv", text.Options{})
	fmt.Println(strings.ReplaceAll(err.Error(), "; ", ";\n"))
	// Output:
	// data: train.csv:3: the row has 3 fields, but the header has 2 ("text", "label");
	// a text that holds the delimiter needs double quotes
}
