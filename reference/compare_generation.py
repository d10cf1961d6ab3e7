#!/usr/bin/env python3
"""Compares the speed of generating with `predict causal-lm`, transformers and llama.cpp, in turn: A B C A B C …

usage: compare_generation.py --predict BINARY --model DIR --gguf FILE [--rounds 5] [--tokens 128] [--threads 2]

The workload is one prompt, greedy, with SmolLM2-135M-Instruct from its safetensors (BF16) and from its GGUF file
(Q4_1). The tokens/s of a side are the number of tokens divided by the difference between the time for 8 + --tokens and
the time for 8 new tokens, so that loading and the prompt do not count. The Python sides need transformers and
llama-cpp-python.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

ap = argparse.ArgumentParser(usage=__doc__)
ap.add_argument('--predict', required=True); ap.add_argument('--model', required=True); ap.add_argument(
    '--gguf', required=True,
)
ap.add_argument('--rounds', type=int, default=5); ap.add_argument('--tokens', type=int, default=128); ap.add_argument(
    '--threads', type=int, default=2,
)
a = ap.parse_args()
PROMPT = 'The history of the city begins with a small village on the river, where'
FEW = 8


def speed(generate):
    """Returns tokens/s. generate(n) makes n tokens and returns how many it made; the speed is that of the tokens after
    the first few."""
    times = []
    for n in (FEW, FEW + a.tokens):
        began = time.perf_counter()
        made = generate(n)
        times.append(time.perf_counter() - began)
        if made != n:
            sys.exit(f'{made} tokens instead of {n}: the prompt ends early')
    return a.tokens / (times[1] - times[0])


def ours(model):
    def generate(n):
        with tempfile.TemporaryDirectory() as d:
            out = os.path.join(d, 'out.jsonl')
            subprocess.run([
                a.predict, 'causal-lm', '--model', model, '--prompt', PROMPT, '--max-new-tokens', str(n), '--threads',
                str(a.threads), '--output', out, '--quiet',
            ],
                           check=True, stdout=subprocess.DEVNULL)
            return len(json.loads(open(out).readline())['tokens'])
    return speed(generate)


def transformers_side(dtype):
    import torch, transformers
    torch.set_num_threads(a.threads)
    tok = transformers.AutoTokenizer.from_pretrained(a.model)
    model = transformers.AutoModelForCausalLM.from_pretrained(a.model, dtype=getattr(torch, dtype))
    ids = tok(PROMPT, return_tensors='pt')

    def generate(n):
        with torch.no_grad():
            out = model.generate(**ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0)
        return out.shape[1] - ids['input_ids'].shape[1]
    generate(FEW)
    return lambda: speed(generate)


def llama_side():
    import llama_cpp
    model = llama_cpp.Llama(a.gguf, n_ctx=2048, n_threads=a.threads, n_threads_batch=a.threads, verbose=False)

    def generate(n):
        model.reset()
        made = 0
        for _ in model.generate(model.tokenize(PROMPT.encode()), temp=0.0, repeat_penalty=1.0):
            made += 1
            if made == n:
                return made
        return made
    generate(FEW)
    return lambda: speed(generate)


sides = {'ours BF16': lambda: ours(a.model), 'ours Q4_1': lambda: ours(a.gguf), 'transformers F32': transformers_side(
    'float32'
),
         'transformers BF16': transformers_side('bfloat16'), 'llama.cpp Q4_1': llama_side()}
print('tokens/s'.rjust(8), *(name.rjust(18) for name in sides))
rows = []
for i in range(a.rounds):
    rows.append([side() for side in sides.values()])
    print(f'{i + 1:8d}', *(f'{v:18.1f}' for v in rows[-1]), flush=True)
print('median'.rjust(8), *(f'{statistics.median(c):18.1f}' for c in zip(*rows)))
