"""Pruning."""

from typing import Literal

from pydantic import Field, PositiveInt

from edgekd.config.base import Part
from edgekd.config.training import Training


class Prune(Training, Part):
    """Attributes:
    criterion: a criterion of the catalog, or "package.module:function"; "none" leaves the student as it is.
    keep: the share of the cost that remains.
    of: the cost that `keep` counts: the student's MACs or its parameters.
    until: "share" cuts down to `keep`; "limits" cuts until the int8 student fits the target's size and RAM, and not
        beyond.
    per_cost: rank a channel by its score divided by the cost that goes with it, as a knapsack is packed (HALP: Shen et
        al., 2022, arXiv:2110.10811), not by its score alone.
    steps: how many cuts are made; `epochs` of recovery under the teacher follow each.
    channel_multiple: the number of channels that remain is rounded to a multiple of this, which the target chooses for
        its kernels.
    """

    criterion: str = "magnitude"
    keep: float = Field(0.6, gt=0, le=1)
    of: Literal["macs", "parameters"] = "macs"
    until: Literal["share", "limits"] = "share"
    per_cost: bool = False
    steps: PositiveInt = 2
    channel_multiple: PositiveInt = 1
    epochs: PositiveInt = 10
    learning_rate: float = Field(0.02, gt=0)
