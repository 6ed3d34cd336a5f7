"""MobileNetV2: inverted residuals, with a width multiplier (Sandler et al., 2018, arXiv:1801.04381)."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.models.inverted import InvertedResidual, convolution, make_divisible
from edgekd.models.parts import he_init, image_shape, is_small, multiplier

# Table 2 of the paper: expansion, channels, blocks, stride of the first block.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class MobileNetV2(nn.Module):
    """Args:
    width: multiplier of the channels of every layer, which are rounded to multiples of 8.
    small: leave out the first two halvings, so that images of 32x32 keep enough resolution; by default where the
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
        shape = image_shape("mobilenetv2", input_shape, smallest=4)
        multiplier("mobilenetv2", width=width)
        small = is_small(shape) if small is None else small
        channels = make_divisible(32 * width)
        self.stem = convolution(shape[0], channels, 3, 1 if small else 2)
        blocks: list[nn.Module] = []
        for number, (expansion, base, count, first_stride) in enumerate(STAGES):
            outputs = make_divisible(base * width)
            for block in range(count):
                stride = first_stride if block == 0 and not (small and number == 1) else 1
                blocks.append(InvertedResidual(channels, channels * expansion, outputs, stride=stride))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        # The paper widens the last layer with width > 1 alone, so that small networks keep their features.
        features = make_divisible(1280 * max(1.0, width))
        self.head = convolution(channels, features, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.linear(self.dropout(self.flatten(self.pool(x))))
        return logits
