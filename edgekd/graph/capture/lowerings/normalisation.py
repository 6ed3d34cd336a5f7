"""Lowerings of layer norm and group norm."""

from typing import Any

import numpy as np
from torch import fx

from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments
from edgekd.graph.ops import GroupNorm, LayerNorm
from edgekd.graph.structure import Array


def _lower_layer_norm(reader: Reader, node: fx.Node) -> None:
    x, axes, w, b, epsilon = arguments(node, "input", "normalized_shape", "weight", "bias", "eps")
    if len(axes) != 1:
        raise Unsupported(f"it normalises over {len(axes)} axes; over the last one alone is supported")
    reader.emit(node, LayerNorm, (reader.name(x),), **_parameters(reader, axes[0], w, b), epsilon=float(epsilon))


def _lower_group_norm(reader: Reader, node: fx.Node) -> None:
    x, groups, w, b, epsilon = arguments(node, "input", "num_groups", "weight", "bias", "eps")
    parameters = _parameters(reader, reader.shape(x)[0], w, b)
    reader.emit(node, GroupNorm, (reader.name(x),), **parameters, epsilon=float(epsilon), groups=groups)


def _parameters(reader: Reader, count: int, weight: Any, bias: Any) -> dict[str, Array]:
    """Weight and bias, with ones and zeros where torch has none."""
    parameters = {"weight": reader.value(weight), "bias": reader.value(bias)}
    neutral = {"weight": np.ones(count, np.float32), "bias": np.zeros(count, np.float32)}
    return {name: neutral[name] if values is None else values for name, values in parameters.items()}


LOWERINGS: dict[str, Lowering] = {"layer_norm": _lower_layer_norm, "group_norm": _lower_group_norm}
