"""Recordings with transcripts for Whisper: what train_peft.py needs to train it as `finetune speech-seq2seq` does."""
import json
import pathlib

import soundfile
import torch
import torchaudio.functional
import transformers
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration


FILTER = dict(  # that of audio.Clip.Resample
    lowpass_filter_width=64, rolloff=0.9475937167399596, resampling_method="sinc_interp_kaiser",
    beta=14.769656459379492)


class SpeechSeq2Seq:
    """Loss: cross entropy of the transcript's tokens as the usual recipe has them, mean over tokens.

    Files are JSON Lines with audio or file_name, relative to the file, and text. The checkpoint is an English-only one."""
    lora = {"task_type": None}
    head = []

    @staticmethod
    def flags(p):
        p.add_argument("--max-new-tokens", type=int, default=32, help="of the transcripts of --test-file")

    def __init__(self, a, tokenizer, names):
        generation = json.loads((pathlib.Path(a.model) / "generation_config.json").read_text("utf-8"))
        ends = [generation["no_timestamps_token_id"]], [generation["eos_token_id"]]
        extractor = WhisperFeatureExtractor.from_pretrained(a.model)

        def read(path):
            rows = []
            for line in pathlib.Path(path).read_text("utf-8").splitlines():
                row = json.loads(line)
                name = pathlib.Path(path).parent / (row.get("audio") or row["file_name"])
                samples, rate = soundfile.read(name, dtype="float32")
                samples = torchaudio.functional.resample(
                    torch.from_numpy(samples), rate, extractor.sampling_rate, **FILTER)
                x = extractor(samples.numpy(), sampling_rate=extractor.sampling_rate, return_tensors="pt")
                ids = tokenizer(row["text"], add_special_tokens=False)["input_ids"]
                rows.append((x.input_features[0], ends[0] + ids + ends[1]))
            return rows

        self.tokenizer, self.limit = tokenizer, a.max_new_tokens
        self.train = read(a.train_file)[:a.max_train_samples]
        self.test = read(a.test_file) if a.test_file else []
        self.lengths = self.tokens = [x.shape[-1] + len(labels) for x, labels in self.train]
        self.labels_file = None

    def base(self, a):
        config = transformers.AutoConfig.from_pretrained(a.model)
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            if a.dropout is not None:
                setattr(config, name, a.dropout)
        return WhisperForConditionalGeneration.from_pretrained(a.model, config=config, dtype=torch.float32)

    def targets(self, rows):
        return sum(len(self.train[i][1]) for i in rows)

    def loss(self, model, rows, smoothing):
        return loss_sum(model, [self.train[i] for i in rows], smoothing)

    @torch.no_grad()
    def evaluate(self, model):
        """Returns the mean loss of the transcripts' tokens, and for each row the tokens that the model writes."""
        model.eval()
        total, rows = 0.0, []
        for x, labels in self.test:
            total += loss_sum(model, [(x, labels)]).item()
            ids = model.generate(input_features=x[None], max_new_tokens=self.limit, do_sample=False)[0].tolist()
            rows.append({"tokens": ids, "text": self.tokenizer.decode(ids, skip_special_tokens=True)})
        return {"loss": total / sum(len(labels) for _, labels in self.test)}, rows


def loss_sum(model, rows, smoothing=0.0):
    longest = max(len(labels) for _, labels in rows)
    padded = torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in rows])
    logits = model(input_features=torch.stack([x for x, _ in rows]), labels=padded).logits
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), padded.flatten(), ignore_index=-100, label_smoothing=smoothing, reduction="sum",
    )
