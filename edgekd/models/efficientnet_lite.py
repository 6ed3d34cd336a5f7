"""EfficientNet-lite: the blocks of EfficientNet-B0 with ReLU6 and without squeeze-and-excite (Tan and Le, 2019,
arXiv:1905.11946)."""

from collections.abc import Sequence
from math import ceil

from torch import Tensor, nn

from edgekd.models.inverted import InvertedResidual, convolution, make_divisible
from edgekd.models.parts import he_init, image_shape, is_small, multiplier

# Table 1 of the paper: expansion, channels, blocks, stride of the first block, kernel.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM, HEAD = 32, 1280


class EfficientNetLite(nn.Module):
    """lite0, with 4,652,008 parameters for 1000 classes, at width = depth = 1.

    As in the authors' code, the multipliers spare the first and the last layer, and the depth of the first and the last
    stage.

    Args:
        width: multiplier of the channels of each stage, which are rounded to multiples of 8.
        depth: multiplier of the blocks of each stage, rounded up.
        small: leave out the first two halvings, so that images of 32x32 keep enough resolution; by default where the
            shorter side has less than 96 pixels.
        dropout: share of the pooled features that training leaves out.
    """

    def __init__(
        self,
        classes: int,
        input_shape: Sequence[int],
        width: float = 1.0,
        depth: float = 1.0,
        small: bool | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        shape = image_shape("efficientnet_lite", input_shape, smallest=4)
        multiplier("efficientnet_lite", width=width, depth=depth)
        small = is_small(shape) if small is None else small
        self.stem = convolution(shape[0], STEM, 3, 1 if small else 2)
        channels = STEM
        blocks: list[nn.Module] = []
        for number, (expansion, base, base_count, first_stride, kernel) in enumerate(STAGES):
            outputs = make_divisible(base * width)
            count = base_count if number in (0, len(STAGES) - 1) else ceil(base_count * depth)
            for block in range(count):
                stride = first_stride if block == 0 and not (small and number == 1) else 1
                blocks.append(InvertedResidual(channels, channels * expansion, outputs, kernel, stride))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = convolution(channels, HEAD, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(HEAD, classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.linear(self.dropout(self.flatten(self.pool(x))))
        return logits
