"""ResNet-20, 32, 44 and 56: residual networks made for CIFAR-10 (He et al., 2015, section 4.2, arXiv:1512.03385).

The names of their layers are those of the best-known public checkpoints, so that these load.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import ModelError
from edgekd.models.parts import he_init, image_shape, positive

SHORTCUTS = ("pad", "conv", "project")


class PadShortcut(nn.Module):
    """The paper's option A: every other pixel, and zeros for the channels that are new, half before and half after."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        before = (outputs - inputs) // 2
        self.channels_before, self.channels_after = before, outputs - inputs - before

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        pixels = x[:, :, :: self.stride, :: self.stride]
        return F.pad(pixels, (0, 0, 0, 0, self.channels_before, self.channels_after))


class Projection(nn.Conv2d):
    """A 1x1 convolution that starts as the same function as `PadShortcut`, but whose channels can be pruned."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 1, stride, bias=False)

    def reset_parameters(self) -> None:
        """Set the weights to what `PadShortcut` computes: the input's channels pass, those around them are zeros."""
        before = (self.out_channels - self.in_channels) // 2
        identity = torch.eye(self.in_channels)[:, :, None, None]
        with torch.no_grad():
            self.weight.zero_()[before : before + self.in_channels] = identity


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = _shortcut(inputs, outputs, stride, shortcut)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


class ResNetCifar(nn.Module):
    """A stem, three stages of `blocks` blocks each, global average pooling, one linear layer: 6 * blocks + 2 layers.

    Args:
        blocks: number of blocks of each stage.
        shortcut: shortcut where a stage begins: "pad" (option A, no parameters), "conv" (option B: 1x1 and batch
            norm), or "project" (1x1 alone, which starts as "pad" and takes its checkpoints: for students that are to be
            pruned).
        width: filters of the first stage; the second has twice, the third four times as many.
    """

    def __init__(self, classes: int, input_shape: Sequence[int], blocks: int, shortcut: str, width: int) -> None:
        super().__init__()
        name = f"resnet{6 * blocks + 2}"
        channels, _, _ = image_shape(name, input_shape, smallest=4)
        positive(name, width=width)
        if shortcut not in SHORTCUTS:
            raise ModelError(f"{name} has no shortcut {shortcut!r}", f"shortcut = one of {', '.join(SHORTCUTS)}")
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.layer1 = _stage(width, width, blocks, 1, shortcut)
        self.layer2 = _stage(width, 2 * width, blocks, 2, shortcut)
        self.layer3 = _stage(2 * width, 4 * width, blocks, 2, shortcut)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(4 * width, classes)
        he_init(self)
        for projection in self._projections().values():
            projection.reset_parameters()

    def complete(self, checkpoint: dict[str, Tensor]) -> list[str]:
        """Add the projections that a checkpoint of padded shortcuts lacks, and return notes for `load_checkpoint`."""
        projections = {f"{name}.weight": layer for name, layer in self._projections().items()}
        projections = {key: layer for key, layer in projections.items() if key not in checkpoint}
        checkpoint.update({key: layer.weight.detach() for key, layer in projections.items()})
        return [f"{len(projections)} shortcuts start as the zero padding that they replace"] if projections else []

    def _projections(self) -> dict[str, Projection]:
        return {name: layer for name, layer in self.named_modules() if isinstance(layer, Projection)}

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(self.flatten(self.pool(x)))
        return logits


def resnet20(classes: int, input_shape: Sequence[int], shortcut: str = "pad", width: int = 16) -> ResNetCifar:
    """3 blocks a stage; 269,722 parameters for 10 classes of 32x32x3 images. The other depths take the same options.

    Args:
        shortcut: how a stage begins: "pad" (option A, no parameters), "conv" (option B, 1x1 and batch norm), or
            "project" (1x1 alone, which starts as "pad" and takes its checkpoints; for students that are to be pruned).
        width: filters of the first stage; the second has twice, the third four times as many.
    """
    return ResNetCifar(classes, input_shape, 3, shortcut, width)


def resnet32(classes: int, input_shape: Sequence[int], shortcut: str = "pad", width: int = 16) -> ResNetCifar:
    """5 blocks a stage."""
    return ResNetCifar(classes, input_shape, 5, shortcut, width)


def resnet44(classes: int, input_shape: Sequence[int], shortcut: str = "pad", width: int = 16) -> ResNetCifar:
    """7 blocks a stage."""
    return ResNetCifar(classes, input_shape, 7, shortcut, width)


def resnet56(classes: int, input_shape: Sequence[int], shortcut: str = "pad", width: int = 16) -> ResNetCifar:
    """9 blocks a stage; 853,018 parameters for 10 classes of 32x32x3 images."""
    return ResNetCifar(classes, input_shape, 9, shortcut, width)


def _stage(inputs: int, outputs: int, blocks: int, stride: int, shortcut: str) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1, shortcut) for _ in range(blocks - 1)))


def _shortcut(inputs: int, outputs: int, stride: int, kind: str) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    if kind == "pad":
        return PadShortcut(inputs, outputs, stride)
    if kind == "project":
        return Projection(inputs, outputs, stride)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
