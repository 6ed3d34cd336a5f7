"""A builder of random float graphs for Hypothesis: each operator is computed as it is added, so that values are real.

Hypothesis draws the structure, which it can shrink; arrays come from a seed. `random_operators` adds the operators.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from edgekd.graph import reference
from edgekd.graph.capture.affine import BatchNorm
from edgekd.graph.capture.simplify import simplified
from edgekd.graph.operators.training import in_float
from edgekd.graph.ops import Constant
from edgekd.graph.structure import Array, Graph, Kernels, Operator, Weighted
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.quantization.simulate import Simulation

SAMPLES = 4
LARGEST_VALUE = 1e3
ACTIVATIONS = ("none", "relu", "relu6")
STILL = (0.0, 0.0)
"""The stretch of a range that shrinks to nothing, as that of a layer does which never stirs; no other one does."""


@dataclass(frozen=True)
class Drawn:
    """A random graph with inputs.

    Attributes:
        graph: the graph as capture would read it, before any pass.
        inputs: (SAMPLES, *shape) for each input.
        stretches: the factors of the ends of each range; 0 puts the zero point on an end of the codes.
    """

    graph: Graph
    inputs: tuple[Tensor, ...]
    stretches: tuple[tuple[float, float], ...]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the graph when Hypothesis reports a failure."""
        lines = [f"{name}: {self.graph.tensors[name].shape}" for name in self.graph.inputs]
        lines += [_describe(op, self.graph) for op in self.graph.operators]
        lines += [f"outputs {self.graph.outputs}", f"stretches {self.stretches}"]
        printer.text("\n  ".join(["", *lines]))


class GraphBuilder:
    """A graph that grows by one random operator after another."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.random = np.random.default_rng(draw(st.integers(0, 999)))
        self.values: dict[str, Tensor] = {}
        self.operators: list[Operator] = []

    def one_of(self, *choices: Any) -> Any:
        """Draw one of the choices; Hypothesis shrinks to the first."""
        return self.draw(st.sampled_from(choices))

    def between(self, low: int, high: int) -> int:
        value: int = self.draw(st.integers(low, high))
        return value

    def normal(self, *shape: int) -> np.ndarray:
        return self.random.normal(size=shape).astype(np.float32)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.values[name].shape[1:])

    def newest(self, *ranks: int, fits: Callable[[tuple[int, ...]], bool] = lambda shape: True) -> str:
        """Draw one of the last three float tensors of such a rank that fit; constants are excluded."""
        constants = {op.output for op in self.operators if isinstance(op, Constant)}
        names = [
            name
            for name, values in self.values.items()
            if name not in constants
            and values.is_floating_point()
            and values.ndim - 1 in ranks
            and fits(self.shape(name))
        ]
        assume(names)
        name: str = self.one_of(*reversed(names[-3:]))
        return name

    def input(self, shape: tuple[int, ...]) -> str:
        return self._input(torch.tensor(self.normal(SAMPLES, *shape) * np.float32(10.0 ** self.random.uniform(-2, 2))))

    def tokens(self, length: int, vocabulary: int) -> str:
        return self._input(torch.tensor(self.random.integers(0, vocabulary, (SAMPLES, length)), dtype=torch.int32))

    def _input(self, values: Tensor) -> str:
        name = f"input_{len(self.values)}"
        self.values[name] = values
        return name

    def emit(self, kind: type[Operator], *inputs: str, shape: tuple[int, ...] = (), **fields: Any) -> str:
        """Add an operator and compute it; `shape` is the output's shape, if its float form needs it."""
        name = f"{kind.__name__}_{len(self.operators)}"
        op: Any = kind(name=name, inputs=inputs, output=name, **fields)
        values = self._computed(op, shape)
        if isinstance(op, Weighted) and op.activation == "none":  # the scale of the output is drawn
            gain = np.float32(self.one_of(1.0, 20.0, 0.05) / max(float(values.abs().max()), 1e-6))
            op = kind(**{**vars(op), "weight": op.weight * gain, "bias": op.bias * gain})
            values = self._computed(op, shape)
        assume(float(values.abs().max()) < LARGEST_VALUE)
        self.values[name] = values
        self.operators.append(op)
        return name

    def _computed(self, op: Operator, shape: tuple[int, ...]) -> Tensor:
        inputs = [self.values[name] for name in op.inputs]
        if isinstance(op, BatchNorm):
            scale, shift = (torch.tensor(v.reshape(-1, *[1] * (inputs[0].ndim - 2))) for v in (op.scale, op.shift))
            return inputs[0] * scale + shift
        parameters = [torch.tensor(getattr(op, field)) for field in op.parameters]
        values: Tensor = in_float(op, *inputs, *parameters, shape=shape)
        return values if op.inputs else values.expand(SAMPLES, *values.shape[1:])

    def weights(self, *shape: int) -> dict[str, np.ndarray]:
        """Return weights of equal scale, of very different scales, or with channels of zeros; and biases."""
        weight = self.normal(*shape) / np.sqrt(prod(shape[1:]))
        bias = self.normal(shape[0]) * self.one_of(0.0, 0.3, 30.0)
        kind = self.one_of("even", "wild", "zero channels", "coarse")
        strength = np.ones(shape[0])
        if kind == "wild":
            strength = 10.0 ** self.random.uniform(-4, 2, shape[0])
        if kind == "zero channels":
            strength[self.random.random(shape[0]) < 0.5] = 0
            bias *= self.random.random(shape[0]) < 0.5
        if kind == "coarse":  # few codes, so that ties in rounding are frequent
            weight = np.sign(weight) * self.one_of(1.0, 0.5)
        weight = weight * strength.reshape(-1, *[1] * (len(shape) - 1))
        return {"weight": weight.astype(np.float32), "bias": (bias * strength).astype(np.float32)}

    def build(self) -> Drawn:
        """Return the graph; its outputs are the tensors that no operator reads."""
        inputs_of_operators = {name for op in self.operators for name in op.inputs}
        outputs = tuple(op.output for op in self.operators if op.inputs and op.output not in inputs_of_operators)
        assume(outputs)
        tensors = {
            name: GraphTensor(name, self.shape(name), kind="real" if values.is_floating_point() else "index")
            for name, values in self.values.items()
        }
        outputs_of_operators = {op.output for op in self.operators}
        inputs = tuple(name for name in self.values if name not in outputs_of_operators)
        graph = Graph(inputs, outputs, tensors, tuple(self.operators)).until(*outputs)
        end = st.sampled_from((1.0, 1.0, 1.0, 0.4, 2.5, 0.0))
        stretches = self.draw(st.lists(st.tuples(end, end), min_size=1, max_size=5))
        return Drawn(graph, tuple(self.values[name] for name in graph.inputs), tuple(stretches))


