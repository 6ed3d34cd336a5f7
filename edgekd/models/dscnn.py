"""DS-CNN: the keyword spotter of MLPerf Tiny, of depthwise-separable convolutions ("Hello Edge": Zhang et al., 2017,
arXiv:1711.07128)."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.errors import ModelError
from edgekd.models.parts import he_init, image_shape, positive


class SeparableBlock(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution that mixes them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        x = self.relu1(self.bn1(self.depthwise(x)))
        out: Tensor = self.relu2(self.bn2(self.pointwise(x)))
        return out


class DSCNN(nn.Module):
    """Takes spectrograms (N, 1, time, frequency), 49x10 in MLPerf Tiny, and small images as well.

    Differs from the reference (mlcommons/tiny, keyword_spotting): no bias before a batch norm, padding equal on both
    sides, and dropout before the classifier alone.

    Args:
        width: channels of every layer.
        blocks: number of depthwise-separable blocks.
        stem: kernel of the first convolution, which halves both sides: (time, frequency) or (height, width).
        dropout: share of the pooled features that training leaves out.
    """

    def __init__(
        self,
        classes: int,
        input_shape: Sequence[int],
        width: int = 64,
        blocks: int = 4,
        stem: Sequence[int] = (10, 4),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, height, length = image_shape("dscnn", input_shape, smallest=4)
        positive("dscnn", width=width, blocks=blocks)
        if len(stem) != 2:
            raise ModelError(f"dscnn: stem = {list(stem)} is no kernel", "stem = [10, 4]: its height and width")
        positive("dscnn", **{"stem[0]": stem[0], "stem[1]": stem[1]})
        kernel = (int(stem[0]), int(stem[1]))
        padding = (_padding(height, kernel[0]), _padding(length, kernel[1]))
        self.conv = nn.Conv2d(channels, width, kernel, stride=2, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(*(SeparableBlock(width) for _ in range(blocks)))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.blocks(self.relu(self.bn(self.conv(x))))
        logits: Tensor = self.linear(self.dropout(self.flatten(self.pool(x))))
        return logits


def _padding(size: int, kernel: int, stride: int = 2) -> int:
    """Return the least padding, equal on both sides, that gives ceil(size / stride) outputs."""
    missing = (-(-size // stride) - 1) * stride + kernel - size
    return (max(missing, 0) + 1) // 2
