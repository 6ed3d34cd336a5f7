"""The finished teacher as the callable that distilling, recovering and quantising train under."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from edgekd.nn import blueprint
from edgekd.nn.batches import Batch
from edgekd.nn.evaluate import channels_last
from edgekd.nn.lesson import Teacher
from edgekd.nn.outputs import Outputs, answer
from edgekd.nn.splits import Splits

STORED = "train_logits.npy"


def open_teacher(
    folder: Path, splits: Splits, precision: Literal["32", "bf16"] = "32", layers: Sequence[str] = ()
) -> Teacher:
    """The teacher stage's artifact. Its stored answers serve where there are any, else the network is run.

    Args:
        splits: those that it was trained on; stored answers belong to the samples of `splits.train` alone.
        precision: of the running network.
        layers: whose outputs are wanted too; then the network is run.
    """
    if not layers and (folder / STORED).is_file():
        return stored(np.load(folder / STORED, allow_pickle=False), splits)
    return frozen(open_network(folder), precision, layers)


def open_network(folder: Path) -> nn.Module:
    """The teacher stage's network."""
    model, _ = blueprint.load(folder / "model")
    return model


def stored(logits: np.ndarray, splits: Splits) -> Teacher:
    """Answers that were computed once: (samples of the training split, classes), looked up by `batch.index`."""
    if len(logits) != len(splits.train):
        raise ValueError(f"{len(logits)} stored answers for {len(splits.train)} training samples")
    table = torch.from_numpy(logits)

    def look_up(batch: Batch) -> Outputs:
        return Outputs(table[batch.index.cpu()].to(batch.x.device), index=batch.index)

    return look_up


def frozen(model: nn.Module, precision: Literal["32", "bf16"] = "32", layers: Sequence[str] = ()) -> Teacher:
    """A network that answers and never learns; it follows the batches to their device."""
    model.eval().requires_grad_(False)

    def ask(batch: Batch) -> Outputs:
        device = batch.x.device
        model.to(device)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return answer(model, channels_last(batch.x), layers, batch.index)

    return ask
