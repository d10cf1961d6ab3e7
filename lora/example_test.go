package lora_test

import (
	"fmt"
	"strings"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Attach adds low-rank pairs for the query and value layers of a frozen model. The head of the task trains too.
func ExampleAttach() {
	model := newModel(1)
	c := lora.Config{R: 4, Alpha: 8, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls}
	set, err := lora.Attach(model, c, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Summary(model))
	for _, p := range set.Params()[:2] {
		rows, cols := op.Size(p.Param)
		fmt.Printf("%s %d×%d\n", p.Name, rows, cols)
	}
	// Output:
	// trainable params: 563 || all params: 5,670 || trainable%: 9.9295
	// base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight 4×16
	// base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.weight 16×4
}

// The error for a target that matches no module names the nearest modules.
func ExampleAttach_misspelt() {
	_, err := lora.Attach(newModel(1), lora.Config{R: 4, Alpha: 8, TargetModules: lora.Names("clasifier")}, 1)
	fmt.Println(err)
	// Output:
	// lora: target_modules "clasifier" matches no linear or embedding layer; the nearest are classifier
}

// Tree prints the model as PyTorch prints it with PEFT's adapter attached.
func ExampleSet_Tree() {
	model := newModel(1)
	set, err := lora.Attach(model, lora.Config{R: 4, Alpha: 8, Dropout: 0.1, TargetModules: lora.Names("query")}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	tree := set.Tree(model)
	from := strings.Index(tree, "(query)")
	fmt.Println(tree[from : from+strings.Index(tree[from:], "(key)")])
	// Output:
	// (query): lora.Linear(
	//                 (base_layer): Linear(in_features=16, out_features=16, bias=True)
	//                 (lora_dropout): ModuleDict(
	//                   (default): Dropout(p=0.1, inplace=False)
	//                 )
	//                 (lora_A): ModuleDict(
	//                   (default): Linear(in_features=16, out_features=4, bias=False)
	//                 )
	//                 (lora_B): ModuleDict(
	//                   (default): Linear(in_features=4, out_features=16, bias=False)
	//                 )
	//                 (lora_embedding_A): ParameterDict()
	//                 (lora_embedding_B): ParameterDict()
	//                 (lora_magnitude_vector): ModuleDict()
	//               )
}

// One step of training by hand: forward, backward, update. Package train has the whole loop.
func ExampleSet_Params() {
	model := newModel(1)
	nn.SetDropout(model, 0)
	c := lora.Config{R: 4, Alpha: 8, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls}
	set, err := lora.Attach(model, c, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	b := &batch.Batch{
		Seqs:   op.Seqs{Starts: []int{0, 3, 7}, Index: []int{0, 1}},
		IDs:    []int32{1, 5, 2, 1, 9, 9, 2},
		Labels: []int32{2, 0},
	}
	tape := op.NewTape(nil)
	defer tape.Close()
	var losses []float32
	for range 2 {
		logits := model.Logits(&nn.Pass{Tape: tape, Train: true, Adapter: set}, b)
		loss, _ := op.CrossEntropy(tape, logits, b.Labels, op.CrossEntropyConfig{})
		losses = append(losses, op.Values(loss)[0])
		if err := tape.Backward(loss); err != nil {
			fmt.Println(err)
			return
		}
		for _, p := range set.Params() {
			values, gradient := op.Values(p.Param), op.Grad(p.Param)
			for i := range values {
				values[i] -= 0.1 * gradient[i]
			}
			op.ZeroGrad(p.Param)
		}
		tape.Reset()
	}
	fmt.Println("the loss falls:", losses[1] < losses[0])
	// Output:
	// the loss falls: true
}

// DecodeConfig returns an error that names each setting that is not supported.
func ExampleDecodeConfig() {
	text := `{"peft_type": "IA3", "r": 0, "lora_alpha": 16, "target_modules": ["query"]}`
	_, _, err := lora.DecodeConfig([]byte(text))
	fmt.Println(err)
	// Output:
	// lora: adapter_config.json: peft_type is "IA3"; want "LORA", the only supported type
}
