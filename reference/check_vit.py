"""Compares logits of the embedded ViT on the embedded test digits with transformers.

    predict image-classification --input embedded/mnist/test-images-idx3-ubyte.gz --no-labels --logits --output OUT
    python reference/check_vit.py OUT
"""

import gzip
import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

torch.set_num_threads(1)
embedded = pathlib.Path(__file__).parent.parent / "embedded"
ours = np.array([json.loads(line)["logits"] for line in open(sys.argv[1])])
data = gzip.decompress((embedded / "mnist/test-images-idx3-ubyte.gz").read_bytes())[16:]
digits = [Image.fromarray(d).convert("RGB") for d in np.frombuffer(data, np.uint8).reshape(-1, 28, 28)]
processor = AutoImageProcessor.from_pretrained(embedded / "vit", backend="pil")
model = AutoModelForImageClassification.from_pretrained(embedded / "vit", dtype=torch.float32).eval()
with torch.no_grad():
    theirs = np.concatenate([
        model(**processor(images=digits[i : i + 200], return_tensors="pt")).logits.numpy()
        for i in range(0, len(digits), 200)
    ])
worst = np.abs(ours - theirs).max()
print(f"{len(digits)} images: largest difference {worst:.2g}, largest logit {np.abs(theirs).max():.3g}")
sys.exit(not worst <= 1e-4 * np.abs(theirs).max())
