"""Loads checkpoints: unwraps them, matches their keys, and refuses what does not fit; `student.pt` sets layer sizes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from edgekd.config import Source, Student
from edgekd.data.splits import Splits
from edgekd.errors import ConfigError, ModelError
from edgekd.nn import blueprint, tensors
from edgekd.nn.outputs import check_answer

WRAPPINGS = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights", "ema", "state")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")  # of DataParallel, torch.compile, Lightning and habit
SHOWN_KEYS = 3  # number of keys that an error names


@runtime_checkable
class Completable(Protocol):
    """A model that can be loaded from the checkpoint of a simpler one."""

    def complete(self, checkpoint: dict[str, Tensor]) -> list[str]:
        """Add the missing tensors to `checkpoint`, and return notes on them."""
        ...


def untrained(
    source: Source | Student, splits: Splits, seed: int = 0
) -> tuple[nn.Module, blueprint.Blueprint, list[str]]:
    """Return a network of the config before training, with new weights or its checkpoint's, its blueprint and notes.

    Raises:
        ConfigError, ModelError: it can't be built, its checkpoint does not fit it, or it does not fit the data.
    """
    options = blueprint.fill_options(source.model, source.entry_options(), splits)
    plan = blueprint.Blueprint(source.model, options)
    model = blueprint.build(plan, seed=seed)
    notes = load_checkpoint(model, source.checkpoint) if source.checkpoint else []
    check_answer(model, splits, f"{'student' if isinstance(source, Student) else 'teacher'} {source.model!r}")
    return model, plan, notes


def load_checkpoint(model: nn.Module, path: Path) -> list[str]:
    """Load a torch checkpoint into `model`, and return notes on what was adapted.

    A build's `student.pt` also sets the layers to the sizes that they had after pruning.
    """
    if not path.is_file():
        raise ConfigError(f"there is no checkpoint {path}", "--set teacher.checkpoint=FILE, or student.checkpoint")
    notes: list[str] = []
    content, origin = tensors.read(path), "the network that the checkpoint was saved from"
    if isinstance(content, Mapping) and content.keys() >= blueprint.PARTS:
        weights = dict(content["weights"])
        blueprint.resize(model, content["resized"], weights)
        origin = f"{content['factory']!r} with the options {json.dumps(content['options'])}"
    else:
        weights = _without_prefix(_unwrap(content, path, notes), model, notes)
    expected = model.state_dict()
    counters = [key for key in expected if key.endswith("num_batches_tracked") and key not in weights]
    if counters:
        # The checkpoint is from before torch 0.4.1; only a batch norm without momentum reads the counters.
        notes.append(f"{len(counters)} batch counters were missing and start at 0")
        weights.update({key: expected[key] for key in counters})
    if isinstance(model, Completable):
        notes += model.complete(weights)
    _check(weights, expected, path, origin)
    model.load_state_dict(weights)
    return notes


def _unwrap(content: Any, path: Path, notes: list[str]) -> dict[str, Tensor]:
    """Return the mapping of tensors inside {"epoch": 9, "state_dict": {...}} and the like."""
    while isinstance(content, Mapping):
        wrapping = next((key for key in WRAPPINGS if isinstance(content.get(key), Mapping)), None)
        if wrapping is None:
            break
        notes.append(f"the weights were taken from {wrapping!r} inside the checkpoint")
        content = content[wrapping]
    weights = {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not weights:
        contents = (
            ", ".join(map(str, list(content)[:SHOWN_KEYS])) if isinstance(content, Mapping) else type(content).__name__
        )
        raise ModelError(f"{path} holds no weights, but {contents}", "torch.save(model.state_dict(), …)")
    return weights


def _without_prefix(weights: dict[str, Tensor], model: nn.Module, notes: list[str]) -> dict[str, Tensor]:
    expected = model.state_dict()
    while not any(key in expected for key in weights):
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in weights)), None)
        if prefix is None:
            break
        notes.append(f"the prefix {prefix!r} was taken off its keys")
        weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights


def _check(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path, origin: str) -> None:
    missing = [key for key in expected if key not in weights]
    unexpected = [key for key in weights if key not in expected]
    if missing or unexpected:
        parts = [f"lacks {_list(missing)}"] * bool(missing) + [f"has {_list(unexpected)}"] * bool(unexpected)
        raise ModelError(
            f"{path} does not fit the model: it {' and '.join(parts)}",
            f"teacher.model, or student.model, must be {origin}",
        )
    misshapen = [key for key in expected if weights[key].shape != expected[key].shape]
    if misshapen:
        shapes = [f"{k} {tuple(weights[k].shape)} instead of {tuple(expected[k].shape)}" for k in misshapen]
        raise ModelError(
            f"{path} does not fit the model: it has {_list(shapes)}",
            "another number of classes, width or input? Set the model's options to those it was trained with",
        )
    non_finite = [key for key, value in weights.items() if not torch.isfinite(value).all()]
    if non_finite:
        raise ModelError(f"{path} holds values that are not finite in {_list(non_finite)}", "train it again")


def _list(words: list[str]) -> str:
    more = len(words) - SHOWN_KEYS
    return ", ".join(words[:SHOWN_KEYS]) + (f" and {more} more" if more > 0 else "")
