"""Reads torch.export's nodes one after the other, and keeps the operators that they become."""

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
"""Of the example input; it differs from 1 so that `squeeze()` can't take the batch away unseen."""


@dataclass(frozen=True)
class Refused:
    """An operator that has no form in the graph."""

    layer: str
    operator: str
    source: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.operator}, {self.source}" if self.source else self.operator
        return f"{self.layer} ({where}){': ' + self.reason if self.reason else ''}"


class Unsupported(Exception):
    """This node has no form in the graph; the text says why."""


class Reader:
    """Turns torch.export's nodes into operators, one after the other."""

    def __init__(self, program: Any, lowerings: Mapping[str, "Lowering"]) -> None:
        self.program, self.lowerings = program, lowerings
        self.names: dict[fx.Node, str] = {}
        self.parts: dict[fx.Node, tuple[str, ...]] = {}  # of nodes that give several tensors
        self.inputs: list[str] = []
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self.refused: list[Refused] = []
        self.used: dict[str, int] = {}

    def read(self, node: fx.Node) -> None:
        """Take in one node; what has no form is noted in `refused`."""
        if node.op == "placeholder":
            self._take_input(node)
        if node.op != "call_function":
            return
        kind = kind_of(node)
        if kind == "item" and node.args[0] in self.names:
            self.refused.append(Refused(self.path(node), kind, _source(node), "it makes a number of a tensor"))
            self.names[node] = "?"
        if not isinstance(node.meta.get("val"), (torch.Tensor, tuple, list)):
            return
        if kind == "_guards_fn":
            return
        if node in self.names:
            return  # an operator before has said what it is
        if kind == "getitem" and node.args[0] in self.names:
            self._take_part(node)
            return
        inputs = [arg for arg in node.all_input_nodes if arg in self.names]
        if not inputs and not self._depends_on_refused(node):
            return  # works on constants alone
        if self._depends_on_refused(node):
            self._refuse_if_unknown(node, kind)
            self.names[node] = "?"
            return
        try:
            if kind not in self.lowerings:
                raise Unsupported("")
            self.lowerings[kind](self, node)
        except Unsupported as reason:
            self.refused.append(Refused(self.path(node), kind, _source(node), str(reason)))
            self.names[node] = "?"

    def _take_part(self, node: fx.Node) -> None:
        """One of several tensors; what stands for none, or comes of a refused node, can't be read any further."""
        source, number = node.args
        found = self.parts.get(source, ())  # type: ignore[arg-type]
        self.names[node] = found[number] if number < len(found) else "?"  # type: ignore[operator,index]

    def _take_input(self, node: fx.Node) -> None:
        value = node.meta["val"]
        name = f"input_{len(self.inputs)}" if self.inputs else "input"
        self.inputs.append(name)
        self.used[name] = 1  # a module may be called so too
        self.tensors[name] = Tensor(name, _shape(node), kind="real" if value.is_floating_point() else "index")
        self.names[node] = name

    def _depends_on_refused(self, node: fx.Node) -> bool:
        return any(self.names.get(arg) == "?" for arg in node.all_input_nodes)

    def _refuse_if_unknown(self, node: fx.Node, kind: str) -> None:
        if kind not in self.lowerings:
            self.refused.append(Refused(self.path(node), kind, _source(node), ""))

    def value(self, argument: Any) -> Array | None:
        """The values of a parameter, a buffer, or of what is computed from those alone; None for None."""
        if argument is None:
            return None
        if not isinstance(argument, fx.Node) or self.known(argument):
            raise Unsupported("its weights depend on the inputs")
        with torch.no_grad():
            return np.array(self.stored(argument).detach().cpu().numpy(), dtype=np.float32)

    def stored(self, node: fx.Node) -> Any:
        """A parameter or buffer, or what is computed from those alone, as torch has it."""
        if node.op == "get_attr":
            found: Any = self.program
            for part in str(node.target).split("."):
                found = getattr(found, part)
            return found
        args, kwargs = fx.map_arg((node.args, node.kwargs), self.stored)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def name(self, argument: Any) -> str:
        """The tensor that an argument stands for."""
        if not self.known(argument):
            raise Unsupported("one of its operands is a constant")
        return self.names[argument]

    def known(self, argument: Any) -> bool:
        """Does the argument stand for a tensor of the graph? Else it is a number, or made of parameters alone."""
        return isinstance(argument, fx.Node) and argument in self.names

    def constant(self, node: fx.Node, values: Array) -> str:
        """A tensor that holds `values`, without a batch axis, for `node` to take as an operand."""
        name = self._free(f"{self.path(node)}/constant")
        self.tensors[name] = Tensor(name, values.shape)
        self.operators.append(Constant(name, (), name, values.astype(np.float32), source=_source(node)))
        return name

    def _free(self, name: str) -> str:
        """The name, numbered where it is taken."""
        seen = self.used[name] = self.used.get(name, 0) + 1
        return name if seen == 1 else f"{name}#{seen}"

    def shape(self, argument: Any) -> tuple[int, ...]:
        """The shape of the tensor that an argument stands for, without the batch."""
        return self.tensors[self.name(argument)].shape

    def path(self, node: fx.Node) -> str:
        """The module path of a node, "layer1.0.conv1"."""
        stack = node.meta.get("nn_module_stack") or {}
        paths = [path for path, _ in stack.values()]
        return re.sub(r"^L\['self'\]\.?", "", paths[-1]) if paths and paths[-1] else str(node.name)

    def emit(self, node: fx.Node, kind: type[Operator], inputs: tuple[str, ...], **fields: Any) -> str:
        """Add an operator; its output's shape and its name are the node's unless `shape` and `name` say otherwise."""
        shape = fields.pop("shape", None)
        shape = _shape(node) if shape is None else shape
        name = self._free(fields.pop("name", None) or self.path(node))
        self.tensors[name] = Tensor(name, shape)
        self.operators.append(kind(name=name, inputs=inputs, output=name, source=_source(node), **fields))
        self.names[node] = name
        return name

    def several(self, node: fx.Node, names: Iterable[str]) -> None:
        """The node gives several tensors, which its getitem nodes take out."""
        self.parts[node] = tuple(names)
        self.names[node] = self.parts[node][0]

    def same(self, node: fx.Node, argument: Any) -> None:
        """The node changes nothing."""
        self.names[node] = self.name(argument)


Lowering = Callable[[Reader, fx.Node], None]


def kind_of(node: fx.Node) -> str:
    """aten.relu_.default -> relu."""
    name = getattr(node.target, "__name__", str(node.target)).split(".")[0]
    return name if name.startswith("_") else name.rstrip("_")


def _source(node: fx.Node) -> str:
    """nets.py:41, the innermost line of the user's code that made the node; torch's own lines are passed over."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    own = [f for f in frames if "/torch/" not in f[0]] or frames
    return f"{own[-1][0].replace(chr(92), '/').rsplit('/', 1)[-1]}:{own[-1][1]}" if own else ""


def _shape(node: fx.Node) -> tuple[int, ...]:
    shape = tuple(int(n) for n in node.meta["val"].shape)
    if not shape or shape[0] != BATCH:
        raise Unsupported("it mixes the samples of a batch")
    return shape[1:]


def arguments(node: fx.Node, *names: str) -> list[Any]:
    """The node's arguments by the operator's schema, defaults filled in."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    given = {argument.name: value for argument, value in zip(schema, node.args, strict=False)}
    given |= node.kwargs
    defaults = {a.name: a.default_value for a in schema if a.has_default_value()}
    return [given.get(name, defaults.get(name)) for name in names]
