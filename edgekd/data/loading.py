"""Calls a data set's factory, the catalog's or the user's, and converts what it returns to arrays."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekd import catalog
from edgekd.config import Data
from edgekd.data.splits import PARTS, Split, Splits
from edgekd.errors import ConfigError, DataError, EdgekdError, nearest
from edgekd.tasks.task import Targets

KEYS = (*PARTS, "classes", "vocabulary", "notes")
SHAPE_OF_ANSWER = 'return {"train": (x, y), "test": (x, y)}, with "validation" and "classes" where you have them'


@dataclass(frozen=True)
class Raw:
    """A data set before it is checked: arrays of any type.

    Attributes:
        parts: the parts that the data set has, of `PARTS`.
        classes: names of the classes; None where the data set has no names.
        mean, std: mean and standard deviation per channel; None where they are to be computed.
        notes: the factory's notes for the report.
        vocabulary: the word of each token, where inputs are tokens.
    """

    parts: dict[str, Split]
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    notes: list[str] = field(default_factory=list)
    vocabulary: tuple[str, ...] = ()


def load(data: Data, targets: Targets) -> Raw:
    """Call the factory that `data.name` names, with `data.root` where its signature has `root`, and its options.

    Args:
        targets: the task's targets, for torch Datasets, which are read sample by sample.
    """
    factory = catalog.load("data set", data.name)
    options = data.entry_options()
    arguments = _arguments(factory)
    notes = []
    if arguments is None or "root" in arguments:
        options = {"root": data.root, **options}
    elif data.root is not None:
        notes.append(f"data set {data.name!r} takes no root: data.root = {str(data.root)!r} is not used")
    missing = [name for name in _required(arguments) if name not in options]
    if missing:
        raise ConfigError(f"data set {data.name!r} needs data.{missing[0]}", f"--set data.{missing[0]}=...")
    answer = _call(factory, data.name, **options)
    raw = from_splits(answer) if isinstance(answer, Splits) else from_mapping(answer, data.name, targets)
    raw.notes[:0] = notes
    return raw


def from_splits(splits: Splits) -> Raw:
    """Convert complete splits to a data set, which is then checked like any other."""
    parts = {part: getattr(splits, part) for part in PARTS}
    return Raw(parts, splits.classes, splits.mean, splits.std, vocabulary=splits.vocabulary)


def from_mapping(answer: Any, name: str, targets: Targets) -> Raw:
    """Convert a factory's dict of parts, each a pair of arrays or tensors, or a torch Dataset of (x, y)."""
    if not isinstance(answer, Mapping):
        raise DataError(f"data set {name!r} gave {_kind(answer)}, not a dict of its parts", SHAPE_OF_ANSWER)
    for key in answer:
        if key not in KEYS:
            guess = nearest(str(key), KEYS)
            raise DataError(f"data set {name!r} gave a part {key!r}", f"{guess!r}" if guess else SHAPE_OF_ANSWER)
    parts = {part: _split(answer[part], name, part, targets) for part in PARTS if answer.get(part) is not None}
    classes = answer.get("classes")
    return Raw(
        parts,
        None if classes is None else tuple(str(label) for label in classes),
        notes=[str(note) for note in answer.get("notes", ())],
        vocabulary=tuple(str(word) for word in answer.get("vocabulary", ())),
    )


def _call(function: Any, name: str, *values: Any, **options: Any) -> Any:
    try:
        return function(*values, **options)
    except EdgekdError:
        raise
    except Exception as error:  # The user's code may raise anything; the error names it as the place.
        raise DataError(
            f"data set {name!r} failed: {type(error).__name__}: {error}", "run again with --debug to see where"
        ) from error


def _arguments(factory: Any) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return None


def _required(arguments: Mapping[str, inspect.Parameter] | None) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [n for n, p in (arguments or {}).items() if p.default is p.empty and p.kind in kinds]


def _split(part: Any, name: str, key: str, targets: Targets) -> Split:
    if isinstance(part, Split):
        return part
    if isinstance(part, tuple | list) and len(part) == 2:
        return Split(_array(part[0], name, f"{key} x"), _array(part[1], name, f"{key} y"))
    no_dataset = isinstance(part, np.ndarray | Tensor | str | Mapping)
    if hasattr(part, "__getitem__") and hasattr(part, "__len__") and not no_dataset:
        return _from_dataset(part, name, key, targets)
    raise DataError(
        f"data set {name!r}: {key} is {_kind(part)}, not a pair (x, y) or a torch Dataset with a length",
        SHAPE_OF_ANSWER,
    )


def _from_dataset(dataset: Any, name: str, key: str, targets: Targets) -> Split:
    """Read every sample once into one array; random augmentation by the Dataset is thereby frozen."""
    count = len(dataset)
    if count == 0:
        return Split(np.empty((0, 1), np.float32), np.empty(0, np.int64))
    ys: list[np.ndarray] = []
    inputs: np.ndarray | None = None
    for number in range(count):
        sample = _call(dataset.__getitem__, name, number)
        if not isinstance(sample, tuple | list) or len(sample) != 2:
            raise DataError(
                f"data set {name!r}: sample {number} of {key} is {_kind(sample)}, not (x, y)", "return x, y"
            )
        x, y = _input(sample[0], name, f"{key}[{number}]"), targets.one(np.asarray(sample[1]))
        if y is None or (ys and y.shape != ys[0].shape):
            raise DataError(f"data set {name!r}: the label of {key}[{number}] is {sample[1]!r}", targets.form)
        if inputs is None:
            inputs = np.empty((count, *x.shape), x.dtype)
        if x.shape != inputs.shape[1:] or x.dtype != inputs.dtype:
            raise DataError(
                f"data set {name!r}: {key}[{number}] has shape {x.shape} ({x.dtype}), "
                f"and those before {inputs.shape[1:]} ({inputs.dtype})",
                "samples of one shape and type",
            )
        inputs[number] = x
        ys.append(y)
    assert inputs is not None
    return Split(inputs, np.stack(ys))


def _input(x: Any, name: str, place: str) -> np.ndarray:
    if hasattr(x, "getbands"):  # A Pillow image is (H, W) or (H, W, C); networks take (C, H, W).
        pixels = np.asarray(x)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return _array(x, name, place)


def _array(values: Any, name: str, place: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        plain: np.ndarray = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
        return plain
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(
            f"data set {name!r}: {place} is no array: {error}", "samples of one shape, as an array or a tensor"
        ) from error


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}" if value is not None else "nothing"
