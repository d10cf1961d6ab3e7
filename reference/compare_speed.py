#!/usr/bin/env python3
"""Compares the training speed and memory of `finetune` and of PEFT on the same workload, in turn: A B A B …

usage: compare_speed.py --finetune BINARY --models DIR --data DIR [--workload minilm-sst2] [--rounds 5] [--steps 30]
       [--warmup 3] [--threads 2]

minilm-sst2   MiniLM on SST-2 sentences, batches of 32, r=8, alpha=32, lora_dropout 0.1 on query, value and
              word_embeddings
bertbase-sst2  BERT-base's shapes (110 M random weights) on SST-2 sentences, batches of 16, the same adapter on query and
              value
bertbase-fixed  the same on batches of 8 rows of exactly 128 tokens
gpt2-text     GPT-2's shapes (124 M random weights, dropout 0.1) on 4 windows of 256 tokens, the same adapter on c_attn
smollm2-text  SmolLM2-135M-Instruct on 4 windows of 256 tokens of Tiny Shakespeare, the same adapter on q_proj and
              v_proj
t5-multi30k   T5-small's shapes (60 M random weights, dropout 0.1) on batches of 8 pairs of multi30k, English to German,
              the same adapter on q and v; both sides take the rows in the file's order and count the tokens of both
              texts
t5-scitldr    the same on abstracts with their summaries
vit-clothing  ViT-S/16's shapes (21.7 M random weights) on batches of 16 photographs of clothing64, resized to 224×224,
              the same adapter on q_proj and v_proj; tokens are patches
whisper-jfk   Whisper tiny.en on batches of 4 windows of 30 s, the same adapter on q_proj and v_proj; tokens are the
              frames of features and the tokens of the texts

The optimiser is AdamW at a constant 2e-4. The Python side is peft_bench.py. Both sides count only real tokens, without
the first steps (--warmup) and without loading. Memory is the peak resident size of the whole process. --models holds
all-MiniLM-L6-v2/, SmolLM2-135M-Instruct/, whisper-tiny.en/, bertbase-random/, gpt2-random/, t5-random/ and vit-random/
(these four are made here if they are missing: random weights with SmolLM2's tokenizer, or with one that is trained on the pairs),
--data holds sst2/train.tsv, tinyshakespeare/input.txt, multi30k-en-de/, scitldr/, clothing64/ and jfk/. --finetune-flags and --peft-flags are passed to
the two sides, for example --gradient-checkpointing and --ckpt.
"""
import argparse, json, os, shlex, shutil, statistics, subprocess, sys, tempfile

ap = argparse.ArgumentParser(usage=__doc__)
ap.add_argument('--finetune', required=True); ap.add_argument('--models', required=True); ap.add_argument(
    '--data', required=True,
)
ap.add_argument('--workload', default='minilm-sst2', choices=[
    'minilm-sst2', 'bertbase-sst2', 'bertbase-fixed', 'gpt2-text', 'smollm2-text', 't5-multi30k', 't5-scitldr', 'vit-clothing', 'whisper-jfk',
])
ap.add_argument('--rounds', type=int, default=5); ap.add_argument('--steps', type=int, default=30); ap.add_argument(
    '--threads', type=int, default=2,
)
ap.add_argument('--warmup', type=int, default=3); ap.add_argument('--pad', default='dynamic')
ap.add_argument('--finetune-flags', default=''); ap.add_argument('--peft-flags', default='')
a = ap.parse_args()


def run(command):
    """Runs a command and returns its output and its peak resident size in MiB."""
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    if status != 0:
        sys.exit(f'{" ".join(command)} failed with status {status}')
    return out.decode(), usage.ru_maxrss / 1024


def gpt2():
    """Returns the directory of a GPT-2 with random weights; its speed does not depend on the text."""
    path = f'{a.models}/gpt2-random'
    if not os.path.exists(f'{path}/config.json'):
        import transformers
        transformers.GPT2LMHeadModel(transformers.GPT2Config()).save_pretrained(path)
        for name in ('tokenizer.json', 'tokenizer_config.json'):
            shutil.copy(f'{a.models}/SmolLM2-135M-Instruct/{name}', path)
    return path


def bert_base():
    """Returns the directory of a BERT-base with random weights, which also holds rows of exactly 128 tokens."""
    path = f'{a.models}/bertbase-random'
    if not os.path.exists(f'{path}/fixed.tsv'):
        import transformers
        transformers.BertForSequenceClassification(transformers.BertConfig()).save_pretrained(path)
        for name in ('tokenizer.json', 'tokenizer_config.json', 'vocab.txt'):
            if os.path.exists(f'{a.models}/all-MiniLM-L6-v2/{name}'):
                shutil.copyfile(f'{a.models}/all-MiniLM-L6-v2/{name}', f'{path}/{name}')
        words = [w for w in open(f'{a.data}/sst2/train.tsv', encoding='utf-8').read().split() if w.isalpha()]
        with open(f'{path}/fixed.tsv', 'w', encoding='utf-8') as f:  # words enough that every row is cut
            f.writelines(' '.join(words[i * 150:(i + 1) * 150]) + f'\t{i % 2}\n' for i in range(400))
    return path


def t5():
    """Returns the directory of a T5 with random weights, which also holds the pairs."""
    path = f'{a.models}/t5-random'
    if not os.path.exists(f'{path}/scitldr.jsonl'):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'seq2seq_bases.py')
        run([sys.executable, script, '--data', a.data, '--output-dir', a.models, '--only', 't5-random'])
    return path


