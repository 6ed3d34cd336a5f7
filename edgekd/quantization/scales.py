"""Which tensors share a scale, which scales are fixed, and the scale and zero point that cover a range.

Operators that only move or choose codes can't rescale them: their inputs and their output are one group, on one scale
(a concatenation ties all that it joins, as TFLite's and onnxruntime's kernels ask). The group's range covers what each
of its producers gives. Where a group would hold two scales of which one is fixed, a Requantize comes between.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from edgekd.graph.ops import Requantize
from edgekd.graph.structure import QMAX, QMIN, Bits, Graph, Operator, Quantization, Tensor
from edgekd.quantization.islands import real_tensors


class Groups:
    """Tensors that share a scale, as a forest: each points towards the one that stands for all."""

    def __init__(self) -> None:
        self.parents: dict[str, str] = {}

    def add(self, tensor: str, to: str = "") -> None:
        """A tensor by itself, or in another's group."""
        self.parents[tensor] = to or tensor

    def owner(self, tensor: str) -> str:
        """The tensor that stands for the group."""
        while self.parents[tensor] != tensor:
            tensor = self.parents[tensor]
        return tensor

    def join(self, tensors: Iterable[str]) -> str:
        """Make one group of several; the owner of the first one's stands for it."""
        owners = [self.owner(name) for name in tensors]
        for owner in owners[1:]:
            self.parents[owner] = owners[0]
        return owners[0]


def with_requantize(graph: Graph) -> Graph:
    """A float graph whose fixed scales are written down, with a Requantize wherever two scales would have to be one."""
    real, groups = real_tensors(graph), Groups()
    tensors, operators = dict(graph.tensors), list[Operator]()
    for name in graph.inputs:
        groups.add(name)
    for op in graph.operators:
        if not _coded(tensors[op.output], real):
            operators.append(op)
            continue
        if not op.same_scale:
            output = tensors[op.output]
            tensors[op.output] = replace(output, fixed=output.fixed or op.fixed_output)
            groups.add(op.output, output.like)
            operators.append(op)
            continue
        if len({tensors[groups.owner(name)].fixed for name in op.inputs}) > 1:
            before = _requantized(op, tensors, groups)
            operators += before.values()
            op = replace(op, inputs=tuple(before[name].output if name in before else name for name in op.inputs))
        groups.add(op.output, groups.join(op.inputs))
        operators.append(op)
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _requantized(op: Operator, tensors: dict[str, Tensor], groups: Groups) -> dict[str, Operator]:
    """For those of the inputs whose scale is fixed, what takes them to one that can be shared."""
    found: dict[str, Operator] = {}
    for name in dict.fromkeys(op.inputs):
        if tensors[groups.owner(name)].fixed:
            output = f"{name}/rescaled for {op.name}"
            tensors[output] = Tensor(output, tensors[name].shape, bits=tensors[op.output].bits)
            groups.add(output)
            found[name] = Requantize(output, (name,), output, source=op.source)
    return found


def scale_owners(graph: Graph) -> dict[str, str]:
    """tensor -> the tensor that stands for its group, in a graph `with_requantize`.

    Indices and the insides of float islands have no scale, and so no owner.
    """
    real, groups = real_tensors(graph), Groups()
    for name in graph.inputs:
        if graph.tensors[name].kind == "real":
            groups.add(name)
    for op in graph.operators:
        if _coded(graph.tensors[op.output], real):
            shared = groups.join(op.inputs) if op.same_scale else graph.tensors[op.output].like
            groups.add(op.output, shared)
    return {name: groups.owner(name) for name in groups.parents}


def symmetric(graph: Graph, owners: Mapping[str, str]) -> set[str]:
    """The owners of groups whose zero point is code 0, because an operator asks for that."""
    inputs = (op.inputs[place] for op in graph.operators for place in op.symmetric_inputs)
    return {owners[name] for name in inputs if name in owners}


def _coded(tensor: Tensor, real: set[str]) -> bool:
    return tensor.kind == "real" and tensor.name not in real


def from_range(low: float, high: float, bits: Bits = 8, *, symmetric: bool = False) -> Quantization:
    """The scale and zero point that cover [low, high] and hold zero exactly; with 16 bits zero is code 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    if bits == 16 or symmetric:
        return Quantization(float(np.float32(max(-low, high, 1e-6) / (2 ** (bits - 1) - 1))), 0, bits)
    scale = np.float32(max(high - low, 1e-6) / (QMAX - QMIN))
    zero_point = int(min(max(np.rint(QMIN - low / scale), QMIN), QMAX))
    return Quantization(float(scale), zero_point)