def drawn_int8(drawn: Drawn, kernels: Kernels) -> tuple[Simulation, Graph, tuple[Array, ...]]:
    """Return the simulation and the int8 graph on stretched ranges, and input codes that reach their ends."""
    graph = simplified(drawn.graph)
    assume(not set(graph.outputs) & set(graph.inputs) and len(set(graph.outputs)) == len(graph.outputs))
    simulation = Simulation(graph, kernels).eval()
    simulation.calibrate([drawn.inputs])
    for i in range(len(simulation.lows)):
        low, high = drawn.stretches[i % len(drawn.stretches)]
        if (low, high) == STILL or simulation.lows[i] * low < 0 or simulation.highs[i] * high > 0:
            simulation.lows[i] *= low
            simulation.highs[i] *= high
    simulation.fake_quantized = True
    graph = simulation.quantized_graph()
    return (
        simulation,
        graph,
        tuple(_codes_of(graph, name, x) for name, x in zip(graph.inputs, drawn.inputs, strict=True)),
    )


def _codes_of(graph: Graph, name: str, x: torch.Tensor) -> Array:
    codes = reference.input_codes(graph, name, x.numpy())
    if graph.tensors[name].kind == "index":
        return codes
    ends = np.random.default_rng(0).choice(np.array([-128, 127], np.int8), codes[:1].shape)
    return np.concatenate([codes[:-1], ends])


def _describe(op: Operator, graph: Graph) -> str:
    skipped = {"name", "inputs", "output", "source", *op.parameters, "weight_scale"}
    fields = ", ".join(f"{key}={value}" for key, value in vars(op).items() if key not in skipped)
    return f"{op.output}: {graph.tensors[op.output].shape} = {type(op).__name__}({', '.join(op.inputs)}; {fields})"
