"""Translates torch.export's nodes into the graph's operators, one after the other."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from edgekd.graph.ops import Constant
from edgekd.graph.structure import Array, Operator, Tensor

BATCH = 2
"""The batch size of the example input; it is not 1, so that `squeeze()` can't remove the batch."""


@dataclass(frozen=True)
class Refusal:
    """An operator of the model that has no form in the graph, and why."""

    layer: str
    operator: str
    source: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.operator}, {self.source}" if self.source else self.operator
        return f"{self.layer} ({where}){': ' + self.reason if self.reason else ''}"


class Unsupported(Exception):
    """Raised where a node has no form in the graph; the text says why."""


class Reader:
    """Turns torch.export's nodes into operators.

    Attributes:
        names: the tensor that each node stands for; "?" behind a refused node.
        parts: the tensors of nodes that return several.
        inputs, tensors, operators: of the graph that is being built.
        refusals: the nodes that have no form.
    """

    def __init__(self, program: Any, lowerings: Mapping[str, "Lowering"]) -> None:
        self.program, self.lowerings = program, lowerings
        self.names: dict[fx.Node, str] = {}
        self.parts: dict[fx.Node, tuple[str, ...]] = {}
        self.inputs: list[str] = []
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self.refusals: list[Refusal] = []
        self.name_counts: dict[str, int] = {}

    def read(self, node: fx.Node) -> None:
        """Translate one node; a node that has no form is added to `refusals`."""
        if node.op == "placeholder":
            self._take_input(node)
        if node.op != "call_function":
            return
        kind = kind_of(node)
        if kind == "item" and node.args[0] in self.names:
            self.refusals.append(Refusal(self.path(node), kind, _source(node), "it makes a number of a tensor"))
            self.names[node] = "?"
        if not isinstance(node.meta.get("val"), (torch.Tensor, tuple, list)):
            return
        if kind == "_guards_fn":
            return
        if node in self.names:
            return  # an earlier node has named its tensor
        if kind == "getitem" and node.args[0] in self.names:
            self._take_part(node)
            return
        inputs = [arg for arg in node.all_input_nodes if arg in self.names]
        if not inputs and not self._depends_on_refusal(node):
            return  # works on constants alone
        if self._depends_on_refusal(node):
            self._refuse_if_unknown(node, kind)
            self.names[node] = "?"
            return
        try:
            if kind not in self.lowerings:
                raise Unsupported("")
            self.lowerings[kind](self, node)
        except Unsupported as reason:
            self.refusals.append(Refusal(self.path(node), kind, _source(node), str(reason)))
            self.names[node] = "?"

    def _take_part(self, node: fx.Node) -> None:
        """Name one of the tensors that a node returns; "?" where it has no form or the node was refused."""
        source, number = node.args
        parts = self.parts.get(source, ())  # type: ignore[arg-type]
        self.names[node] = parts[number] if number < len(parts) else "?"  # type: ignore[operator,index]

    def _take_input(self, node: fx.Node) -> None:
        value = node.meta["val"]
        name = f"input_{len(self.inputs)}" if self.inputs else "input"
        self.inputs.append(name)
        self.name_counts[name] = 1  # a module may be called so too
        self.tensors[name] = Tensor(name, _shape(node), kind="real" if value.is_floating_point() else "index")
        self.names[node] = name

    def _depends_on_refusal(self, node: fx.Node) -> bool:
        return any(self.names.get(arg) == "?" for arg in node.all_input_nodes)

    def _refuse_if_unknown(self, node: fx.Node, kind: str) -> None:
        if kind not in self.lowerings:
            self.refusals.append(Refusal(self.path(node), kind, _source(node), ""))

    def value(self, argument: Any) -> Array | None:
        """The values of a parameter or buffer, or of an expression of those alone, as float32; None for None."""
        if argument is None:
            return None
        if not isinstance(argument, fx.Node) or self.is_tensor(argument):
            raise Unsupported("its weights depend on the inputs")
        with torch.no_grad():
            return np.array(self.evaluate(argument).detach().cpu().numpy(), dtype=np.float32)

    def evaluate(self, node: fx.Node) -> Any:
        """Evaluate a parameter or buffer, or an expression of those alone, in torch."""
        if node.op == "get_attr":
            value: Any = self.program
            for part in str(node.target).split("."):
                value = getattr(value, part)
            return value
        args, kwargs = fx.map_arg((node.args, node.kwargs), self.evaluate)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def name(self, argument: Any) -> str:
        """The name of the tensor that an argument stands for."""
        if not self.is_tensor(argument):
            raise Unsupported("one of its operands is a constant")
        return self.names[argument]

    def is_tensor(self, argument: Any) -> bool:
        """Does the argument stand for a tensor of the graph, not for a number or an expression of parameters?"""
        return isinstance(argument, fx.Node) and argument in self.names

    def constant(self, node: fx.Node, values: Array) -> str:
        """Add a constant operand for `node`; `values` have no batch axis."""
        name = self._free(f"{self.path(node)}/constant")
        self.tensors[name] = Tensor(name, values.shape)
        self.operators.append(Constant(name, (), name, values.astype(np.float32), source=_source(node)))
        return name

    def _free(self, name: str) -> str:
        """The name, with a number where another tensor has it."""
        count = self.name_counts[name] = self.name_counts.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"

    def shape(self, argument: Any) -> tuple[int, ...]:
        """The shape of the tensor that an argument stands for, without the batch."""
        return self.tensors[self.name(argument)].shape

    def path(self, node: fx.Node) -> str:
        """The module path of a node, such as "layer1.0.conv1"."""
        stack = node.meta.get("nn_module_stack") or {}
        paths = [path for path, _ in stack.values()]
        return re.sub(r"^L\['self'\]\.?", "", paths[-1]) if paths and paths[-1] else str(node.name)

    def emit(self, node: fx.Node, kind: type[Operator], inputs: tuple[str, ...], **fields: Any) -> str:
        """Add an operator and return its output's name.

        Args:
            fields: the operator's own; `shape` and `name` replace the node's output shape and module path.
        """
        shape = fields.pop("shape", None)
        shape = _shape(node) if shape is None else shape
        name = self._free(fields.pop("name", None) or self.path(node))
        self.tensors[name] = Tensor(name, shape)
        self.operators.append(kind(name=name, inputs=inputs, output=name, source=_source(node), **fields))
        self.names[node] = name
        return name

    def several(self, node: fx.Node, names: Iterable[str]) -> None:
        """Let a node stand for several tensors, which its getitem nodes select."""
        self.parts[node] = tuple(names)
        self.names[node] = self.parts[node][0]

    def same(self, node: fx.Node, argument: Any) -> None:
        """Let a node that changes nothing stand for the tensor of its argument."""
        self.names[node] = self.name(argument)


Lowering = Callable[[Reader, fx.Node], None]


def kind_of(node: fx.Node) -> str:
    """The operator's name without overload and in-place mark: "relu" for aten.relu_.default."""
    name = getattr(node.target, "__name__", str(node.target)).split(".")[0]
    return name if name.startswith("_") else name.rstrip("_")


def _source(node: fx.Node) -> str:
    """The innermost line of the user's code that made the node, as "nets.py:41"."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    own = [f for f in frames if "/torch/" not in f[0]] or frames
    return f"{own[-1][0].replace(chr(92), '/').rsplit('/', 1)[-1]}:{own[-1][1]}" if own else ""


def _shape(node: fx.Node) -> tuple[int, ...]:
    shape = tuple(int(n) for n in node.meta["val"].shape)
    if not shape or shape[0] != BATCH:
        raise Unsupported("it mixes the samples of a batch")
    return shape[1:]


def arguments(node: fx.Node, *names: str) -> list[Any]:
    """The node's arguments of these names by the operator's schema, with its defaults."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    values = {argument.name: value for argument, value in zip(schema, node.args, strict=False)}
    values |= node.kwargs
    defaults = {a.name: a.default_value for a in schema if a.has_default_value()}
    return [values.get(name, defaults.get(name)) for name in names]
