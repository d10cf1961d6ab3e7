"""Writes vision/testdata/processor.json.gz: what transformers' image processors make of images.

    python reference/image_processor_fixture.py

Each case has the text of preprocessor_config.json, which AutoImageProcessor reads beside a config.json, and for some
images (drawn by pillow_fixture.py's formula) the shape, the SHA-256 and the first values of the pixels as float32.
"""

import hashlib
import json
import tempfile

import numpy as np
import PIL
import transformers
from PIL import Image
from transformers import AutoImageProcessor

from pillow_fixture import OUT, drawn, write

assert PIL.__version__ == "13.0.0" and transformers.__version__ == "5.23.0", (PIL.__version__, transformers.__version__)

HALF = [0.5, 0.5, 0.5]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# config, model_type, channels
CASES = [
    ({"do_normalize": True, "do_resize": True, "image_mean": HALF, "image_std": HALF, "size": 224}, "vit", 3),
    ({"do_normalize": True, "do_resize": True, "image_mean": MEAN, "image_std": STD, "resample": 2, "size": 32,
      "feature_extractor_type": "ViTFeatureExtractor"}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "size": {"height": 24, "width": 40}, "resample": 3,
      "do_rescale": True, "rescale_factor": 0.00392156862745098}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessorFast", "size": {"height": 33, "width": 33}, "resample": 1,
      "image_mean": 0.25, "image_std": 0.3, "crop_size": None, "do_center_crop": None, "data_format": "channels_first",
      "default_to_square": True, "device": None, "disable_grouping": None, "do_convert_rgb": None, "do_pad": None,
      "input_data_format": None, "pad_size": None, "return_tensors": None, "image_seq_length": None}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "size": [20, 30], "do_normalize": False}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "size": 30, "do_rescale": False, "image_mean": [120, 110, 100],
      "image_std": [60, 50.5, 70]}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "do_resize": False, "do_rescale": False, "do_normalize": False}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "do_resize": False, "rescale_factor": 0.00784313725490196,
      "do_normalize": False}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "size": {"shortest_edge": 37}}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "size": 29, "default_to_square": False, "resample": 0}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "size": {"shortest_edge": 50, "longest_edge": 61}}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "size": {"max_height": 40, "max_width": 60}, "resample": 4}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "size": 64, "do_center_crop": True, "crop_size": 49}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "do_resize": False, "do_center_crop": True,
      "crop_size": {"height": 75, "width": 50}}, "vit", 3),
    ({"image_processor_type": "ViTImageProcessor", "do_resize": False, "do_center_crop": True, "crop_size": [50, 81]},
     "vit", 3),
    ({"size": 28, "image_mean": [0.5], "image_std": [0.5], "image_processor_type": "ViTImageProcessor"}, "vit", 1),
    ({"size": 28, "image_mean": 0.1307, "image_std": 0.3081, "do_center_crop": True, "crop_size": 32}, "vit", 1),
    ({}, "deit", 3),
    ({"crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
      "feature_extractor_type": "DeiTFeatureExtractor", "image_mean": MEAN, "image_std": STD, "resample": 3, "size": 256},
     "deit", 3),
    ({"image_processor_type": "DeiTImageProcessor", "size": 40, "crop_size": 36, "image_mean": MEAN, "image_std": STD},
     "vit", 3),
    ({"image_processor_type": "BitImageProcessor", "size": 60, "crop_size": 48, "resample": 3, "do_convert_rgb": True},
     "vit", 3),
    ({"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}, "image_mean": MEAN, "image_std": STD},
     "vit", 3),
]
SIZES = [(61, 47), (30, 200), (32, 32), (300, 221), (1, 5)]


def main():
    cases = []
    for config, model_type, channels in CASES:
        with tempfile.TemporaryDirectory() as directory:
            for name, text in ("preprocessor_config.json", config), ("config.json", {"model_type": model_type}):
                with open(f"{directory}/{name}", "w") as f:
                    json.dump(text, f)
            processor = AutoImageProcessor.from_pretrained(directory)
        images = []
        for i, (w, h) in enumerate(SIZES):
            image = Image.fromarray(drawn(i, i % 3, h, w, 3))
            if channels == 1:
                image = image.convert("L")
            values = processor(image, return_tensors="np")["pixel_values"][0].astype(np.float32)
            images.append({"seed": i, "kind": i % 3, "size": [w, h], "shape": list(values.shape),
                           "first": [float(v) for v in values.ravel()[:8]],
                           "sha256": hashlib.sha256(values.tobytes()).hexdigest()})
        cases.append({"config": config, "model_type": model_type, "channels": channels, "class": type(processor).__name__,
                      "images": images})
    write("processor.json.gz", cases)
    print(len(cases), "cases in", OUT)


if __name__ == "__main__":
    main()
