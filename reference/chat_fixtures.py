"""Writes chat/testdata/templates.json: chats as transformers' apply_chat_template renders them.

The templates are written here in the styles of well-known families (what they print, and how they use white space
control, are facts about those families). The "random" ones combine text, tags and signs at random to compare the lexer
with Jinja's.
"""
import json
import pathlib
import random

import tokenizers
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

OUT = pathlib.Path(__file__).parent.parent / "chat" / "testdata" / "templates.json"

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

STYLES = {
    # ChatML with its own system prompt, all in one line (SmolLM2).
    "chatml-system": "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
    "'<|im_start|>system\nBe of help.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if "
    "add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    # Instructions in brackets, the system prompt in the first of them, alternation enforced (Llama 2).
    "brackets": "{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set system = "
    "messages[0]['content'] %}{% else %}{% set turns = messages %}{% set system = false %}{% endif %}"
    "{% for m in turns %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must "
    "alternate: user, assistant, user …') }}{% endif %}"
    "{% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + "
    "m['content'] %}{% else %}{% set content = m['content'] %}{% endif %}"
    "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif m['role'] == "
    "'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    # Headers and an end-of-turn token, date in the system prompt if asked for (Llama 3).
    "headers": "{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- set date_string = \"26 Jul 2024\" "
    "%}\n{%- endif %}\n\n"
    "{#- The system message comes first. #}\n{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = "
    "messages[0]['content']|trim %}\n    {%- set messages = messages[1:] %}\n"
    "{%- else %}\n    {%- set system_message = \"\" %}\n{%- endif %}\n{{- "
    "\"<|start_header_id|>system<|end_header_id|>\\n\\n\" }}\n{{- \"Today: \" + date_string + \"\\n\\n\" }}\n"
    "{{- system_message }}\n{{- \"<|eot_id|>\" }}\n{%- for message in messages %}\n    {{- '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}\n"
    "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' "
    "}}\n{%- endif %}\n",
    # Lines of tags, which need trim_blocks (Zephyr).
    "lines": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] "
    "+ eos_token }}\n{% elif message['role'] == 'system' %}\n"
    "{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ "
    "'<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    # A namespace and the index of the last user (Mistral).
    "namespace": "{%- set ns = namespace(last=-1, n=0) %}{%- for m in messages %}{%- if m.role == 'user' %}{%- set "
    "ns.last = loop.index0 %}{%- endif %}{%- endfor %}{{- bos_token }}\n"
    "{%- for m in messages %}\n    {%- if m.role == 'system' %}\n        {{- '[SYSTEM_PROMPT]' ~ m.content ~ "
    "'[/SYSTEM_PROMPT]' }}\n    {%- elif m.role == 'user' %}\n"
    "        {%- set ns.n = ns.n + 1 %}\n        {{- '[INST]' }}{%- if loop.index0 == ns.last and ns.n > 1 %}{{- ' (' "
    "~ ns.n ~ ')' }}{%- endif %}{{- ' ' ~ m.content ~ '[/INST]' }}\n"
    "    {%- elif m.role == 'assistant' %}\n        {{- ' ' ~ m.content ~ eos_token }}\n    {%- else %}\n        {{- "
    "raise_exception('Only system, user and assistant!') }}\n    {%- endif %}\n{%- endfor %}",
    # Tools in the template that are not passed; a macro; nested conditions (Qwen 2.5).
    "tools": "{%- macro turn(role, text='') %}{{- '<|im_start|>' + role + '\\n' + text + '<|im_end|>\\n' }}{%- "
    "endmacro %}\n{%- if tools %}\n    {{- '<tools>' }}\n    {%- for tool in tools %}\n"
    "        {{- \"\\n\" }}\n        {{- tool | tojson }}\n    {%- endfor %}\n{%- else %}\n    {%- if messages[0].role "
    "== 'system' %}\n        {{- turn('system', messages[0].content) }}\n"
    "    {%- else %}\n        {{- turn('system', text='You write well.') }}\n    {%- endif %}\n{%- endif %}\n{%- for "
    "message in messages %}\n"
    "    {%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) or (message.role == "
    "\"assistant\" and not message.tool_calls) %}\n"
    "        {{- turn(message.role, message.content) }}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt "
    "%}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n",
    # Another name for the assistant, no system role, stripped content (Gemma).
    "model": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') "
    "}}{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must "
    "alternate') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% "
    "endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if "
    "add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    # Generation blocks.
    "generation": "{% for m in messages %}\n{%- if m.role == 'assistant' %}\n    {{- '<|assistant|>' }}\n    {%- "
    "generation %}\n    {{- m.content + eos_token }}\n    {%- endgeneration %}\n"
    "{%- else %}\n    {{- '<|' + m.role + '|>' + m.content }}\n{%- endif %}\n{%- endfor %}\n{%- if "
    "add_generation_prompt %}{{- '<|assistant|>' }}{% endif %}",
    "generation-lines": "{% for m in messages %}\n[{{ m.role }}]\n{% if m.role == 'assistant' %}\n{% generation %}\n{{ "
    "m.content }}\n{{ eos_token }}\n{% endgeneration %}\n{% else %}\n{{ m.content }}\n\n{% endif %}\n{% endfor %}",
    # Corner cases: values printed as in Python, loop variables, JSON, raw, comments, escapes.
    "corners": "{%- set l = [1, 2.5, none, true, 'a\\'b', \"q\\\"\", {'k': [1, 'ä\\n']}] %}\n{{ l }} {{ none }} {{ "
    "1e3 if false else 1.0 }} {{ missing }} {{ tools is none }}\n"
    "{% raw %} {{ not me }} {% not %} {% endraw %}\n   {# gone #}\n{{ messages | tojson }} {{ l[6] | tojson(indent=2) "
    "}} {{ {'a': {'b': 1}} }} {{ '\\u00e9\\x41\\101\\q' }}\n"
    "{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% else %}none{% "
    "endfor %}\n{% for i in range(3) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}\n"
    "{% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }}{% set seen = true %}{% endfor %} {{ "
    "seen is defined }} {{ messages | length }} {{ messages | map(attribute='role') | join('+') }} "
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ 'abc'[::-1] }} {{ 'abc' is sequence }} "
    "{{ messages[0] is sequence }} {{ 7 // 2 }} {{ 'x' in 'xyz' and 'z' not in ['y'] }}",
    # A variable that is set in one round of a loop does not exist in the next.
    "rounds": "{% for m in messages %}{% set m = m.role %}{{ m }}{% endfor %}{% set x = 'outer' %}{% for m in messages "
    "%}[{{ x }}{{ y is defined }}{% if loop.index0 == 0 %}{% set x = 'inner' %}{% set y = 1 %}{% endif %}{{ x }}]{% "
    "endfor %}{{ x }}"
    "{% for m in messages %}{% set z %} {{ m.role }} {% endset %}{{ z | trim }}{% for c in m.role %}{% set x = c %}{% "
    "if loop.last %}{{ x }}{% endif %}{% endfor %}{{ x }}{% endfor %}",
    # White space after tags without text between them.
    "tight": "{% for m in messages %}{{ m.role }}: {{ m.content }}{% if true %}{{ '!' }}{% endif %}\n {{ '' }}{%- if "
    "false %}{% endif %} \n{% endfor %}  {{ eos_token }}  {%- if add_generation_prompt %} {{ 'assistant' }}: {% endif "
    "%}\n\n",
}

