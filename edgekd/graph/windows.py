"""The geometry of sliding windows: lengths after a convolution or pool, and TFLite's names for paddings."""

from typing import Literal

from edgekd.graph.ops import AveragePool2d, Conv2d, MaxPool2d


def convolved(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """The length of an axis after a convolution or pool."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) that TensorFlow's SAME pads along one axis: the odd one goes after."""
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def tflite_padding(op: Conv2d | MaxPool2d | AveragePool2d, shape: tuple[int, ...]) -> Literal["SAME", "VALID"] | None:
    """TFLite's name for the operator's padding on an input of (C, H, W); None where it needs a PAD of its own."""
    if isinstance(op, AveragePool2d):
        return "VALID"
    if not any(op.padding):
        return "VALID"
    kernel = op.kernel if isinstance(op, MaxPool2d) else op.weight.shape[2:]
    dilation = op.dilation if isinstance(op, Conv2d) else (1, 1)
    height = same_padding(shape[1], kernel[0], op.stride[0], dilation[0])
    width = same_padding(shape[2], kernel[1], op.stride[1], dilation[1])
    return "SAME" if op.padding == height + width else None
