"""Writes what the embedded ViT learns from: characters of Omniglot that look like MNIST's digits.

    python reference/vit_corpus.py images_background_small1.zip OUT    # of brendenlake/omniglot

OUT/train.zip and OUT/heldout.zip have class folders of PNG files of 28 x 28 grey pixels, OUT/vit config.json and
preprocessor_config.json of the model. A class is a character at one of four quarter turns. Every drawing but those of
the last two of a character's twenty drawers appears VARIANTS times, each a little rotated, sheared, stretched and with
another thickness; strokes are white on black, fit a box of 20 x 20 and have their centre of mass in the middle, as in
MNIST.
"""

import io
import json
import math
import pathlib
import random
import sys
import zipfile

import numpy as np
from PIL import Image, ImageFilter

VARIANTS = 3
source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
rng = random.Random(1)


def changed(ink, strength):
    """Rotates, shears and stretches white ink on black around the middle of the image."""
    a, shear = math.radians(rng.uniform(-12, 12)) * strength, rng.uniform(-0.25, 0.25) * strength
    sx, sy = (1 + rng.uniform(-0.2, 0.2) * strength for _ in range(2))
    m = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    m = m @ np.array([[1, shear], [0, 1]]) @ np.diag([sx, sy])
    middle = np.array([ink.width / 2, ink.height / 2])
    x, y = middle - m @ middle
    return ink.transform(ink.size, Image.Transform.AFFINE, (*m[0], x, *m[1], y), Image.Resampling.BILINEAR)


def digit_like(ink, thickness):
    """Thickens the strokes to a share of the character's size, and fits it into MNIST's frame."""
    ink = ink.crop(ink.getbbox())
    size = max(ink.size)
    radius = max(0, round((thickness * size - 3) / 2))  # Omniglot's strokes have about three pixels
    padded = Image.new("L", (ink.width + 2 * radius + 2, ink.height + 2 * radius + 2))
    padded.paste(ink, (radius + 1, radius + 1))
    if radius:
        padded = padded.filter(ImageFilter.MaxFilter(2 * radius + 1)).filter(ImageFilter.GaussianBlur(1))
    padded = padded.crop(padded.getbbox())
    scale = 20 / max(padded.size)
    shape = [max(1, round(n * scale)) for n in padded.size]
    small = np.asarray(padded.resize(shape, Image.Resampling.BOX), np.float32)
    ys, xs = np.indices(small.shape)
    x, y = (round(13.5 - float((c * small).sum() / small.sum())) for c in (xs, ys))
    x, y = min(max(x, 0), 28 - shape[0]), min(max(y, 0), 28 - shape[1])
    to = Image.new("L", (28, 28))
    to.paste(Image.fromarray(np.clip(small * 1.15, 0, 255).astype(np.uint8)), (x, y))
    return to


def add(archive, name, image):
    png = io.BytesIO()
    image.save(png, "PNG")
    archive.writestr(zipfile.ZipInfo(name), png.getvalue())


def main():
    (out / "vit").mkdir(parents=True, exist_ok=True)
    counts = {"train": 0, "heldout": 0}
    with (
        zipfile.ZipFile(source) as drawings,
        zipfile.ZipFile(out / "train.zip", "w") as train,
        zipfile.ZipFile(out / "heldout.zip", "w") as heldout,
    ):
        for name in sorted(n for n in drawings.namelist() if n.endswith(".png") and "__MACOSX" not in n):
            alphabet, character, file = pathlib.PurePosixPath(name).parts[-3:]
            drawer = int(file.split("_")[1].split(".")[0])
            drawn = Image.open(io.BytesIO(drawings.read(name))).convert("L").point(lambda v: 255 - v)
            for turn in range(4):
                turned = drawn.rotate(90 * turn)
                label = f"{alphabet}-{character}-{90 * turn}"
                if drawer > 18:
                    add(heldout, f"{label}/{file}", digit_like(turned, 0.13))
                    counts["heldout"] += 1
                    continue
                for variant in range(VARIANTS):
                    image = digit_like(changed(turned, 1 if variant else 0), rng.uniform(0.09, 0.18))
                    add(train, f"{label}/{variant}-{file}", image)
                    counts["train"] += 1
    print(counts)
    config = {
        "architectures": ["ViTForImageClassification"], "attention_probs_dropout_prob": 0.0, "encoder_stride": 7,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "hidden_size": 128, "image_size": 28,
        "initializer_range": 0.06, "intermediate_size": 384, "layer_norm_eps": 1e-12, "model_type": "vit",
        "num_attention_heads": 4, "num_channels": 3, "num_hidden_layers": 6, "patch_size": 7, "qkv_bias": True,
    }
    processor = {
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.15] * 3,
        "image_processor_type": "ViTImageProcessor", "image_std": [0.3] * 3, "resample": 2,
        "rescale_factor": 1 / 255, "size": {"height": 28, "width": 28},
    }
    for name, value in (("config.json", config), ("preprocessor_config.json", processor)):
        (out / "vit" / name).write_text(json.dumps(value, indent=2) + "\n")


main()
