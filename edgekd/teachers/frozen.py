"""A finished network as a teacher: it answers beside the student and never learns."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from edgekd.nn.batches import Batch
from edgekd.nn.evaluate import channels_last
from edgekd.nn.lesson import Teacher
from edgekd.nn.outputs import Outputs, answer


def frozen(model: nn.Module, precision: Literal["32", "bf16"] = "32", layers: Sequence[str] = ()) -> Teacher:
    """A network that answers and never learns; it follows the batches to their device."""
    model.eval().requires_grad_(False)

    def ask(batch: Batch) -> Outputs:
        device = batch.x.device
        model.to(device)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return answer(model, channels_last(batch.x), layers, batch.index)

    return ask
