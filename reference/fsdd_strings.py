"""Writes embedded/fsdd/train.zip and test.zip: strings of digits, joined from single spoken ones.

    python reference/fsdd_strings.py DIR    # with fsdd's train and test, files digit_speaker_index.wav

The recordings of jackson, nicolas and yweweler in DIR/train are to train on: every clip is in one string of three to
six digits. Those of theo, in DIR/train and DIR/test, are to test on: every clip is in one string of five. Between two
digits, and at both ends, there is a tenth of a second of silence. A zip file has the strings as FLAC (8 kHz, 16 bit,
mono, without loss) and metadata.jsonl with their texts.
"""

import io
import json
import pathlib
import random
import sys
import zipfile

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
    rng, rows, files = random.Random(1), [], {}
    for clips in groups:  # a speaker's strings stay his own
        for string in strings(clips, lengths, rng):
            file = f"{len(rows):03}.flac"
            sound = io.BytesIO()
            soundfile.write(sound, joined(string), 8000, format="FLAC", subtype="PCM_16")
            files[file] = sound.getvalue()
            rows.append(json.dumps({"file_name": file, "text": " ".join(clip.name[0] for clip in string)}))
    with zipfile.ZipFile(to / name, "w") as z:  # the date is the earliest one, so that the bytes are the same again
        z.writestr(zipfile.ZipInfo("metadata.jsonl"), "".join(row + "\n" for row in rows))
        for file, content in files.items():
            z.writestr(zipfile.ZipInfo(file), content)
    print(name, len(rows), "strings,", (to / name).stat().st_size, "bytes")


def clips(speaker, *parts):
    return sorted(clip for part in parts for clip in (source / part).glob(f"*_{speaker}_*.wav"))


to.mkdir(exist_ok=True)
write("train.zip", [clips(s, "train") for s in ("jackson", "nicolas", "yweweler")], [3, 4, 5, 6])
write("test.zip", [clips(HELD_OUT, "train", "test")], [5])
