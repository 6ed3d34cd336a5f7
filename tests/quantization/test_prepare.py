"""Preparation of a graph for quantisation, and selection by name of the layers that stay in float."""

import numpy as np
import pytest
import torch
from support.networks import Everything, lived_in

from edgekd.errors import ConfigError
from edgekd.graph.capture import capture
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Graph
from edgekd.quantization.inputs import Normalisation, of_pixels
from edgekd.quantization.islands import real_part
from edgekd.quantization.prepare import matching_operators, prepared, without_boundaries
from edgekd.quantization.simulate import Simulation

RGB = Normalisation(1 / 255, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return capture(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))


def test_layers_are_named_as_they_are_or_by_pattern(graph: Graph) -> None:
    names = [op.name for op in graph.operators]
    assert matching_operators(graph, ["pointwise"]) == ("pointwise",)
    assert matching_operators(graph, ["*wise", "stem"]) == ("stem", "depthwise", "pointwise")
    assert matching_operators(graph, ["*"]) == tuple(names)
    assert matching_operators(graph, []) == ()


def test_a_name_that_is_none_is_refused_with_the_nearest(graph: Graph) -> None:
    with pytest.raises(ConfigError, match="no operator of the student is called 'pointwize'") as caught:
        matching_operators(graph, ["pointwize"])
    assert (caught.value.remedy or "").startswith("pointwise")
    with pytest.raises(ConfigError) as caught:
        matching_operators(graph, ["zzz.*"])
    assert "edgekd check --layers" in (caught.value.remedy or "")


def test_layers_in_float_have_boundaries_that_are_counted(graph: Graph) -> None:
    ready = prepared(graph, RGB, of_pixels(RGB), float_layers=["pointwise"])
    assert (ready.float_layers, real_part(ready.graph).boundaries) == (("pointwise",), 2)
    kinds = [type(op) for op in ready.graph.operators]
    assert (kinds.count(Dequantize), kinds.count(Quantize)) == (1, 1)


def test_a_file_that_is_float_throughout_needs_no_boundaries(graph: Graph) -> None:
    ready = prepared(graph, RGB, float_layers=["pointwise", "last"])
    plain = without_boundaries(ready.graph)
    assert [op.name for op in plain.operators] == [op.name for op in graph.operators]
    assert set(plain.tensors) == {*plain.inputs, *(op.output for op in plain.operators)}
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(Simulation(plain)(x), Simulation(graph)(x), rtol=0, atol=0)


def test_passes_are_made_as_asked_for(graph: Graph) -> None:
    untouched = prepared(graph, RGB)
    assert untouched.graph == graph
    ready = prepared(graph, RGB, of_pixels(RGB), equalise=True)
    assert ready.graph.tensors["input"].fixed == of_pixels(RGB).quantization
    assert ready.equalised_pairs == 1
    assert ready.border == pytest.approx(0.5 / 255 / 0.25)  # half a pixel, of a standard deviation
    weights = zip(graph.weighted(), ready.graph.weighted(), strict=True)
    assert [op.name for op, other in weights if not np.array_equal(op.weight, other.weight)]
