"""Decides which tensors share a scale and which scales are fixed, and computes the quantization of a range.

Operators that only move or select codes can't rescale them: their inputs and their output are one group, on one scale
(a concatenation groups all its operands, as TFLite's and onnxruntime's kernels demand). The group's range covers the
ranges of its members. Where a group would hold two scales of which one is fixed, a Requantize is inserted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from edgekd.graph.ops import Requantize
from edgekd.graph.structure import QMAX, QMIN, Bits, Graph, Operator, Quantization, Tensor
from edgekd.quantization.islands import real_tensors


class Groups:
    """Groups of tensors that share a scale, as a forest: each tensor points towards the owner of its group."""

    def __init__(self) -> None:
        self.parents: dict[str, str] = {}

    def add(self, tensor: str, to: str = "") -> None:
        """Add a tensor as a group by itself, or to another's group."""
        self.parents[tensor] = to or tensor

    def owner(self, tensor: str) -> str:
        """The tensor that stands for a tensor's group."""
        while self.parents[tensor] != tensor:
            tensor = self.parents[tensor]
        return tensor

    def join(self, tensors: Iterable[str]) -> str:
        """Merge the groups of several tensors, and return the owner, which is that of the first one."""
        owners = [self.owner(name) for name in tensors]
        for owner in owners[1:]:
            self.parents[owner] = owners[0]
        return owners[0]


def with_requantize(graph: Graph) -> Graph:
    """A float graph with its fixed scales set, and a Requantize wherever a group would have two scales."""
    real, groups = real_tensors(graph), Groups()
    tensors, operators = dict(graph.tensors), list[Operator]()
    for name in graph.inputs:
        groups.add(name)
    for op in graph.operators:
        if not _has_codes(tensors[op.output], real):
            operators.append(op)
            continue
        if not op.same_scale:
            output = tensors[op.output]
            tensors[op.output] = replace(output, fixed=output.fixed or op.fixed_output)
            groups.add(op.output, output.like)
            operators.append(op)
            continue
        if len({tensors[groups.owner(name)].fixed for name in op.inputs}) > 1:
            requantizes = _requantize_fixed(op, tensors, groups)
            operators += requantizes.values()
            inputs = (requantizes[name].output if name in requantizes else name for name in op.inputs)
            op = replace(op, inputs=tuple(inputs))
        groups.add(op.output, groups.join(op.inputs))
        operators.append(op)
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _requantize_fixed(op: Operator, tensors: dict[str, Tensor], groups: Groups) -> dict[str, Operator]:
    """A Requantize to the group's scale for each input whose scale is fixed, by the input's name."""
    operators: dict[str, Operator] = {}
    for name in dict.fromkeys(op.inputs):
        if tensors[groups.owner(name)].fixed:
            output = f"{name}/rescaled for {op.name}"
            tensors[output] = Tensor(output, tensors[name].shape, bits=tensors[op.output].bits)
            groups.add(output)
            operators[name] = Requantize(output, (name,), output, source=op.source)
    return operators


def scale_owners(graph: Graph) -> dict[str, str]:
    """The owner of each tensor's group, by the tensor's name, in a graph `with_requantize`.

    Indices and tensors inside float islands have no scale, and so no owner.
    """
    real, groups = real_tensors(graph), Groups()
    for name in graph.inputs:
        if graph.tensors[name].kind == "real":
            groups.add(name)
    for op in graph.operators:
        if _has_codes(graph.tensors[op.output], real):
            group = groups.join(op.inputs) if op.same_scale else graph.tensors[op.output].like
            groups.add(op.output, group)
    return {name: groups.owner(name) for name in groups.parents}


def symmetric(graph: Graph, owners: Mapping[str, str]) -> set[str]:
    """The owners of groups whose zero point is code 0 because an operator demands it."""
    inputs = (op.inputs[place] for op in graph.operators for place in op.symmetric_inputs)
    return {owners[name] for name in inputs if name in owners}


def _has_codes(tensor: Tensor, real: set[str]) -> bool:
    return tensor.kind == "real" and tensor.name not in real


def from_range(low: float, high: float, bits: Bits = 8, *, symmetric: bool = False) -> Quantization:
    """The scale and zero point that cover [low, high] and represent zero exactly; with 16 bits zero is code 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    if bits == 16 or symmetric:
        return Quantization(float(np.float32(max(-low, high, 1e-6) / (2 ** (bits - 1) - 1))), 0, bits)
    scale = np.float32(max(high - low, 1e-6) / (QMAX - QMIN))
    zero_point = int(min(max(np.rint(QMIN - low / scale), QMIN), QMAX))
    return Quantization(float(scale), zero_point)
