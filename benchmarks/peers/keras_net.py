"""A trained student as a Keras network: the same layers with the same weights, channels last."""

import operator

import keras
import numpy as np
from torch import fx, nn
from torch.nn import functional as F

from benchmarks.peers.folding import fold


def to_keras(student: nn.Module, input_shape: tuple[int, ...]) -> keras.Model:
    """Fold batch norm, as TensorFlow's converter would, and convert to Keras; LookupError for an unknown layer."""
    student = fold(student)
    channels, height, width = input_shape
    values, start = {}, keras.Input((height, width, channels), batch_size=1)
    for node in fx.symbolic_trace(student).graph.nodes:
        inputs = [values[argument] for argument in node.args if isinstance(argument, fx.Node) and argument in values]
        if node.op == "placeholder":
            values[node] = start
        elif node.op == "output":
            return keras.Model(start, inputs[0])
        elif node.op == "call_module":
            values[node] = _layer(student.get_submodule(node.target), inputs[0])
        elif node.target in (operator.add, operator.iadd):
            values[node] = keras.layers.Add()(inputs)
        elif node.target is operator.getitem:
            batch, channels_slice, *axes = node.args[1]
            values[node] = inputs[0][(batch, *axes, channels_slice)]
        elif node.target is F.pad:
            values[node] = keras.ops.pad(inputs[0], _amounts(node.args[1]))
        else:
            raise LookupError(f"{node.target} has no Keras form in this benchmark")
    raise LookupError("the network has no output")


def _layer(layer: nn.Module, x: keras.KerasTensor) -> keras.KerasTensor:
    match layer:
        case nn.Conv2d():
            return _convolution(layer, x)
        case nn.Linear():
            dense = keras.layers.Dense(layer.out_features, use_bias=layer.bias is not None)
            return _with_weights(dense, x, layer.weight.detach().numpy().T, layer.bias)
        case nn.ReLU6():
            return keras.layers.ReLU(max_value=6.0)(x)
        case nn.ReLU():
            return keras.layers.ReLU()(x)
        case nn.AdaptiveAvgPool2d():
            return keras.layers.GlobalAveragePooling2D()(x)
        case nn.Flatten() | nn.Identity() | nn.Dropout():  # what is flattened here is pooled to (N, channels) already
            return x
    raise LookupError(f"{type(layer).__name__} has no Keras form in this benchmark")


def _amounts(padding: tuple[int, ...]) -> list[list[int]]:
    """Convert torch's padding (left, right, top, bottom, before, after the channels) to the axes (N, H, W, C)."""
    width, height, channels = (list(padding[start : start + 2]) for start in (0, 2, 4))
    return [[0, 0], height, width, channels]


def _convolution(conv: nn.Conv2d, x: keras.KerasTensor) -> keras.KerasTensor:
    """Convert a convolution; padding that is not Keras's "same" becomes a layer of its own."""
    same = conv.stride == (1, 1) and all(2 * p == k - 1 for p, k in zip(conv.padding, conv.kernel_size, strict=True))
    if any(conv.padding) and not same:
        x = keras.layers.ZeroPadding2D(conv.padding)(x)
    weight = conv.weight.detach().numpy().transpose(2, 3, 1, 0)
    settings = {
        "kernel_size": conv.kernel_size,
        "strides": conv.stride,
        "padding": "same" if same else "valid",
        "use_bias": conv.bias is not None,
    }
    if conv.groups == 1:
        return _with_weights(keras.layers.Conv2D(conv.out_channels, **settings), x, weight, conv.bias)
    if conv.groups != conv.in_channels or conv.out_channels != conv.in_channels:
        raise LookupError("grouped convolutions have no Keras form in this benchmark")
    return _with_weights(keras.layers.DepthwiseConv2D(**settings), x, weight.transpose(0, 1, 3, 2), conv.bias)


def _with_weights(
    layer: keras.layers.Layer, x: keras.KerasTensor, weight: np.ndarray, bias: nn.Parameter | None
) -> keras.KerasTensor:
    y = layer(x)
    layer.set_weights([weight] if bias is None else [weight, bias.detach().numpy()])
    return y
