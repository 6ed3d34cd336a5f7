"""A small U-Net (Ronneberger et al., 2015), which segments images: it predicts a class for each pixel.

Its logits are (N, classes, H, W); so it is captured and exported like any network, but is no student of the pipeline,
whose tasks have one answer a sample.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.errors import ModelError
from edgekd.models.parts import he_init, image_shape, positive

UPSAMPLINGS = ("nearest", "bilinear", "transposed")


class UNet(nn.Module):
    """Differs from the paper: batch norm, padding that keeps the size, few channels, and a choice of up-sampling.

    Args:
        width: channels at full size; each halving doubles them.
        depth: how often the image is halved; its sides must be multiples of 2 ** depth.
        upsampling: "nearest", "bilinear", or "transposed" (a transposed 2x2 convolution, as in the paper).
    """

    def __init__(
        self, classes: int, input_shape: Sequence[int], width: int = 8, depth: int = 3, upsampling: str = "nearest"
    ) -> None:
        super().__init__()
        positive("unet", width=width, depth=depth)
        channels, height, length = image_shape("unet", input_shape, smallest=2**depth)
        if height % 2**depth or length % 2**depth:
            raise ModelError(
                f"unet: images of {height}x{length} can't be halved {depth} times",
                f"sides that are multiples of {2**depth}, or a smaller depth",
            )
        if upsampling not in UPSAMPLINGS:
            raise ModelError(f"unet has no upsampling {upsampling!r}", f"upsampling = one of {', '.join(UPSAMPLINGS)}")
        self.pool = nn.MaxPool2d(2)
        self.down, self.up, self.merge = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level in range(depth):
            self.down.append(_convolutions(channels, width * 2**level))
            channels = width * 2**level
        self.bottom = _convolutions(channels, 2 * channels)
        channels = 2 * channels
        for level in reversed(range(depth)):
            outputs = width * 2**level
            self.up.append(_upsampling(channels, outputs, upsampling))
            self.merge.append(_convolutions(2 * outputs, outputs))
            channels = outputs
        self.head = nn.Conv2d(channels, classes, 1)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes, H, W)."""
        shortcuts = []
        for down in self.down:
            shortcuts.append(down(x))
            x = self.pool(shortcuts[-1])
        x = self.bottom(x)
        for up, merge, shortcut in zip(self.up, self.merge, reversed(shortcuts), strict=True):
            x = merge(torch.cat((shortcut, up(x)), dim=1))
        logits: Tensor = self.head(x)
        return logits


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(inputs, outputs, 3), *_convolution(outputs, outputs, 3))


def _convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def _upsampling(inputs: int, outputs: int, upsampling: str) -> nn.Sequential:
    if upsampling == "transposed":
        up: nn.Module = nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False)
        return nn.Sequential(up, nn.BatchNorm2d(outputs), nn.ReLU())
    return nn.Sequential(nn.Upsample(scale_factor=2, mode=upsampling), *_convolution(inputs, outputs, 1))
