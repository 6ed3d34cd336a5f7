"""Tensors that no operator can rescale share a scale; a Requantize is inserted where fixed scales conflict."""

import numpy as np
import torch
import torch.nn.functional as F
from support.networks import lived_in, quantized
from torch import Tensor, nn

from edgekd.graph.capture import capture
from edgekd.graph.ops import Concat, Requantize
from edgekd.graph.structure import Graph, Quantization
from edgekd.quantization.scales import scale_owners, with_requantize
from edgekd.quantization.simulate import Simulation


class Joined(nn.Module):
    """Two branches, one a hundred times as wide, that a concatenation joins and a sum reads too."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        narrow, wide = F.relu(self.narrow(x)), self.wide(x) * 100
        return torch.cat([F.max_pool2d(narrow, 2), wide[:, :, ::2, ::2]], 1), narrow + wide


def scale_of(graph: Graph, kind: type) -> Quantization:
    return graph.quantization(next(op.output for op in graph.operators if isinstance(op, kind)))


def test_what_a_concatenation_joins_shares_the_range_of_all_of_it() -> None:
    simulation, graph, _ = quantized(lived_in(Joined(), (2, 4, 4)), (2, 4, 4))
    concat = next(op for op in graph.operators if isinstance(op, Concat))
    assert len({graph.quantization(name) for name in (*concat.inputs, concat.output)}) == 1
    owner = simulation.scale_owner[concat.output]
    assert len(simulation.group[owner]) == 2
    assert not any(isinstance(op, Requantize) for op in graph.operators)


def test_a_shared_range_covers_each_producer_while_observing() -> None:
    simulation, _, _ = quantized(lived_in(Joined(), (2, 4, 4)), (2, 4, 4))
    narrow, wide = (simulation.range_index[name] for name in simulation.group[simulation.scale_owner["cat"]])
    simulation.train().observing = True
    for _ in range(100):
        simulation(torch.randn(8, 2, 4, 4))
    assert float(simulation.highs[narrow]) < float(simulation.highs[wide])
    q, high = simulation.quantization("cat"), float(simulation.highs[wide])
    assert abs((127 - q.zero_point) * q.scale - high) <= q.scale


class Saturating(nn.Module):
    """Branches whose scales TFLite fixes, with each other, with themselves and with a free one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        free = self.conv(x)
        low, both = torch.sigmoid(free), torch.tanh(free)
        return torch.cat([low, low[:, :1]], 1), torch.cat([low, both], 1), torch.cat([low, free, free], 1)


def test_fixed_scales_meet_others_by_a_requantize_alone() -> None:
    graph = with_requantize(capture(lived_in(Saturating(), (2, 4, 4)), (2, 4, 4)))
    alike, two, three = (op for op in graph.operators if isinstance(op, Concat))
    made_by = {op.output: type(op).__name__ for op in graph.operators}
    assert [made_by[name] for name in alike.inputs] == ["Unary", "Slice"]
    assert [made_by[name] for name in two.inputs] == ["Requantize", "Requantize"]
    assert [made_by[name] for name in three.inputs] == ["Requantize", "Conv2d", "Conv2d"]
    owners = scale_owners(graph)
    assert graph.tensors[owners[alike.output]].fixed == Quantization(1 / 256, -128)
    assert graph.tensors[owners[two.output]].fixed is None
    assert graph.tensors[owners[three.output]].fixed is None


def test_a_sensors_scale_stays_what_it_is_behind_a_concatenation() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, self.conv(x)], 1)

    graph = capture(lived_in(Beside(), (2, 4, 4)), (2, 4, 4))
    sensor = Quantization(float(np.float32(1 / 255)), -128)
    pinned = graph.tensors | {"input": graph.tensors["input"].__class__("input", (2, 4, 4), fixed=sensor)}
    simulation = Simulation(Graph(graph.inputs, graph.outputs, pinned, graph.operators))
    assert simulation.quantization("input") == sensor
    assert [type(op).__name__ for op in simulation.graph.operators] == ["Conv2d", "Requantize", "Concat"]


def test_a_padding_value_lies_in_the_range_of_what_it_surrounds() -> None:
    class Padded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.pad(F.relu(x), (1, 1), value=-7.0)

    simulation, graph, _ = quantized(Padded(), (2, 4))
    q = graph.quantization(graph.output)
    assert (-128 - q.zero_point) * q.scale <= -7.0 + q.scale / 2
    assert torch.isclose(simulation(torch.randn(1, 2, 4)).min(), torch.tensor(-7.0), atol=q.scale)
