"""Image classification with transformers and PEFT: code that train_peft.py and the fixtures share."""
import csv
import gzip
import json
import pathlib

import numpy
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoModelForImageClassification


def read_rows(path, image="image", label="label"):
    """Returns rows of MNIST's IDX, a CSV (header line) or JSON Lines file as (image, label)."""
    path = pathlib.Path(path)
    if "idx3" in path.name:
        return read_idx(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.suffix in (".jsonl", ".json"):
            records = [json.loads(line) for line in file if line.strip()]
        else:
            records = list(csv.DictReader(file))
    return [(path.parent / r[image], r[label]) for r in records]


def read_idx(path):
    """Returns the grey images and labels of a file in MNIST's format, with that of the labels beside it."""
    def content(p):
        return gzip.open(p).read() if p.suffix == ".gz" else p.read_bytes()

    data = content(path)
    n, height, width = (int.from_bytes(data[4 * i:4 * i + 4], "big") for i in (1, 2, 3))
    pixels = numpy.frombuffer(data, numpy.uint8, offset=16).reshape(n, height, width)
    labels = content(path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1")))[8:]
    return [(Image.fromarray(m), str(y)) for m, y in zip(pixels, labels, strict=True)]


def load(image, channels):
    """Returns an image as the reference reads it: upright, in colours or grey."""
    if not isinstance(image, Image.Image):
        image = ImageOps.exif_transpose(Image.open(image))
    return image.convert("RGB" if channels == 3 else "L")


class ImageClassification:
    """Loss: cross entropy, mean over rows. Score: accuracy."""
    lora = {}
    head = ["classifier"]

    @staticmethod
    def flags(p):
        p.add_argument("--image-column", default="image")

    def __init__(self, a, tokenizer, names):
        config = json.loads((pathlib.Path(a.model) / "config.json").read_text())
        self.channels = config.get("num_channels", 3)
        self.processor = AutoImageProcessor.from_pretrained(a.model, backend="pil")
        self.rows = read_rows(a.train_file, a.image_column, a.label_column)[:a.max_train_samples]
        self.names = names or sorted({r[1] for r in self.rows})
        self.labels = torch.tensor([self.names.index(r[1]) for r in self.rows])
        self.lengths = self.tokens = [1] * len(self.rows)
        self.test = read_rows(a.test_file, a.image_column, a.label_column) if a.test_file else []
        self.labels_file = {"problem_type": "single_label_classification", "labels": self.names}

    def base(self, a):
        options = {"num_labels": len(self.names), "ignore_mismatched_sizes": True}
        if a.dropout is not None:
            options.update(hidden_dropout_prob=a.dropout, attention_probs_dropout_prob=a.dropout)
        return AutoModelForImageClassification.from_pretrained(a.model, dtype=torch.float32, **options)

    def pixels(self, rows):
        """Returns what the model sees of images."""
        images = [numpy.asarray(load(r[0], self.channels)) for r in rows]
        if self.channels == 1:
            images = [m[None] for m in images]
            return self.processor(images, return_tensors="pt", input_data_format="channels_first")["pixel_values"]
        return self.processor(images, return_tensors="pt")["pixel_values"]

    def targets(self, rows):
        return len(rows)

    def loss(self, model, rows, smoothing):
        logits = model(pixel_values=self.pixels([self.rows[i] for i in rows]).to(model.dtype)).logits
        return F.cross_entropy(logits, self.labels[rows], reduction="sum", label_smoothing=smoothing)

    @torch.no_grad()
    def evaluate(self, model):
        """Returns scores, and for each row its label and logits."""
        model.eval()
        logits = torch.cat([model(pixel_values=self.pixels(self.test[i:i + 64]).to(model.dtype)).logits
                            for i in range(0, len(self.test), 64)])
        gold = torch.tensor([self.names.index(r[1]) for r in self.test])
        accuracy = (logits.argmax(1) == gold).float().mean().item()
        return {"accuracy": accuracy, "loss": F.cross_entropy(logits, gold).item()}, \
            [{"label": self.names[int(row.argmax())], "logits": row.tolist()} for row in logits]
