package lora

import "fmt"

// TaskType is the task that an adapter is for, in PEFT's spelling. The empty task type is null in adapter_config.json.
type TaskType string

// The task types. A task without a type in PEFT has NoTask.
const (
	NoTask            TaskType = ""
	SeqCls            TaskType = "SEQ_CLS"
	TokenCls          TaskType = "TOKEN_CLS"
	QuestionAns       TaskType = "QUESTION_ANS"
	CausalLM          TaskType = "CAUSAL_LM"
	Seq2SeqLM         TaskType = "SEQ_2_SEQ_LM"
	FeatureExtraction TaskType = "FEATURE_EXTRACTION"
)

// ParseTaskType returns the task type that PEFT spells s, where QUESTION_ANSWERING is QUESTION_ANS and "" is NoTask. It
// returns an error if s is unknown.
func ParseTaskType(s string) (TaskType, error) {
	switch t := TaskType(s); t {
	case NoTask, SeqCls, TokenCls, QuestionAns, CausalLM, Seq2SeqLM, FeatureExtraction:
		return t, nil
	case "QUESTION_ANSWERING":
		return QuestionAns, nil
	}
	return NoTask, fmt.Errorf("lora: task_type %q is unknown; want SEQ_CLS, TOKEN_CLS, QUESTION_ANS, CAUSAL_LM, "+
		"SEQ_2_SEQ_LM or FEATURE_EXTRACTION", s)
}

// Heads returns the names of the head modules that PEFT adds to modules_to_save for the task type.
func (t TaskType) Heads() []string {
	switch t {
	case SeqCls, TokenCls:
		return []string{"classifier", "score"}
	case QuestionAns:
		return []string{"qa_outputs"}
	}
	return nil
}
