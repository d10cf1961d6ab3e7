package data_test

import (
	"fmt"

	"github.com/spalora/spalora/data"
)

func Example() {
	train, err := data.ReadTextBytes([]byte("text,label\nwhat a film,good\n\"slow, and long\",bad\n"), "train.csv", data.ReadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	problem, why, err := data.GuessProblem(train)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v: %s\n", problem, why)
	labels, err := data.FindLabels(problem, data.LabelSource{}, train)
	if err != nil {
		fmt.Println(err)
		return
	}
	classes, err := labels.Classes(train)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, e := range train.Examples {
		fmt.Printf("line %d: %q is class %d, %s\n", e.Line, e.Text, classes[i], labels.Names[classes[i]])
	}
	// Output:
	// single_label_classification: the labels are names
	// line 2: "what a film" is class 1, good
	// line 3: "slow, and long" is class 0, bad
}

func ExampleReadTextBytes_error() {
	_, err := data.ReadTextBytes([]byte("text,label\nwhat a film,good\nslow, and long,bad\n"), "train.csv", data.ReadOptions{})
	fmt.Println(err)
	// Output:
	// data: train.csv:3: the row has 3 fields, but the header has 2 ("text", "label"); a text that holds the delimiter must stand in double quotes
}
