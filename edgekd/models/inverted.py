"""The inverted residual (Sandler et al., 2018): the block of MobileNetV2, MobileNetV3 and EfficientNet-lite."""

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Scales each channel by a function of all pooled channels (Hu et al., 2018), with MobileNetV3's hard sigmoid."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        scale: Tensor = self.gate(self.expand(self.relu(self.reduce(self.pool(x)))))
        return x * scale


class InvertedResidual(nn.Module):
    """Expand by a 1x1 convolution, filter each channel by itself, project back without an activation.

    Args:
        inner: number of channels after the expansion; there is none where it equals `inputs`.
        squeezed: channels inside a squeeze-and-excite on the filtered channels; 0 leaves it out.
    """

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        activation: type[nn.Module] = nn.ReLU6,
        squeezed: int = 0,
    ) -> None:
        super().__init__()
        self.expand = convolution(inputs, inner, 1, activation=activation) if inner != inputs else nn.Identity()
        self.depthwise = convolution(inner, inner, kernel, stride, groups=inner, activation=activation)
        self.squeeze = SqueezeExcite(inner, squeezed) if squeezed else nn.Identity()
        self.project = nn.Sequential(nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] = nn.ReLU6,
) -> nn.Sequential:
    """Return a convolution, batch norm and an activation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), activation())


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Return the nearest multiple of `divisor`, or the next one where rounding down would lose more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
