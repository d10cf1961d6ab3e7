package lora

import "fmt"

// TaskType is what an adapter is for, as PEFT spells it. The empty one is written as null.
type TaskType string

// The task types. Those that PEFT lacks are null in adapter_config.json.
const (
	NoTask            TaskType = ""
	SeqCls            TaskType = "SEQ_CLS"
	TokenCls          TaskType = "TOKEN_CLS"
	QuestionAns       TaskType = "QUESTION_ANS"
	CausalLM          TaskType = "CAUSAL_LM"
	Seq2SeqLM         TaskType = "SEQ_2_SEQ_LM"
	FeatureExtraction TaskType = "FEATURE_EXTRACTION"
)

// ParseTaskType reads PEFT's spelling; QUESTION_ANSWERING is taken as QUESTION_ANS. Other names are an error.
func ParseTaskType(s string) (TaskType, error) {
	switch t := TaskType(s); t {
	case NoTask, SeqCls, TokenCls, QuestionAns, CausalLM, Seq2SeqLM, FeatureExtraction:
		return t, nil
	case "QUESTION_ANSWERING":
		return QuestionAns, nil
	}
	return NoTask, fmt.Errorf("lora: task_type %q is not known; want SEQ_CLS, TOKEN_CLS, QUESTION_ANS, CAUSAL_LM, SEQ_2_SEQ_LM or FEATURE_EXTRACTION", s)
}

// Heads returns the names of head modules that PEFT trains whole and saves by itself for a task type.
func (t TaskType) Heads() []string {
	switch t {
	case SeqCls, TokenCls:
		return []string{"classifier", "score"}
	case QuestionAns:
		return []string{"qa_outputs"}
	}
	return nil
}
