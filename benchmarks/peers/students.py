"""The trained students of the comparison: each made once, from labels alone, and kept in a folder of its own."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.config import Augment, Compute, Config, Data, Training
from edgekd.data.splits import Splits
from edgekd.nn import blueprint
from edgekd.nn.checkpoint import load_checkpoint
from edgekd.stages.data import examine
from edgekd.stages.teacher import train
from edgekd.training.evaluate import scores

TEST_SPEAKERS, VALIDATION_SPEAKERS = 0.2, 0.1


@dataclass(frozen=True)
class Recipe:
    """Attributes:
    data: "cifar10", "speech" or "digits"; the first two lie where the command line says.
    model, options: of the catalog.
    training: from labels alone.
    quantize: calibration and quantisation-aware training, the same for every tool.
    """

    data: str
    model: str
    options: dict[str, Any]
    training: Training
    quantize: dict[str, Any]


DATA: dict[str, dict[str, Any]] = {
    "cifar10": {
        "name": "cifar10",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "augment": Augment(shift=4, flip=True),
    },
    "speech": {"name": "npz", "augment": Augment()},
    "digits": {"name": "digits", "augment": Augment(shift=1)},
}
IMAGES = Training(epochs=20, batch_size=128, precision="bf16")
SPEECH = Training(epochs=25, learning_rate=0.05)
QUICK = Training(epochs=16, learning_rate=0.05)
# As configs/int8_*.toml has them.
QUANTIZE_IMAGES = {"epochs": 2, "batch_size": 128, "learning_rate": 2e-4, "calibration": 1024}
QUANTIZE_SPEECH = {"epochs": 10, "learning_rate": 2e-4, "calibration": 1024}
QUANTIZE_QUICK = {"epochs": 2}
RECIPES = {
    "resnet8": Recipe("cifar10", "resnet8", {}, IMAGES, QUANTIZE_IMAGES),
    "dscnn": Recipe("speech", "dscnn", {"dropout": 0.2}, SPEECH, QUANTIZE_SPEECH),
    "mobilenetv2": Recipe("cifar10", "mobilenetv2", {"width": 0.5, "small": False}, IMAGES, QUANTIZE_IMAGES),
}
# Worth its time with a checkpoint: --student resnet20=resnet20-12fca82f.th
ON_DEMAND = {"resnet20": Recipe("cifar10", "resnet20", {}, IMAGES, QUANTIZE_IMAGES)}
QUICK_RECIPES = {
    "resnet8-digits": Recipe("digits", "resnet8", {"width": 8}, QUICK, QUANTIZE_QUICK),
    "mobilenetv2-digits": Recipe("digits", "mobilenetv2", {"width": 0.35}, QUICK, QUANTIZE_QUICK),
    "dscnn-digits": Recipe("digits", "dscnn", {"width": 16, "blocks": 2}, QUICK, QUANTIZE_QUICK),
}


def prepare(name: str, recipe: Recipe, root: Path | None, given: Path | None, folder: Path) -> None:
    """Leave `data/` and `model/` in `folder`, unless they are there; a killed training goes on at its last epoch."""
    if not (folder / "data").exists():
        _publish(folder / "data", lambda unfinished: _splits(recipe, root).save(unfinished))
    if given is not None:
        shutil.rmtree(folder / "model", ignore_errors=True)
        _publish(folder / "model", lambda unfinished: _adopt(recipe, folder, given, unfinished))
    if not (folder / "model").exists():
        _publish(folder / "model", lambda unfinished: _train(name, recipe, folder, unfinished))


def _publish(folder: Path, make: Callable[[Path], object]) -> None:
    """Make a folder beside its place, so that what stands there is whole."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    make(unfinished)
    unfinished.rename(folder)


def _adopt(recipe: Recipe, folder: Path, given: Path, out: Path) -> None:
    """A folder that edgekd left, or a checkpoint of the recipe's model."""
    if given.is_dir():
        shutil.copytree(given, out)
        return
    plan = _plan(recipe, Splits.load(folder / "data"))
    student = blueprint.build(plan)
    load_checkpoint(student, given)
    blueprint.save(student, plan, out)


def _plan(recipe: Recipe, splits: Splits) -> blueprint.Blueprint:
    return blueprint.Blueprint(recipe.model, blueprint.fill_options(recipe.model, recipe.options, splits))


def _train(name: str, recipe: Recipe, folder: Path, out: Path) -> None:
    splits = Splits.load(folder / "data")
    plan = _plan(recipe, splits)
    student = blueprint.build(plan)
    train(
        student, splits, recipe.training, seed=0, compute=Compute(),
        augment=DATA[recipe.data]["augment"], checkpoint=folder / "training.ckpt", title=f"student: {name}",
    )  # fmt: skip
    print(f"{name}: {scores(student.eval(), splits, title=name)}", file=sys.stderr, flush=True)
    blueprint.save(student, plan, out)
    (folder / "training.ckpt").unlink(missing_ok=True)


def _splits(recipe: Recipe, root: Path | None) -> Splits:
    with tempfile.TemporaryDirectory() as scratch:
        if recipe.data == "speech" and root is not None:
            root = by_speaker(root, Path(scratch) / "speech.npz")
        return examine(Config(data=Data(**DATA[recipe.data], root=root))).splits


def by_speaker(archive: Path, path: Path) -> Path:
    """MFCCs of Speech Commands (x, y, speaker, classes) as an .npz whose train, validation and test share no voice.

    Clips without a speaker (silence) are dealt out one by one.
    """
    found = np.load(archive, allow_pickle=False)
    alone = np.array([f"clip {number}" for number in range(len(found["y"]))])
    voices = np.where(found["speaker"] == "", alone, found["speaker"])
    names = np.random.default_rng(0).permutation(np.unique(voices))
    test, rest = np.split(names, [round(TEST_SPEAKERS * len(names))])
    validation = rest[: round(VALIDATION_SPEAKERS * len(names))]
    parts = {"test": np.isin(voices, test), "val": np.isin(voices, validation)}
    parts["train"] = ~(parts["test"] | parts["val"])
    x = found["x"].astype(np.float32)[:, None]
    arrays = {f"x_{part}": x[chosen] for part, chosen in parts.items()}
    arrays |= {f"y_{part}": found["y"][chosen].astype(np.int64) for part, chosen in parts.items()}
    np.savez(path, classes=found["classes"], **arrays)
    return path


def main() -> None:
    """Prepare what the JSON of the first argument asks for; the last line printed has each one's settings."""
    asked = json.loads(sys.argv[1])
    usual = QUICK_RECIPES if asked["quick"] else RECIPES
    recipes = usual | ON_DEMAND
    prepared = {}
    for name in asked["only"] or dict.fromkeys([*usual, *asked["given"]]):
        if name not in recipes:
            sys.exit(f"there is no recipe for {name!r}, only for {', '.join(recipes)}")
        recipe, given = recipes[name], asked["given"].get(name)
        root = asked["roots"].get(recipe.data)
        if root is None and recipe.data != "digits":
            print(f"{name} is left out: --{recipe.data} does not say where its data lies", file=sys.stderr)
            continue
        prepare(name, recipe, root and Path(root), given and Path(given), Path(asked["work"]) / name)
        prepared[name] = {"quantize": recipe.quantize, "augment": DATA[recipe.data]["augment"].model_dump()}
    print(json.dumps(prepared))


if __name__ == "__main__":
    main()
