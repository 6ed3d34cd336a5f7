"""Layer norm."""

import numpy as np
from torch import fx

from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments
from edgekd.graph.ops import LayerNorm


def _lower_layer_norm(reader: Reader, node: fx.Node) -> None:
    x, axes, w, b, epsilon = arguments(node, "input", "normalized_shape", "weight", "bias", "eps")
    if len(axes) != 1:
        raise Unsupported(f"it normalises over {len(axes)} axes; over the last one alone is supported")
    weight, bias = reader.value(w), reader.value(b)
    weight = np.ones(axes[0], np.float32) if weight is None else weight
    bias = np.zeros(axes[0], np.float32) if bias is None else bias
    reader.emit(node, LayerNorm, (reader.name(x),), weight=weight, bias=bias, epsilon=float(epsilon))


LOWERINGS: dict[str, Lowering] = {"layer_norm": _lower_layer_norm}