CHATS = {
    "one": [("user", "What is 2 + 2?"), ("assistant", "Four.")],
    "system": [
        ("system", " Answer briefly. "), ("user", "Grüße 😀"), ("assistant", "Hallo <b>\"du\"</b> & 'ihr'\n"),
    ],
    "long": [("user", "a"), ("assistant", "b"), ("user", "\n c "), ("assistant", " d\\n{{ e }} "), ("user", "f")],
    "question": [("user", "Why?")],
    "assistant first": [("assistant", "Hi."), ("user", "Hello.")],
}


def pieces(rng):
    """Returns a random template: text with white space between tags with signs."""
    text = lambda: "".join(
        rng.choice([" ", "\n", "\t", "a", "b\n", "  ", "\n\n", "é", "'", "\\", "{", "%}"])
        for _ in range(rng.randrange(4))
    )
    sign = lambda block: rng.choice(["", "", "", "-", "+" if block else "-"])
    tag = lambda inner, block=True: ("{%" if block else "{{") + sign(block) + " " + inner + " " + sign(block) + (
        "%}" if block else "}}"
    )
    out = text()
    for _ in range(rng.randrange(1, 6)):
        match rng.randrange(7):
            case 0:
                out += (
                    tag("if " + rng.choice(["true", "false", "messages", "eos_token == '}}'"])) + text() + tag("else")
                    + text() + tag("endif")
                )
            case 1:
                out += tag("for m in messages") + text() + tag("m.role", False) + text() + tag("endfor")
            case 2:
                out += tag("set v = 'x'") + text() + tag("v", False)
            case 3:
                out += "{#" + sign(True) + " comment " + sign(True) + "#}"
            case 4:
                out += "{%" + rng.choice(["", "-"]) + " raw " + rng.choice(["", "-"]) + "%}" + text() + tag("endraw")
            case 5:
                out += tag("'%}' ~ \"}}\"", False)
            case 6:
                out += tag("'t'", False) + tag("if true") + tag("endif")
        out += text()
    return out


def main():
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tok = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **TOKENS)
    fixture = {
        "transformers": transformers.__version__, "tokens": TOKENS,
        "chats": {k: [{"role": r, "content": c} for r, c in v] for k, v in CHATS.items()}, "templates": [],
    }
    rng = random.Random(1)
    random_ones = {}
    while len(random_ones) < 250:
        source = pieces(rng)
        try:
            render_jinja_template([fixture["chats"]["one"]], chat_template=source, **TOKENS)
        except Exception as e:  # "{" before a tag opens another one: no template
            if len(random_ones) == 0:
                print("skipped", e)
            continue
        random_ones[f"random-{len(random_ones)}"] = source
    for name, source in (STYLES | random_ones).items():
        cases = []
        for chat in CHATS if name in STYLES else ["one"]:
            for prompt in [False, True] if name in STYLES else [False]:
                case = {"chat": chat, "add_generation_prompt": prompt}
                try:
                    case["text"] = tok.apply_chat_template(
                        fixture["chats"][chat], chat_template=source, tokenize=False, add_generation_prompt=prompt,
                    )
                    if "endgeneration" in source and not prompt:
                        _, spans = render_jinja_template(
                            [fixture["chats"][chat]], chat_template=source, return_assistant_tokens_mask=True, **TOKENS
                        )
                        case["assistant"] = [case["text"][a:b] for a, b in spans[0]]
                except Exception as e:
                    case["error"] = str(e)
                cases.append(case)
        fixture["templates"].append({"name": name, "source": source, "cases": cases})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(fixture, ensure_ascii=False, indent=1) + "\n")
    print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
    main()
