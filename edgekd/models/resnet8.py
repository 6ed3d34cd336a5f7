"""ResNet-8: the image classifier of MLPerf Tiny, three residual blocks of 16, 32 and 64 filters (Banbury et al., 2021,
arXiv:2106.07597)."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.models.parts import he_init, image_shape, positive


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut: the identity, or a 1x1 convolution where size or channels change."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        # As in the reference, the shortcut has a bias and no batch norm.
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if changes else nn.Identity()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


class ResNet8(nn.Module):
    """77,946 parameters for 10 classes of 32x32x3 images.

    Differs from the reference (mlcommons/tiny, image_classification/keras_model.py): no bias before a batch norm, which
    has its own; and padding is 1 on each side where Keras pads strided convolutions on the right and below alone.

    Args:
        width: filters of the first block; the second has twice, the third four times as many.
    """

    def __init__(self, classes: int, input_shape: Sequence[int], width: int = 16) -> None:
        super().__init__()
        channels, _, _ = image_shape("resnet8", input_shape, smallest=4)
        positive("resnet8", width=width)
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.block1 = Block(width, width, stride=1)
        self.block2 = Block(width, 2 * width, stride=2)
        self.block3 = Block(2 * width, 4 * width, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(4 * width, classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.relu(self.bn(self.conv(x)))
        x = self.block3(self.block2(self.block1(x)))
        logits: Tensor = self.linear(self.flatten(self.pool(x)))
        return logits
