"""MobileNetV2 (Sandler et al., 2018): inverted residuals, with a width multiplier."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.errors import ModelError
from edgekd.models.parts import he_init, image_shape

# Table 2 of the paper: expansion, channels, blocks, stride of the first block.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
SMALL_IMAGE = 96  # pixels of the shorter side; the paper's own smallest input


class InvertedResidual(nn.Module):
    """Expand by a 1x1 convolution, filter each channel by itself, project back without an activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        expand = _conv(inputs, inner, 1) if expansion > 1 else nn.Identity()
        self.expand = expand
        self.depthwise = _conv(inner, inner, 3, stride, groups=inner)
        self.project = nn.Sequential(nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) in, (N, outputs, H / stride, W / stride) out."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Args:
    width: multiplier of the channels of every layer, which are rounded to multiples of 8.
    small: leave out the first two halvings, so that images of 32x32 keep enough pixels to look at; None: where the
        shorter side has less than 96 pixels.
    dropout: share of the pooled features that training leaves out.
    """

    def __init__(
        self,
        classes: int,
        input_shape: Sequence[int],
        width: float = 1.0,
        small: bool | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, height, length = image_shape("mobilenetv2", input_shape, smallest=4)
        if width <= 0:
            raise ModelError(f"mobilenetv2: width = {width} leaves nothing to compute with", "width = 0.35, say")
        if small is None:
            small = min(height, length) < SMALL_IMAGE
        at = make_divisible(32 * width)
        self.stem = _conv(channels, at, 3, 1 if small else 2)
        blocks: list[nn.Module] = []
        for number, (expansion, base, count, first_stride) in enumerate(STAGES):
            outputs = make_divisible(base * width)
            for block in range(count):
                stride = first_stride if block == 0 and not (small and number == 1) else 1
                blocks.append(InvertedResidual(at, outputs, stride, expansion))
                at = outputs
        self.blocks = nn.Sequential(*blocks)
        # The paper widens the last layer with width > 1 alone, so that small networks keep their features.
        features = make_divisible(1280 * max(1.0, width))
        self.head = _conv(at, features, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in, logits (N, classes) out."""
        x = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.linear(self.dropout(self.flatten(self.pool(x))))
        return logits


def make_divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, one up where rounding down would lose more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())
