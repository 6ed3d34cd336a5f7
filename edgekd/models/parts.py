"""The initial weights of this folder's networks, and checks of their inputs and options."""

from collections.abc import Sequence

from torch import nn

from edgekd.errors import ModelError

SMALL_IMAGE = 96
"""Pixels of the shorter side below which networks for photographs halve less often: MobileNetV2's smallest input."""


def he_init(model: nn.Module) -> None:
    """Initialise weights by He et al., 2015 (normal, fan-in) and biases to zero; batch norm keeps torch's values."""
    for layer in model.modules():
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def image_shape(model: str, input_shape: Sequence[int], smallest: int) -> tuple[int, int, int]:
    """Return (channels, height, width) of the inputs; ModelError where they are no images, or below `smallest`."""
    if len(input_shape) != 3:
        raise ModelError(
            f"{model} takes images (channels, height, width); these inputs have shape {tuple(input_shape)}",
            'model = "mlp", which takes any shape, or data shaped (N, channels, height, width)',
        )
    channels, height, width = (int(n) for n in input_shape)
    if min(height, width) < smallest:
        raise ModelError(
            f"{model} needs images of at least {smallest}x{smallest} pixels; these have {height}x{width}",
            'larger images, or a network that halves them less often: model = "resnet8" or "mlp"',
        )
    return channels, height, width


def is_small(shape: tuple[int, int, int]) -> bool:
    """Return whether images (channels, height, width) are too small to be halved five times."""
    return min(shape[1:]) < SMALL_IMAGE


def multiplier(model: str, **options: float) -> None:
    """Raise ModelError where an option that multiplies widths or depths is not above 0."""
    for name, value in options.items():
        if value <= 0:
            raise ModelError(f"{model}: {name} = {value} leaves nothing to compute with", f"{name} = 0.35, say")


def positive(model: str, **options: int) -> None:
    """Raise ModelError where an option that counts something is below 1."""
    for name, value in options.items():
        if value < 1:
            raise ModelError(f"{model}: {name} = {value} leaves nothing to compute with", f"{name} of 1 or more")
