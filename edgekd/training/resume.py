"""Saves the state of a training after each epoch, from which a killed training resumes with the same results."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.config import Augment, Training
from edgekd.data.batches import Views
from edgekd.data.splits import Splits
from edgekd.errors import ModelError
from edgekd.nn import tensors
from edgekd.training.distributed import from_main, is_main


@dataclass
class State:
    """Attributes:
    run: the `fingerprint` of the training.
    epoch: number of finished epochs.
    losses: the mean loss of each epoch.
    """

    run: str
    epoch: int
    losses: list[float]
    module: dict[str, Any]
    optimizer: dict[str, Any]


def fingerprint(
    module: nn.Module,
    splits: Splits,
    settings: Training,
    augment: Augment | None,
    views: Views | None,
    seed: int,
    title: str,
) -> str:
    """Return sixteen hex digits that differ between trainings which must not continue each other."""
    facts = {
        "title": title,
        "seed": seed,
        "settings": {name: getattr(settings, name) for name in Training.model_fields},
        "augment": augment.model_dump() if augment else None,
        "views": asdict(views) if views else None,
        "module": [[key, list(value.shape)] for key, value in module.state_dict().items()],
        "data": [len(splits.train), list(splits.input_shape), list(splits.mean), list(splits.std)],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def save_state(path: Path | None, state: State) -> None:
    """Write the state, from the main process alone."""
    if path is not None and is_main():
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors.write(path, {field: getattr(state, field) for field in State.__dataclass_fields__})


def load_state(path: Path | None, run: str) -> tuple[State | None, str]:
    """Return (the saved state, "") or (None, a note on why it can't be used); the same in every process."""
    return from_main(lambda: _read(path, run))


def _read(path: Path | None, run: str) -> tuple[State | None, str]:
    if path is None or not path.exists():
        return None, ""
    try:
        state = State(**tensors.read(path))
    except (ModelError, TypeError):
        return None, f"{path.name} was damaged: the training started over"
    if state.run != run:
        return None, f"{path.name} was of a training with other settings: this one started over"
    return state, ""


def restore(state: State, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Restore module and optimizer."""
    module.load_state_dict(state.module)
    optimizer.load_state_dict(state.optimizer)
