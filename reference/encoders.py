"""Encoders with the heads of tasks in transformers: code that the scripts for them share."""
import torch
import transformers

SEQ, TOKEN, QA, CHOICE, FEATURES = "seq_cls", "token_cls", "question_answering", "multiple_choice", "feature_extraction"
AUTO = {
    SEQ: transformers.AutoModelForSequenceClassification, TOKEN: transformers.AutoModelForTokenClassification,
    QA: transformers.AutoModelForQuestionAnswering, CHOICE: transformers.AutoModelForMultipleChoice,
    FEATURES: transformers.AutoModel}
ENCODERS_ALONE = ("t5", "mt5")  # sentence-transformers takes the encoder of these encoder-decoders


def auto(task, model_type):
    """Returns the class that opens a checkpoint for a task."""
    if task == FEATURES and model_type in ENCODERS_ALONE:
        return transformers.AutoModelForTextEncoding
    return AUTO[task]


def auto_of(task, directory):
    """Returns the class that opens the checkpoint in a directory for a task."""
    return auto(task, transformers.AutoConfig.from_pretrained(directory).model_type)


def load_base(task, directory, labels, problem=None):
    """Returns the base model in float32 with dropout 0. labels is the number of classes, for tasks that have
    classes."""
    options = dict(num_labels=labels) if task in (SEQ, TOKEN) else {}
    if problem:
        options["problem_type"] = problem
    model = auto_of(task, directory).from_pretrained(directory, dtype=torch.float32, **options)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def output(task, out, real):
    """Returns the output of a model for a batch: a row for each sequence, each real token (real is the attention mask),
    or each choice."""
    if task == FEATURES:
        return out.last_hidden_state[real]
    if task == QA:
        return torch.stack([out.start_logits[real], out.end_logits[real]], 1)
    return out.logits[real] if task == TOKEN else out.logits.reshape(-1, 1) if task == CHOICE else out.logits


@torch.no_grad()
def observe_alone(task, model, ids, types=None):
    """Returns the output for one sequence, or for one choice in the form that transformers' multiple-choice models
    take."""
    def tensor(row):
        return torch.tensor([[row]] if task == CHOICE else [row])

    batch = {"input_ids": tensor(ids), "attention_mask": tensor([1] * len(ids))}
    if types:
        batch["token_type_ids"] = tensor(types)
    model.eval()
    return output(task, model(**batch), batch["attention_mask"].bool())
