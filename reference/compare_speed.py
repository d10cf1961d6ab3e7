#!/usr/bin/env python3
"""Training speed and memory of `finetune seq-cls` and of PEFT on the same workload, in turn: A B A B …

usage: compare_speed.py --finetune BINARY --models DIR --data DIR [--rounds 5] [--steps 30] [--threads 2] [--pad dynamic]

MiniLM on SST-2 sentences, batches of 32, r=8, alpha=32, lora_dropout 0.1 on query, value and word_embeddings, AdamW at a constant 2e-4. The Python side is
peft_bench.py minilm-sst2. Both count real tokens only, without the first three steps and without loading. Memory is the peak resident size of the whole process. DIRs
hold all-MiniLM-L6-v2/ and sst2/train.tsv.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile

ap = argparse.ArgumentParser(usage=__doc__)
ap.add_argument('--finetune', required=True); ap.add_argument('--models', required=True); ap.add_argument('--data', required=True)
ap.add_argument('--rounds', type=int, default=5); ap.add_argument('--steps', type=int, default=30); ap.add_argument('--threads', type=int, default=2)
ap.add_argument('--pad', default='dynamic')
a = ap.parse_args()
WARMUP = 3


def run(command):
    """Runs a command and returns its output and its peak resident size in MiB."""
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    if status != 0:
        sys.exit(f'{" ".join(command)} failed with status {status}')
    return out.decode(), usage.ru_maxrss / 1024


def ours():
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, 'run')
        _, rss = run([a.finetune, 'seq-cls', '--model', f'{a.models}/all-MiniLM-L6-v2', '--train-file', f'{a.data}/sst2/train.tsv', '--no-header', '--no-quotes',
                      '--text-column', '0', '--label-column', '1', '--target-modules', 'query,value,word_embeddings', '--lora-r', '8', '--lora-alpha', '32',
                      '--lora-dropout', '0.1', '--batch-size', '32', '--max-steps', str(WARMUP + a.steps), '--learning-rate', '2e-4',
                      '--lr-scheduler-type', 'constant', '--warmup-ratio', '0', '--max-length', '128', '--threads', str(a.threads), '--output-dir', out, '--quiet'])
        steps = [json.loads(l) for l in open(os.path.join(out, 'metrics.jsonl'))][WARMUP:]
        tokens = json.load(open(os.path.join(out, 'results.json')))['train']['train_tokens'] / (WARMUP + a.steps)
        # The harmonic mean, weighted by nothing: batches have about the same number of tokens.
        return len(steps) / sum(1 / s['tokens_per_second'] for s in steps), rss, tokens


def peft():
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'peft_bench.py')
    out, rss = run([sys.executable, script, 'minilm-sst2', '--models', a.models, '--data', a.data, '--steps', str(a.steps), '--warmup', str(WARMUP),
                    '--threads', str(a.threads), '--pad', a.pad])
    r = json.loads(out.strip().splitlines()[-1])
    return r['tokens_per_s'], rss, r['tokens_per_step']


print(f'{"round":>5} {"ours tok/s":>11} {"PEFT tok/s":>11} {"ratio":>6} {"ours MiB":>9} {"PEFT MiB":>9}')
rows = []
for i in range(a.rounds):
    (x, xm, _), (y, ym, _) = ours(), peft()
    rows.append((x, y, x / y, xm, ym))
    print(f'{i + 1:5d} {x:11.0f} {y:11.0f} {x / y:6.2f} {xm:9.0f} {ym:9.0f}', flush=True)
m = [statistics.median(c) for c in zip(*rows)]
print(f'{"median":>5} {m[0]:10.0f} {m[1]:11.0f} {m[2]:6.2f} {m[3]:9.0f} {m[4]:9.0f}')
