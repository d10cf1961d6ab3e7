#!/usr/bin/env python3
"""Compares the speed of beam search with `predict seq2seq-lm` and with transformers' generate, in turn: A B A B …

usage: compare_beams.py --predict BINARY --models DIR [--set multi30k|scitldr] [--rows 8] [--rounds 5] [--tokens 64]
                        [--beams 4] [--threads 2]

--models holds t5-random/ (seq2seq_bases.py makes it): T5-small's shapes, so that no beam ends early by itself; the
lengths of the sources are real. All rows of a round are one batch on both sides, and every round takes other rows. The
tokens/s of a side count the tokens that are written, not their beams, and the time for --tokens tokens less that for
one token of one row, so that loading does not count. Memory is the peak resident size of the whole process.
"""
import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time

ap = argparse.ArgumentParser(usage=__doc__)
ap.add_argument('--predict'); ap.add_argument('--models', required=True)
ap.add_argument('--set', default='multi30k', choices=['multi30k', 'scitldr'])
ap.add_argument('--rows', type=int, default=8); ap.add_argument('--rounds', type=int, default=5)
ap.add_argument('--tokens', type=int, default=64); ap.add_argument('--beams', type=int, default=4)
ap.add_argument('--threads', type=int, default=2)
ap.add_argument('--transformers', type=int, metavar='ROUND', help='only do a round of this side (used internally)')
a = ap.parse_args()
model = f'{a.models}/t5-random'


def sources(i):
    lines = open(f'{model}/{a.set}.jsonl', encoding='utf-8').read().splitlines()
    return lines[i * a.rows:(i + 1) * a.rows]


def check(lists, n):
    if any(len(tokens) != n for tokens in lists):
        sys.exit(f'{sorted({len(tokens) for tokens in lists})} tokens instead of {n}')


def ours(i):
    def generate(rows, n):
        with tempfile.TemporaryDirectory() as d:
            source, out = os.path.join(d, 'in.jsonl'), os.path.join(d, 'out.jsonl')
            with open(source, 'w', encoding='utf-8') as file:
                file.writelines(row + '\n' for row in rows)
            began = time.perf_counter()
            p = subprocess.Popen([
                a.predict, 'seq2seq-lm', '--model', model, '--input', source, '--output', out, '--num-beams',
                str(a.beams), '--min-new-tokens', str(n), '--max-new-tokens', str(n), '--threads', str(a.threads),
                '--quiet'])
            _, status, usage = os.wait4(p.pid, 0)
            took = time.perf_counter() - began
            if status != 0:
                sys.exit(f'{a.predict} failed with status {status}')
            check([json.loads(line)['tokens'] for line in open(out, encoding='utf-8')], n)
            return took, usage.ru_maxrss / 1024
    loading, _ = generate(sources(i)[:1], 1)
    took, rss = generate(sources(i), a.tokens)
    return a.rows * a.tokens / (took - loading), rss


def transformers_round(i):
    import torch, transformers
    torch.set_num_threads(a.threads)
    transformers.logging.set_verbosity_error()
    tok = transformers.AutoTokenizer.from_pretrained(model)
    net = transformers.AutoModelForSeq2SeqLM.from_pretrained(model, dtype=torch.float32)

    def generate(rows, n):
        began = time.perf_counter()
        batch = tok([json.loads(row)['source'] for row in rows], padding=True, return_tensors='pt')
        with torch.no_grad():
            out = net.generate(**batch, num_beams=a.beams, do_sample=False, min_new_tokens=n, max_new_tokens=n)
        took = time.perf_counter() - began
        check([row[1:] for row in out.tolist()], n)
        return took
    generate(sources(i)[:1], 8)  # the first call allocates
    loading = generate(sources(i)[:1], 1)
    speed = a.rows * a.tokens / (generate(sources(i), a.tokens) - loading)
    print(speed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def theirs(i):
    out = subprocess.run([sys.executable, *sys.argv, '--transformers', str(i)], check=True, capture_output=True)
    return [float(x) for x in out.stdout.split()[-2:]]


if a.transformers is not None:
    transformers_round(a.transformers)
    sys.exit()
print(f'{"round":>6} {"ours tok/s":>11} {"theirs":>11} {"ratio":>6} {"ours MiB":>9} {"theirs":>9}')
rounds = []
for i in range(a.rounds):
    (x, xm), (y, ym) = ours(i), theirs(i)
    rounds.append((x, y, x / y, xm, ym))
    print(f'{i + 1:6d} {x:11.1f} {y:11.1f} {x / y:6.2f} {xm:9.0f} {ym:9.0f}', flush=True)
m = [statistics.median(c) for c in zip(*rounds)]
print(f'median {m[0]:11.1f} {m[1]:11.1f} {m[2]:6.2f} {m[3]:9.0f} {m[4]:9.0f}')
