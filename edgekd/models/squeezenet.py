"""SqueezeNet 1.1: fire modules, whose two halves are concatenated (Iandola et al., 2016, arXiv:1602.07360)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.inverted import make_divisible
from edgekd.models.parts import he_init, image_shape, is_small, multiplier

# Squeezed channels and those of each half; None: a max pool. The order is that of release 1.1 of the authors' code.
MODULES = (None, (16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256))
STEM = 64


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then a 1x1 and a 3x3 convolution side by side."""

    def __init__(self, inputs: int, squeezed: int, half: int, batch_norm: bool) -> None:
        super().__init__()
        self.squeeze = _convolution(inputs, squeezed, 1, batch_norm=batch_norm)
        self.expand1x1 = _convolution(squeezed, half, 1, batch_norm=batch_norm)
        self.expand3x3 = _convolution(squeezed, half, 3, padding=1, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 2 * half, H, W)."""
        x = self.squeeze(x)
        return torch.cat((self.expand1x1(x), self.expand3x3(x)), dim=1)


class SqueezeNet(nn.Module):
    """1,235,496 parameters for 1000 classes without batch norm.

    Differs from the authors' code: batch norm, unless it is turned off, and no ReLU on the maps of the classes, so that
    logits can be negative.

    Args:
        width: multiplier of the channels of every layer, which are rounded to multiples of 8.
        batch_norm: normalise after each convolution; the paper's own network does not, and trains with more care.
        small: leave out the first two halvings, so that images of 32x32 keep enough resolution; by default where the
            shorter side has less than 96 pixels.
        dropout: share of the last features that training leaves out.
    """

    def __init__(
        self,
        classes: int,
        input_shape: Sequence[int],
        width: float = 1.0,
        batch_norm: bool = True,
        small: bool | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        shape = image_shape("squeezenet", input_shape, smallest=7 if small in (None, True) else 31)
        small = is_small(shape) if small is None else small
        multiplier("squeezenet", width=width)
        channels = make_divisible(STEM * width)
        padding, stride = (1, 1) if small else (0, 2)
        layers: list[nn.Module] = [_convolution(shape[0], channels, 3, stride, padding, batch_norm)]
        for number, module in enumerate(MODULES):
            if module is None:
                layers += [nn.MaxPool2d(3, 2)] if number or not small else []
                continue
            squeezed, half = (make_divisible(base * width) for base in module)
            layers.append(Fire(channels, squeezed, half, batch_norm))
            channels = 2 * half
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(channels, classes, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        logits: Tensor = self.flatten(self.pool(self.head(self.dropout(self.layers(x)))))
        return logits


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, batch_norm: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=not batch_norm)]
    layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
    return nn.Sequential(*layers, nn.ReLU())
