package spalora_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/spalora/spalora"
)

// check ends an example on an error.
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// The README shows the parts of this example; TestReadmeExamples checks that they are equal.
func Example() {
	ctx := context.Background()
	temp, err := os.MkdirTemp("", "spalora")
	check(err)
	defer os.RemoveAll(temp)
	dir := filepath.Join(temp, "reviews")
	// README begins
	results, err := spalora.Finetune(ctx, &spalora.SeqCls{Run: spalora.Run{
		Model:          "embedded/minilm",      // a Hugging Face directory or a GGUF file
		TrainFile:      "testdata/reviews.csv", // columns text and label
		OutputDir:      dir,
		NumTrainEpochs: 10,
		BatchSize:      8,
		LearningRate:   new(1e-2),
	}})
	check(err)
	fmt.Println(results.Train.Steps, "steps")
	// README ends

	// README begins
	m, err := spalora.Open(dir) // with spalora.WithBase("path") if the base model has moved
	check(err)
	defer m.Close()
	classes, err := m.ClassifyAll(ctx, spalora.Texts("The best meal of my life.", "Cold food and a rude cook."))
	check(err)
	fmt.Println(classes[0].Label, classes[1].Label)
	// README ends

	// README begins
	check(m.Load("reviews", dir)) // as many adapters as memory holds: a megabyte each
	check(m.Load("cautious", dir))
	check(m.Scale("cautious", 0.5))
	classes, err = m.Classify(ctx, "Cold food and a rude cook.", spalora.Use("reviews", "cautious"))
	check(err)
	fmt.Println(len(classes), classes[0].Label)
	// README ends

	// Output:
	// 20 steps
	// good bad
	// 2 bad
}
