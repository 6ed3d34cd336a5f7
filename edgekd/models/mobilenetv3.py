"""MobileNetV3-small: inverted residuals with squeeze-excite and hard-swish (Howard et al., 2019, arXiv:1905.02244)."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.models.inverted import InvertedResidual, convolution, make_divisible
from edgekd.models.parts import he_init, image_shape, is_small, multiplier

# Table 2 of the paper: kernel, inner channels, channels, squeeze-and-excite, hard-swish (else ReLU), stride.
BLOCKS = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


class MobileNetV3(nn.Module):
    """2,542,856 parameters for 1000 classes; the last convolution has no squeeze-and-excite, as in the authors' code.

    Args:
        width: multiplier of the channels of every layer, which are rounded to multiples of 8.
        small: leave out the first two halvings, so that images of 32x32 keep enough resolution; by default where the
            shorter side has less than 96 pixels.
        dropout: share of the last features that training leaves out.
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
        shape = image_shape("mobilenetv3", input_shape, smallest=4)
        multiplier("mobilenetv3", width=width)
        small = is_small(shape) if small is None else small
        channels = make_divisible(16 * width)
        self.stem = convolution(shape[0], channels, 3, 1 if small else 2, activation=nn.Hardswish)
        blocks: list[nn.Module] = []
        for number, (kernel, base_inner, base, squeeze, swish, stride) in enumerate(BLOCKS):
            inner, outputs = make_divisible(base_inner * width), make_divisible(base * width)
            blocks.append(
                InvertedResidual(
                    channels,
                    inner,
                    outputs,
                    kernel,
                    1 if small and number == 0 else stride,
                    nn.Hardswish if swish else nn.ReLU,
                    squeezed=make_divisible(inner / 4) if squeeze else 0,
                )
            )
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        inner, features = make_divisible(576 * width), make_divisible(1024 * width)
        self.head = convolution(channels, inner, 1, activation=nn.Hardswish)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.features = nn.Linear(inner, features)
        self.swish = nn.Hardswish()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.flatten(self.pool(self.head(self.blocks(self.stem(x)))))
        logits: Tensor = self.linear(self.dropout(self.swish(self.features(x))))
        return logits
