"""The trained students of the comparison: each is trained once on labels alone, and saved in its own folder."""

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
    """How a student is trained and quantised.

    Attributes:
        data: "cifar10", "speech" or "digits"; the command line names the folders of the first two.
        model, options: the name and the options of a model of the catalog.
        training: the training on labels alone.
        quantize: the calibration and quantisation-aware training, which are the same for every tool.
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
# The same settings as in configs/int8_*.toml.
QUANTIZE_IMAGES = {"epochs": 2, "batch_size": 128, "learning_rate": 2e-4, "calibration": 1024}
QUANTIZE_SPEECH = {"epochs": 10, "learning_rate": 2e-4, "calibration": 1024}
QUANTIZE_QUICK = {"epochs": 2}
RECIPES = {
    "resnet8": Recipe("cifar10", "resnet8", {}, IMAGES, QUANTIZE_IMAGES),
    "dscnn": Recipe("speech", "dscnn", {"dropout": 0.2}, SPEECH, QUANTIZE_SPEECH),
    "mobilenetv2": Recipe("cifar10", "mobilenetv2", {"width": 0.5, "small": False}, IMAGES, QUANTIZE_IMAGES),
}
# Only for a checkpoint, since its training takes long: --student resnet20=resnet20-12fca82f.th
ON_DEMAND = {"resnet20": Recipe("cifar10", "resnet20", {}, IMAGES, QUANTIZE_IMAGES)}
QUICK_RECIPES = {
    "resnet8-digits": Recipe("digits", "resnet8", {"width": 8}, QUICK, QUANTIZE_QUICK),
    "mobilenetv2-digits": Recipe("digits", "mobilenetv2", {"width": 0.35}, QUICK, QUANTIZE_QUICK),
    "dscnn-digits": Recipe("digits", "dscnn", {"width": 16, "blocks": 2}, QUICK, QUANTIZE_QUICK),
}


def prepare(name: str, recipe: Recipe, root: Path | None, path: Path | None, folder: Path) -> None:
    """Write `data/` and `model/` to `folder`, unless they are there; an interrupted training is resumed."""
    if not (folder / "data").exists():
        _publish(folder / "data", lambda partial_folder: _splits(recipe, root).save(partial_folder))
    if path is not None:
        shutil.rmtree(folder / "model", ignore_errors=True)
        _publish(folder / "model", lambda partial_folder: _copy_model(recipe, folder, path, partial_folder))
    if not (folder / "model").exists():
        _publish(folder / "model", lambda partial_folder: _train(name, recipe, folder, partial_folder))


def _publish(folder: Path, make: Callable[[Path], object]) -> None:
    """Write a folder atomically: under another name first, then by a rename."""
    partial_folder = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(partial_folder, ignore_errors=True)
    make(partial_folder)
    partial_folder.rename(folder)


def _copy_model(recipe: Recipe, folder: Path, path: Path, out: Path) -> None:
    """Copy the model from a folder of edgekd's, or load a checkpoint of the recipe's model."""
    if path.is_dir():
        shutil.copytree(path, out)
        return
    plan = _plan(recipe, Splits.load(folder / "data"))
    student = blueprint.build(plan)
    load_checkpoint(student, path)
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
    """Split MFCCs of Speech Commands (x, y, speaker, classes) by speaker into an .npz with train, validation and test.

    Clips without a speaker (silence) count as a speaker each.
    """
    arrays_of_archive = np.load(archive, allow_pickle=False)
    clip_names = np.array([f"clip {number}" for number in range(len(arrays_of_archive["y"]))])
    voices = np.where(arrays_of_archive["speaker"] == "", clip_names, arrays_of_archive["speaker"])
    names = np.random.default_rng(0).permutation(np.unique(voices))
    test, rest = np.split(names, [round(TEST_SPEAKERS * len(names))])
    validation = rest[: round(VALIDATION_SPEAKERS * len(names))]
    parts = {"test": np.isin(voices, test), "val": np.isin(voices, validation)}
    parts["train"] = ~(parts["test"] | parts["val"])
    x = arrays_of_archive["x"].astype(np.float32)[:, None]
    arrays = {f"x_{part}": x[mask] for part, mask in parts.items()}
    arrays |= {f"y_{part}": arrays_of_archive["y"][mask].astype(np.int64) for part, mask in parts.items()}
    np.savez(path, classes=arrays_of_archive["classes"], **arrays)
    return path


def main() -> None:
    """Prepare the students in the JSON of the first argument, and print their settings as the last line."""
    request = json.loads(sys.argv[1])
    default_recipes = QUICK_RECIPES if request["quick"] else RECIPES
    recipes = default_recipes | ON_DEMAND
    settings = {}
    for name in request["only"] or dict.fromkeys([*default_recipes, *request["students"]]):
        if name not in recipes:
            sys.exit(f"there is no recipe for {name!r}, only for {', '.join(recipes)}")
        recipe, path = recipes[name], request["students"].get(name)
        root = request["roots"].get(recipe.data)
        if root is None and recipe.data != "digits":
            print(f"{name} is left out: --{recipe.data} does not say where its data lies", file=sys.stderr)
            continue
        prepare(name, recipe, root and Path(root), path and Path(path), Path(request["work"]) / name)
        settings[name] = {"quantize": recipe.quantize, "augment": DATA[recipe.data]["augment"].model_dump()}
    print(json.dumps(settings))


if __name__ == "__main__":
    main()
