"""Layer norm: exact in every runtime, or refused by name."""

import numpy as np
import pytest
import torch
from support.networks import lived_in
from support.parity import assert_exact
from torch import Tensor, nn

from edgekd.catalog.formats import format_module
from edgekd.errors import UnsupportedOperatorError
from edgekd.graph.capture import capture
from edgekd.graph.operators.normalisation_training import root
from edgekd.graph.ops import LayerNorm
from edgekd.quantization.islands import real_part
from edgekd.quantization.simulate import Simulation


class Normalised(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


@pytest.mark.parametrize("width", [8, 21, 64])
def test_layer_norm_is_exact_over_any_width(width):
    graph = assert_exact(lived_in(Normalised(width), (3, width)), (3, width))
    part = real_part(graph)
    assert [type(op) for op in part.operators] == [LayerNorm]
    assert part.boundaries == 2, "its way into real values and back"


def test_the_root_in_a_trained_layer_norm_is_that_of_ieee():
    """torch.sqrt may give the number below or above, by which a few codes came out wrong."""
    values = np.linspace(1e-6, 2**14, 2**18, dtype=np.float32)
    assert np.array_equal(root(torch.from_numpy(values)).numpy(), np.sqrt(values))


def test_a_layer_norm_that_can_not_be_exact_is_refused_by_name():
    for width, kind in ((4, "onnx"), (2048, "tflite")):
        simulation = Simulation(capture(Normalised(width), (2, width)))
        with pytest.raises(UnsupportedOperatorError, match=r"norm \(layer_norm, test_normalisation\.py:\d+\)"):
            format_module(kind).serialize(simulation.quantized_graph())
