"""Small networks with known outputs, written by the exporters, for the tests of the runners."""

from pathlib import Path

import numpy as np

from edgekd.formats import onnx, tflite
from edgekd.graph.ops import Conv2d, GlobalAveragePool, Linear
from edgekd.graph.structure import Graph, Quantization, Tensor

WRITERS = {"tflite": tflite.write, "onnx": onnx.write}


def linear() -> Graph:
    """Return the float graph of y = [x0 + 2 x1 + 0.5, 3 x0 - x1]."""
    weight, bias = np.array([[1, 2], [3, -1]], np.float32), np.array([0.5, 0], np.float32)
    tensors = {name: Tensor(name, (2,)) for name in ("x", "y")}
    return Graph("x", "y", tensors, (Linear("fc", ("x",), "y", weight, bias),))


def codes() -> Graph:
    """Return a graph whose output code is half the sum of the input's codes, plus 3: the scales are 1 and 2."""
    tensors = {
        "x": Tensor("x", (2,), Quantization(1.0, 0)),
        "y": Tensor("y", (1,), Quantization(2.0, 3)),
    }
    weight, bias = np.array([[1, 1]], np.int8), np.array([0], np.int32)
    fc = Linear("fc", ("x",), "y", weight, bias, weight_scale=np.array([1.0], np.float32))
    return Graph("x", "y", tensors, (fc,))


def image() -> Graph:
    """Return a float graph of a 3x3 convolution of a (2, 6, 5) image to 4 channels, and its mean over the image."""
    random = np.random.default_rng(0)
    weight, bias = random.standard_normal((4, 2, 3, 3)).astype(np.float32), np.zeros(4, np.float32)
    tensors = {name: Tensor(name, shape) for name, shape in (("x", (2, 6, 5)), ("c", (4, 4, 3)), ("y", (4,)))}
    return Graph("x", "y", tensors, (Conv2d("conv", ("x",), "c", weight, bias), GlobalAveragePool("mean", ("c",), "y")))


def write(graph: Graph, folder: Path, kind: str, name: str = "model") -> Path:
    return WRITERS[kind](graph, folder / f"{name}.{kind}")
