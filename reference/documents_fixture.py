"""Writes tasks/causallm/testdata/causal: a small byte-level BPE tokenizer, and transformers' results for texts and
chats with it.

expected.json has the ids and labels of the windows that the grouping of transformers' run_clm example gives, and the
ids and assistant masks of apply_chat_template. Labels are not shifted, as in transformers; they are -100 where nothing
is learned.
"""
import json
import pathlib

import tokenizers
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).parent.parent / "tasks" / "causallm" / "testdata" / "causal"

TEXTS = [
    "The river ran past the mill, and the mill stood still.\n\nNobody knew how the wheel had stopped; nobody asked the "
    "river.\n",
    "Grüße aus Köln! 😀 Ein Satz, noch ein Satz. 日本語も少し。\n",
    "",
    "One.\nTwo.\nThree.\n",
]

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}{{ "
    "m.content + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\n' }}{% endif %}"
)

CHATS = [
    [("user", "How far is the mill?"), ("assistant", "Two miles. 😀")],
    [
        ("system", "Answer in German."), ("user", "Hi"), ("assistant", "Grüße!"), ("user", "And?"),
        ("assistant", "日本語も少し。 "),
    ],
    [("user", "<|im_end|> is text here"), ("assistant", ""), ("user", "nobody")],
]

BLOCKS = [8, 16, 1024]


def groups(ids, size):
    """Returns the windows of run_clm's group_texts, and the rest that it drops."""
    whole = len(ids) // size * size
    return [ids[i:i + size] for i in range(0, whole, size)], ids[whole:]


def main():
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    backend.train_from_iterator(
        TEXTS * 3,
        trainers.BpeTrainer(
            vocab_size=360, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tok = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=special[0], eos_token=special[0], pad_token=special[0],
        additional_special_tokens=special[1:],
    )
    OUT.mkdir(parents=True, exist_ok=True)
    backend.save(str(OUT / "tokenizer.json"))
    (OUT / "tokenizer_config.json").write_text(json.dumps(
        {
            "bos_token": special[0], "eos_token": special[0], "pad_token": special[0], "chat_template": TEMPLATE,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
        indent=1) + "\n")
    ids = tok(TEXTS[0])["input_ids"]
    expected = {
        "transformers": transformers.__version__, "texts": TEXTS, "ids": [tok(t)["input_ids"] for t in TEXTS],
        "windows": [dict(zip(["block_size", "windows", "rest"], (size, *groups(ids, size)))) for size in BLOCKS],
        "chats": []}
    for chat in CHATS:
        messages = [{"role": r, "content": c} for r, c in chat]
        out = tok.apply_chat_template(
            messages, chat_template=TEMPLATE, return_dict=True, return_assistant_tokens_mask=True,
        )
        labels = [i if m else -100 for i, m in zip(out["input_ids"], out["assistant_masks"])]
        expected["chats"].append({"messages": messages, "ids": out["input_ids"], "labels": labels})
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=None) + "\n")


if __name__ == "__main__":
    main()
