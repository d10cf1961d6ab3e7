package generate_test

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/models"
)

// Two prompts in one call, with greedy choice. Without a tokenizer the sequences have ids only.
func ExampleGenerator_Generate() {
	src, err := checkpoint.Open("../testdata/causal/llama_gqa/base")
	check(err)
	defer src.Close()
	model, _, err := models.OpenCausalLM(src)
	check(err)

	cfg := generate.Defaults()
	cfg.MaxNewTokens, cfg.RepetitionPenalty = 8, 1.3
	cfg.EosTokenIDs = []int32{79}
	prompts := []generate.Prompt{{IDs: []int32{82}}, {IDs: []int32{76, 50, 44}}}
	out, err := generate.New(model, nil, nil).Generate(context.Background(), prompts, cfg)
	check(err)
	for _, s := range out {
		fmt.Println(s.Prompt, s.IDs, s.Finish)
	}
	// Output:
	// 0 [70 75 31 42 51 15 93 55] length
	// 1 [63 3 1 9 69 79] stop
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
