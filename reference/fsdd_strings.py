"""Writes embedded/fsdd/train and test: strings of digits, joined from single spoken ones.

    python reference/fsdd_strings.py DIR    # with fsdd's train and test, files digit_speaker_index.wav

The recordings of jackson, nicolas and yweweler in DIR/train are to train on: every clip is in one string of three to
six digits. Those of theo, in DIR/train and DIR/test, are to test on: every clip is in one string of five. Between two
digits, and at both ends, there is a tenth of a second of silence. A folder has the strings as FLAC (8 kHz, 16 bit,
mono, without loss) and metadata.jsonl with their texts.
"""

import json
import pathlib
import random
import shutil
import sys

import numpy as np
import soundfile

HELD_OUT = "theo"
to = pathlib.Path(__file__).parent.parent / "embedded/fsdd"
source = pathlib.Path(sys.argv[1])


def strings(clips, lengths, rng):
    rng.shuffle(clips)
    while clips:
        n = min(rng.choice(lengths), len(clips))
        yield clips[:n]
        clips = clips[n:]


def joined(clips):
    gap = np.zeros(800, np.int16)
    parts = [gap]
    for clip in clips:
        samples, rate = soundfile.read(clip, dtype="int16")
        assert rate == 8000 and samples.ndim == 1, clip
        parts += [samples, gap]
    return np.concatenate(parts)


def write(name, groups, lengths):
    rng, rows, folder = random.Random(1), [], to / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for clips in groups:  # a speaker's strings stay his own
        for string in strings(clips, lengths, rng):
            file = f"{len(rows):03}.flac"
            soundfile.write(folder / file, joined(string), 8000, format="FLAC", subtype="PCM_16")
            rows.append(json.dumps({"file_name": file, "text": " ".join(clip.name[0] for clip in string)}))
    (folder / "metadata.jsonl").write_text("".join(row + "\n" for row in rows))
    print(name, len(rows), "strings,", sum(f.stat().st_size for f in folder.iterdir()), "bytes")


def clips(speaker, *parts):
    return sorted(clip for part in parts for clip in (source / part).glob(f"*_{speaker}_*.wav"))


write("train", [clips(s, "train") for s in ("jackson", "nicolas", "yweweler")], [3, 4, 5, 6])
write("test", [clips(HELD_OUT, "train", "test")], [5])
