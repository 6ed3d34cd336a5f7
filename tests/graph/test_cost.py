"""Tests a graph's costs against sums computed by hand."""

from support.networks import Everything, lived_in, quantized
from torch import nn

from edgekd.graph import cost
from edgekd.graph.capture import capture


def test_macs_of_each_kind_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 8 * 3 * 9 weights at 8 x 8 positions
        nn.Conv2d(8, 8, 3, padding=1, groups=8),  # 8 * 9 at 8 x 8
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    graph = capture(model, (3, 16, 16))
    assert [op.macs(graph.tensors) for op in graph.operators] == [216 * 64, 72 * 64, 0, 80]
    assert cost.macs(graph) == 216 * 64 + 72 * 64 + 80
    assert cost.parameters(graph) == 216 + 8 + 72 + 8 + 80 + 10


def test_the_rows_add_up_and_weigh_int8_weights_with_int32_biases() -> None:
    _, graph, _ = quantized(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))
    rows = cost.operators(graph)
    assert sum(row.macs for row in rows) == cost.macs(graph)
    assert sum(row.parameters for row in rows) == cost.parameters(graph)
    stem = rows[0]
    assert (stem.weight_bytes, stem.output_bytes) == (16 * 27 + 4 * 16, 16 * 8 * 8)
    assert stem.operator == "conv2d 3x3 /2 + relu6"


def test_operators_are_described_as_a_reader_knows_them() -> None:
    graph = capture(Everything(), (3, 16, 16))
    described = [cost.describe(op) for op in graph.operators]
    assert "depthwise 3x3 + relu" in described
    assert "global average pool" in described
    assert "add + relu" in described
    assert "linear" in described
