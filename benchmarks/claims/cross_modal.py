"""Cross-modal distillation: students of spoken digits learn from a teacher of the images paired with the recordings.

python -m benchmarks.claims.cross_modal --speech recordings --images MNIST [--takes 40 4] [--seeds 0 1 2]
python -m benchmarks.claims.cross_modal --speech recordings --quick       the built-in digits as images, one seed

Every recording is paired, by a seed, with an image of the same digit that the teacher was not trained on. The teacher's
outputs for the images are stored, and a student of speech learns from them as from outputs for its own samples:
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
METHODS = {"taught": 0.1, "answers alone": 0.0}
"""The share of the labels in the loss of each method."""


def log_mel(file: Path) -> np.ndarray:
    """Return the log-mel energies of a recording, (1, frames, bands) float32; silence is 0."""
    with wave.open(str(file)) as stream:
        samples = np.frombuffer(stream.readframes(LENGTH), "<i2").astype(np.float64) / 2**15
    samples = np.pad(samples, (0, LENGTH - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    return np.log1p(100 * power @ mel().T)[None].astype(np.float32)


def mel() -> np.ndarray:
    """Return triangular filters, evenly spaced on the mel scale from 60 Hz, (bands, frequencies)."""
    ends = 2595 * np.log10(1 + np.array([60, RATE / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(*ends, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


def speech(folder: Path, takes: int) -> dict[str, np.ndarray]:
    """Return the arrays of an npz data set with `takes` training samples for each speaker and digit."""
    arrays: dict[str, list[Any]] = {f"{kind}_{part}": [] for kind in "xy" for part in PARTS}
    for file in sorted(folder.glob("?_*_*.wav")):
        digit, _, take = file.stem.split("_")
        part = next(part for part, takes_of_part in PARTS.items() if int(take) in takes_of_part)
        if part == "train" and int(take) >= 10 + takes:
            continue
        arrays[f"x_{part}"].append(log_mel(file))
        arrays[f"y_{part}"].append(int(digit))
    return {name: np.array(values) for name, values in arrays.items()}


def pair_images(y: np.ndarray, images: Split, seed: int) -> Split:
    """Return a random image of its class for each label."""
    chance = np.random.default_rng(seed)
    indices = np.empty(len(y), np.int64)
    for digit in np.unique(y):
        indices[y == digit] = chance.choice(np.flatnonzero(images.y == digit), (y == digit).sum())
    return Split(images.x[indices], images.y[indices])


def run(images: dict[str, Any], sound: dict[str, np.ndarray], seed: int, epochs: int, store: Path) -> None:
    """Train a teacher of images, store its outputs, and train the students of one seed."""
    training = {"epochs": 3, "precision": "bf16"} if images["name"] == "idx" else {"epochs": 15}
    artifacts = distill(
        {"seed": seed, "data": images, "teacher": {"model": "resnet8", **training}}, store, last="teacher"
    )
    network, _ = blueprint.load(artifacts["teacher"].folder / "model")
    image_splits = Splits.load(artifacts["data"].folder)
    answers = {
        prefix: answers_of(network, pair_images(sound[f"y_{part}"], image_splits.test, seed), image_splits)
        for prefix, part in (("logits", "train"), ("validation_logits", "val"), ("test_logits", "test"))
    }
    with tempfile.TemporaryDirectory() as folder:
        data, answers_file = Path(folder) / "speech.npz", Path(folder) / "answers.npz"
        np.savez(data, **sound, classes=np.arange(10).astype(str))
        np.savez(answers_file, **answers)
        for method, hard in METHODS.items():
            distill_settings = {
                "epochs": epochs, "losses": [{"name": "logits", "temperature": 4.0, "hard": hard}],
                "baseline": method == "taught",
            }  # fmt: skip
            settings = {
                "seed": seed, "data": {"name": "npz", "root": str(data), "augment": {"shift": 2}},
                "teacher": {"answers": str(answers_file)}, "student": {"model": "dscnn", "width": 32},
                "distill": distill_settings,
            }  # fmt: skip
            metrics = distill(settings, store)["distill"].metrics
            for name, accuracy in ((method, metrics["score"]), ("labels alone", metrics["baseline_score"])):
                if accuracy is not None:
                    row = {"student": name, "seed": seed, "samples": len(sound["y_train"]), "images": images["name"]}
                    teacher_accuracy = round(artifacts["teacher"].metrics["score"], 2)
                    row |= {"teacher_accuracy": teacher_accuracy, "accuracy": round(accuracy, 2)}
                    append("cross_modal", row, keep=images["name"] == "idx")


def main() -> None:
    """Train the students for each number of takes and each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True, help="FSDD's recordings, {digit}_{speaker}_{take}.wav")
    parser.add_argument("--images", type=Path, help="MNIST's idx files")
    parser.add_argument("--takes", type=int, nargs="+", default=[40, 4], help="of 40 for training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if not arguments.images and not arguments.quick:
        parser.error("--images DIR, or --quick for the built-in digits")
    images = {"name": "digits"} if arguments.quick else {"name": "idx", "root": str(arguments.images.resolve())}
    with tempfile.TemporaryDirectory() as store:
        for takes in arguments.takes[-1:] if arguments.quick else arguments.takes:
            sound = speech(arguments.speech, takes)
            for seed in arguments.seeds[:1] if arguments.quick else arguments.seeds:
                # With fewer samples there are more epochs, so that the steps stay as many.
                run(images, sound, seed, 40 if arguments.quick else 30 * 40 // takes, Path(store))


if __name__ == "__main__":
    main()
