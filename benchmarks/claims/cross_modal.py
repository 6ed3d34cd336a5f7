"""Spoken digits under a teacher who sees: it answers for the images that the recordings are paired with.

python -m benchmarks.claims.cross_modal --speech recordings --images MNIST [--takes 40 4] [--seeds 0 1 2]
python -m benchmarks.claims.cross_modal --speech recordings --quick       the built-in digits as images, one seed

Every recording is paired, by a seed, with an image of the same digit that the teacher was not trained on. The teacher's
answers to the images are stored, and a student of speech learns from them as it would from those to its own samples:
`taught` with a tenth of labels, `answers alone` without any but those that made the pairs, `labels alone` without a
teacher. FSDD's own split: takes 0-4 of each speaker and digit are the test set; 5-9 serve for validation. Writes
results/cross_modal.csv, a row a student; --quick prints them instead.
"""

import argparse
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.first_stages import distill
from benchmarks.support.record import append
from edgekd.data.splits import Split, Splits
from edgekd.nn import blueprint
from edgekd.training.evaluate import answers_of

RATE, LENGTH, WINDOW, HOP, BANDS = 8000, 6400, 256, 128, 20  # 0.8 s, in 49 frames of 32 ms
PARTS = {"test": range(5), "val": range(5, 10), "train": range(10, 50)}
WAYS = {"taught": 0.1, "answers alone": 0.0}
"""Name -> share of the labels in the loss."""


def heard(file: Path) -> np.ndarray:
    """Log-mel energies of a recording, (1, frames, bands) float32; silence is 0."""
    with wave.open(str(file)) as opened:
        samples = np.frombuffer(opened.readframes(LENGTH), "<i2").astype(np.float64) / 2**15
    samples = np.pad(samples, (0, LENGTH - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    return np.log1p(100 * power @ mel().T)[None].astype(np.float32)


def mel() -> np.ndarray:
    """Triangles over the spectrum, evenly apart on the mel scale from 60 Hz, (bands, frequencies)."""
    ends = 2595 * np.log10(1 + np.array([60, RATE / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(*ends, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


def speech(folder: Path, takes: int) -> dict[str, np.ndarray]:
    """Arrays as the npz data set has them; `takes` of each speaker and digit are left for training."""
    arrays: dict[str, list[Any]] = {f"{kind}_{part}": [] for kind in "xy" for part in PARTS}
    for file in sorted(folder.glob("?_*_*.wav")):
        digit, _, take = file.stem.split("_")
        part = next(part for part, within in PARTS.items() if int(take) in within)
        if part == "train" and int(take) >= 10 + takes:
            continue
        arrays[f"x_{part}"].append(heard(file))
        arrays[f"y_{part}"].append(int(digit))
    return {name: np.array(found) for name, found in arrays.items()}


def paired(y: np.ndarray, images: Split, seed: int) -> Split:
    """For each label an image that shows it."""
    chance = np.random.default_rng(seed)
    chosen = np.empty(len(y), np.int64)
    for digit in np.unique(y):
        chosen[y == digit] = chance.choice(np.flatnonzero(images.y == digit), (y == digit).sum())
    return Split(images.x[chosen], images.y[chosen])


def run(images: dict[str, Any], sound: dict[str, np.ndarray], seed: int, epochs: int, store: Path) -> None:
    """A teacher of images, its answers, and the students of one seed."""
    training = {"epochs": 3, "precision": "bf16"} if images["name"] == "idx" else {"epochs": 15}
    eye = distill({"seed": seed, "data": images, "teacher": {"model": "resnet8", **training}}, store, last="teacher")
    network, _ = blueprint.load(eye["teacher"].folder / "model")
    seen = Splits.load(eye["data"].folder)
    answers = {
        prefix: answers_of(network, paired(sound[f"y_{part}"], seen.test, seed), seen)
        for prefix, part in (("logits", "train"), ("validation_logits", "val"), ("test_logits", "test"))
    }
    with tempfile.TemporaryDirectory() as folder:
        data, told = Path(folder) / "speech.npz", Path(folder) / "answers.npz"
        np.savez(data, **sound, classes=np.arange(10).astype(str))
        np.savez(told, **answers)
        for way, hard in WAYS.items():
            asked = {
                "epochs": epochs, "losses": [{"name": "logits", "temperature": 4.0, "hard": hard}],
                "baseline": way == "taught",
            }  # fmt: skip
            settings = {
                "seed": seed, "data": {"name": "npz", "root": str(data), "augment": {"shift": 2}},
                "teacher": {"answers": str(told)}, "student": {"model": "dscnn", "width": 32}, "distill": asked,
            }  # fmt: skip
            found = distill(settings, store)["distill"].metrics
            for name, accuracy in ((way, found["score"]), ("labels alone", found["baseline_score"])):
                if accuracy is not None:
                    row = {"student": name, "seed": seed, "samples": len(sound["y_train"]), "images": images["name"]}
                    by = round(eye["teacher"].metrics["score"], 2)
                    row |= {"teacher_accuracy": by, "accuracy": round(accuracy, 2)}
                    append("cross_modal", row, keep=images["name"] == "idx")


def main() -> None:
    """Each number of takes with each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True, help="FSDD's recordings, {digit}_{speaker}_{take}.wav")
    parser.add_argument("--images", type=Path, help="MNIST's idx files")
    parser.add_argument("--takes", type=int, nargs="+", default=[40, 4], help="of 40 for training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    if not asked.images and not asked.quick:
        parser.error("--images DIR, or --quick for the built-in digits")
    images = {"name": "digits"} if asked.quick else {"name": "idx", "root": str(asked.images.resolve())}
    with tempfile.TemporaryDirectory() as store:
        for takes in asked.takes[-1:] if asked.quick else asked.takes:
            sound = speech(asked.speech, takes)
            for seed in asked.seeds[:1] if asked.quick else asked.seeds:
                # Fewer samples, as many steps.
                run(images, sound, seed, 40 if asked.quick else 30 * 40 // takes, Path(store))


if __name__ == "__main__":
    main()
