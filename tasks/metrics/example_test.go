package metrics_test

import (
	"fmt"

	"github.com/spalora/spalora/tasks/metrics"
)

func ExampleClasses() {
	labels := []int32{0, 0, 1, 1, 1}
	predictions := []int32{0, 1, 1, 1, 0}
	s, err := metrics.Classes(labels, predictions, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("accuracy", s.Accuracy)
	fmt.Println("macro-F1", s.MacroF1)
	fmt.Println("Matthews", s.Matthews)
	// Output:
	// accuracy 0.6000
	// macro-F1 0.5833
	// Matthews 0.1667
}
