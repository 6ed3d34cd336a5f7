"""A fully convolutional network for time series ("Time series classification from scratch": Wang et al., 2017,
arXiv:1611.06455)."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.errors import ModelError
from edgekd.models.parts import he_init, positive

KERNELS = (7, 5, 3)
"""Kernel sizes of the three blocks; the paper's first is 8, but an odd one allows equal padding at both ends."""


class Conv1d(nn.Module):
    """Takes windows (N, channels, time) of accelerometers and other sensors: three blocks, and the mean over time.

    Differs from the paper in size: that has 128, 256 and 128 channels and keeps the whole length throughout.

    Args:
        width: channels of the first and the last block; the one between has twice as many.
        pool: number of time steps that a max pool between blocks turns into one; 1 for no pooling.
        dropout: share of the last features that training leaves out.
    """

    def __init__(
        self, classes: int, input_shape: Sequence[int], width: int = 32, pool: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if len(input_shape) != 2:
            raise ModelError(
                f"conv1d takes windows (channels, time); these inputs have shape {tuple(input_shape)}",
                'model = "resnet8" for images, "mlp" for any shape, or data shaped (N, channels, time)',
            )
        positive("conv1d", width=width, pool=pool)
        channels, length = (int(n) for n in input_shape)
        if length < pool**2:
            raise ModelError(
                f"conv1d: a window of {length} steps can't be pooled by {pool} twice",
                f"windows of at least {pool**2} steps, or pool = 1",
            )
        blocks: list[nn.Module] = []
        for number, (outputs, kernel) in enumerate(zip((width, 2 * width, width), KERNELS, strict=True)):
            if number and pool > 1:
                blocks.append(nn.MaxPool1d(pool))
            conv = nn.Conv1d(channels, outputs, kernel, padding=kernel // 2, bias=False)
            blocks.append(nn.Sequential(conv, nn.BatchNorm1d(outputs), nn.ReLU()))
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (N, channels, time) to logits (N, classes)."""
        logits: Tensor = self.linear(self.dropout(self.flatten(self.pool(self.blocks(x)))))
        return logits
