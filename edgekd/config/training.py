"""How a network is trained."""

from typing import Literal

from pydantic import Field, PositiveInt

from edgekd.config.base import Settings


class Training(Settings):
    """The settings of one training.

    Attributes:
        epochs: passes over the training split.
        batch_size: samples of a step, over all processes together.
        optimizer: stochastic gradient descent with Nesterov momentum, or AdamW.
        learning_rate: the peak of the learning rate.
        weight_decay: the optimizer's weight decay.
        momentum: the momentum of "sgd"; "adamw" has none.
        schedule: after the warm-up the learning rate falls to zero along a cosine, or stays constant.
        warmup: the share of the steps in which the learning rate rises from zero.
        precision: "bf16" trains in mixed precision; the integer arithmetic of `quantize` always runs in float32.
        clip_norm: gradients are scaled down to this norm; 0 leaves them as they are.
    """

    epochs: PositiveInt = 30
    batch_size: PositiveInt = 64
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(0.1, gt=0)
    weight_decay: float = Field(5e-4, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1)
    clip_norm: float = Field(0.0, ge=0)
    precision: Literal["32", "bf16"] = "32"
