#!/usr/bin/env python3
"""Compares the time that `predict speech-seq2seq` and other programs take for one clip, in turn: A B C A B C …

usage: compare_transcribe.py --predict BINARY --model DIR --clip FILE.wav [--ct2 DIR] [--ggml FILE] [--rounds 5]
                             [--beams 1] [--threads 2]

transformers   generate in float32
ct2            faster-whisper in float32 (--ct2: a directory with the same model for CTranslate2), without timestamps
ggml           whisper.cpp by pywhispercpp (--ggml: a file with the same model in F16; whisper_ggml.py writes it)

Ours is the whole process: start, opening the model, reading, transcribing, writing. The others are timed within one
process for each round, without starting Python and loading, from reading the clip to the text, and after one call that
is not counted. The texts of ours and transformers must be equal. Memory is the peak resident size of the whole process.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

ap = argparse.ArgumentParser(usage=__doc__)
ap.add_argument('--predict'); ap.add_argument('--model', required=True); ap.add_argument('--clip', required=True)
ap.add_argument('--ct2'); ap.add_argument('--ggml'); ap.add_argument('--rounds', type=int, default=5)
ap.add_argument('--beams', type=int, default=1); ap.add_argument('--threads', type=int, default=2)
ap.add_argument('--side', choices=['transformers', 'ct2', 'ggml'], help='only do a round of this side (used internally)')
a = ap.parse_args()


def transformers_call():
    import soundfile, torch, transformers
    torch.set_num_threads(a.threads)
    transformers.logging.set_verbosity_error()
    net = transformers.WhisperForConditionalGeneration.from_pretrained(a.model, dtype=torch.float32)
    extract = transformers.WhisperFeatureExtractor.from_pretrained(a.model)
    tok = transformers.AutoTokenizer.from_pretrained(a.model)

    def call():
        sound, rate = soundfile.read(a.clip, dtype='float32')
        features = extract(sound, sampling_rate=rate, return_tensors='pt').input_features
        with torch.no_grad():
            ids = net.generate(features, num_beams=a.beams, do_sample=False)
        return tok.decode(ids[0], skip_special_tokens=True)
    return call


def ct2_call():
    import faster_whisper
    net = faster_whisper.WhisperModel(a.ct2, device='cpu', compute_type='float32', cpu_threads=a.threads)

    def call():
        segments, _ = net.transcribe(
            a.clip, language='en', beam_size=a.beams, temperature=0.0, without_timestamps=True, vad_filter=False,
        )
        return ''.join(s.text for s in segments)
    return call


def ggml_call():
    import pywhispercpp.model
    sampling = {'params_sampling_strategy': 1} if a.beams > 1 else {}
    net = pywhispercpp.model.Model(a.ggml, n_threads=a.threads, print_progress=False, redirect_whispercpp_logs_to=None,
                                   **sampling)

    def call():
        return ''.join(' ' + s.text for s in net.transcribe(a.clip, no_timestamps=True, temperature_inc=0.0))
    return call


def measure(command):
    """Runs a command and returns its output, its time and its peak resident size in MiB."""
    began = time.perf_counter()
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = p.stdout.read().decode()
    _, status, usage = os.wait4(p.pid, 0)
    if status != 0:
        sys.exit(f'{" ".join(command)} failed with status {status}')
    return out, time.perf_counter() - began, usage.ru_maxrss / 1024


def ours():
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, 'out.jsonl')
        _, took, rss = measure([
            a.predict, 'speech-seq2seq', '--model', a.model, '--input', a.clip, '--output', out, '--num-beams',
            str(a.beams), '--threads', str(a.threads), '--quiet'])
        return json.loads(open(out, encoding='utf-8').readline())['text'], took, rss


def theirs(side):
    out, _, rss = measure([sys.executable, *sys.argv, '--side', side])
    line = json.loads(out.strip().splitlines()[-1])
    return line['text'], line['seconds'], rss


if a.side:
    call = {'transformers': transformers_call, 'ct2': ct2_call, 'ggml': ggml_call}[a.side]()
    call()
    took = []
    for _ in range(3):
        began = time.perf_counter()
        text = call()
        took.append(time.perf_counter() - began)
    print(json.dumps({'text': text, 'seconds': statistics.median(took)}))
    sys.exit()
sides = {'ours': ours, 'transformers': lambda: theirs('transformers')}
for name in ('ct2', 'ggml'):
    if getattr(a, name):
        sides[name] = lambda name=name: theirs(name)
print(f'{"round":>6}' + ''.join(f' {name:>12} {"MiB":>6}' for name in sides))
rounds, texts = [], {}
for i in range(a.rounds):
    row = []
    for name, side in sides.items():
        text, took, rss = side()
        texts[name] = ' '.join(text.split())
        row += [took, rss]
    rounds.append(row)
    print(f'{i + 1:6d}' + ''.join(f' {x:11.3f}s {m:6.0f}' for x, m in zip(row[::2], row[1::2])), flush=True)
m = [statistics.median(c) for c in zip(*rounds)]
print('median' + ''.join(f' {x:11.3f}s {r:6.0f}' for x, r in zip(m[::2], m[1::2])))
for name, text in texts.items():
    print(f'{name:>12} {m[2 * list(sides).index(name)] / m[0]:5.2f} × our time: {text}')
if texts["ours"] != texts["transformers"]:
    sys.exit('the texts differ')