def vit():
    """Returns the directory of a ViT-S/16 with random weights."""
    path = f'{a.models}/vit-random'
    if not os.path.exists(f'{path}/preprocessor_config.json'):
        import transformers
        names = sorted(os.listdir(f'{a.data}/clothing64/train'))
        config = transformers.ViTConfig(
            hidden_size=384, num_hidden_layers=12, num_attention_heads=6, intermediate_size=1536,
            id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)},
        )
        transformers.ViTForImageClassification(config).save_pretrained(path)
        transformers.ViTImageProcessorPil().save_pretrained(path)
    return path


def jfk():
    """Returns a file that names the same clip 64 times."""
    path = os.path.join(tempfile.mkdtemp(), 'jfk.jsonl')
    text = open(f'{a.data}/jfk/jfk.txt', encoding='utf-8').read().strip()
    row = json.dumps({'audio': os.path.abspath(f'{a.data}/jfk/jfk.wav'), 'text': text}) + '\n'
    with open(path, 'w', encoding='utf-8') as f:
        f.write(64 * row)
    return path


def workload():
    """Returns the flags of finetune that depend on the workload."""
    text = [
        'causal-lm', '--train-file', f'{a.data}/tinyshakespeare/input.txt', '--block-size', '256', '--batch-size', '4',
    ]
    if a.workload == 'gpt2-text':
        return text + ['--model', gpt2(), '--target-modules', 'c_attn']
    if a.workload == 'smollm2-text':
        return text + ['--model', f'{a.models}/SmolLM2-135M-Instruct', '--target-modules', 'q_proj,v_proj']
    if a.workload == 'vit-clothing':
        return ['image-classification', '--model', vit(), '--train-file', f'{a.data}/clothing64/train',
                '--target-modules', 'q_proj,v_proj', '--batch-size', '16']
    if a.workload == 'whisper-jfk':
        return ['speech-seq2seq', '--model', f'{a.models}/whisper-tiny.en', '--train-file', jfk(), '--target-modules',
                'q_proj,v_proj', '--batch-size', '4']
    if a.workload.startswith('t5-'):
        return ['seq2seq-lm', '--model', t5(), '--train-file', f'{t5()}/{a.workload[3:]}.jsonl', '--target-modules',
                'q,v', '--batch-size', '8', '--max-source-length', '1024', '--max-target-length', '128', '--no-shuffle']
    if a.workload.startswith('bertbase'):
        rows = f'{a.data}/sst2/train.tsv' if a.workload == 'bertbase-sst2' else f'{bert_base()}/fixed.tsv'
        return ['seq-cls', '--model', bert_base(), '--train-file', rows, '--no-header', '--no-quotes', '--text-column', '0',
                '--label-column', '1', '--target-modules', 'query,value', '--max-length', '128', '--batch-size',
                '16' if a.workload == 'bertbase-sst2' else '8']
    return ['seq-cls', '--model', f'{a.models}/all-MiniLM-L6-v2', '--train-file', f'{a.data}/sst2/train.tsv',
            '--no-header', '--no-quotes', '--text-column', '0',
            '--label-column', '1', '--target-modules', 'query,value,word_embeddings', '--batch-size', '32',
            '--max-length', '128']


def ours(tokens):
    """Returns tokens/s and memory. tokens are the numbers of tokens of the steps if both sides take the same rows."""
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, 'run')
        _, rss = run([a.finetune, *flags, '--lora-r', '8', '--lora-alpha', '32', '--lora-dropout',
                      '0.1', '--max-steps', str(a.warmup + a.steps),
                      '--learning-rate', '2e-4', '--lr-scheduler-type', 'constant', '--warmup-ratio', '0', '--threads',
                      str(a.threads), '--output-dir', out, '--quiet',
                      *shlex.split(a.finetune_flags)])
        steps = [s for s in map(json.loads, open(os.path.join(out, 'metrics.jsonl'))) if 'tokens_per_second' in s][
            a.warmup:
        ]
        # Without numbers, all steps count alike: batches have about the same number of tokens.
        tokens = tokens or [1] * len(steps)
        return sum(tokens) / sum(n / s['tokens_per_second'] for n, s in zip(tokens, steps, strict=True)), rss


def peft():
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'peft_bench.py')
    out, rss = run([sys.executable, script, a.workload, '--models', a.models, '--data', a.data, '--steps',
                    str(a.steps), '--warmup', str(a.warmup),
                    '--threads', str(a.threads), '--pad', a.pad, *shlex.split(a.peft_flags)])
    line = json.loads(out.strip().splitlines()[-1])
    return line['tokens_per_s'], rss, line['step_tokens']


flags = workload()
print(f'{"round":>5} {"ours tok/s":>11} {"PEFT tok/s":>11} {"ratio":>6} {"ours MiB":>9} {"PEFT MiB":>9}')
rows = []
for i in range(a.rounds):
    y, ym, tokens = peft()
    x, xm = ours(tokens)
    rows.append((x, y, x / y, xm, ym))
    print(f'{i + 1:5d} {x:11.0f} {y:11.0f} {x / y:6.2f} {xm:9.0f} {ym:9.0f}', flush=True)
m = [statistics.median(c) for c in zip(*rows)]
print(f'{"median":>5} {m[0]:10.0f} {m[1]:11.0f} {m[2]:6.2f} {m[3]:9.0f} {m[4]:9.0f}')
