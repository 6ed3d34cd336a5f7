"""torch's GRU, LSTM and RNN, unrolled: one linear layer for the inputs of all steps, and one that the steps share.

The state starts at zero, so the first step needs no layer for it. Tensors that play one part in every step share a
scale (`Tensor.like`): the state's layer is then the same int8 layer in every step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import fx

from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments, kind_of
from edgekd.graph.ops import Add, Concat, Linear, Mul, Relu, Reshape, Slice, Sub, Unary
from edgekd.graph.structure import Array, Operator


@dataclass
class _Unrolled:
    """One layer over its steps.

    Attributes:
        hidden: values of the state.
        first: part -> the tensor that played it first.
    """

    reader: Reader
    node: fx.Node
    path: str
    hidden: int
    step: int = 0
    first: dict[str, str] = field(default_factory=dict)

    def each(self, x: str) -> Iterator[None]:
        """Go through the steps of (steps, in)."""
        for step in range(self.reader.tensors[x].shape[0]):
            self.step = step
            yield

    def emit(self, part: str, kind: type[Operator], *inputs: str, width: int = 0, **fields: Any) -> str:
        """An operator of this step, on the scale of the first that played its part."""
        shape, name = (width or self.hidden,), f"{self.path}/{self.step}/{part}"
        name = self.reader.emit(self.node, kind, inputs, shape=shape, name=name, **fields)
        like = self.first.setdefault(part, name)
        self.reader.tensors[name] = replace(self.reader.tensors[name], like="" if like == name else like)
        return name

    def over_steps(self, part: str, x: str, weight: Array, bias: Array) -> str:
        """A linear layer of every step's input at once: (steps, in) -> (steps, out)."""
        shape = (self.reader.tensors[x].shape[0], len(weight))
        fields = {"weight": weight, "bias": bias, "name": f"{self.path}/{part}"}
        return self.reader.emit(self.node, Linear, (x,), shape=shape, **fields)

    def at_step(self, part: str, all_steps: str) -> str:
        """This step's row."""
        width = self.reader.tensors[all_steps].shape[1]
        ranges = ((self.step, self.step + 1, 1), (0, width, 1))
        name = f"{self.path}/{self.step}/{part}/row"
        row = self.reader.emit(self.node, Slice, (all_steps,), ranges=ranges, shape=(1, width), name=name)
        return self.emit(part, Reshape, row, width=width)

    def of_state(self, part: str, state: str, weight: Array, bias: Array) -> str:
        """The layer of the state, whose parameters all steps share."""
        shares = self.first.get(part, "")
        return self.emit(part, Linear, state, width=len(weight), weight=weight, bias=bias, shares=shares)

    def piece(self, part: str, source: str, number: int) -> str:
        """Of several parts of the state's length in one tensor, the one at `number`."""
        return self.emit(part, Slice, source, ranges=((number * self.hidden, (number + 1) * self.hidden, 1),))

    def unary(self, part: str, function: str, source: str) -> str:
        width = self.reader.tensors[source].shape[0]
        return self.emit(part, Unary, source, width=width, function=function)

    def plus(self, part: str, a: str, b: str | None) -> str:
        """The sum; of the first step, in which `b` is None, the other summand alone."""
        return a if b is None else self.emit(part, Add, a, b, width=self.reader.tensors[a].shape[0])


Weights = tuple[Array, Array, Array, Array]  # of input and state, biases of input and state
Cell = Callable[[_Unrolled, str, Weights], list[str]]


def _gru(steps: _Unrolled, x: str, weights: Weights) -> list[str]:
    """h' = n + z (h - n), in which n = tanh(x_n + r h_n); torch's form, with one product less."""
    w_x, w_h, b_x, b_h = weights
    gates, rest = slice(0, 2 * steps.hidden), slice(2 * steps.hidden, None)
    x_gates = steps.over_steps("input_gates", x, w_x[gates], b_x[gates] + b_h[gates])
    x_new = steps.over_steps("input_new", x, w_x[rest], b_x[rest])
    none = np.zeros(2 * steps.hidden, np.float32)
    states: list[str] = []
    for _ in steps.each(x):
        state = states[-1] if states else None
        of_state = steps.of_state("state_gates", state, w_h[gates], none) if state else None
        both = steps.unary("gates", "sigmoid", steps.plus("sum", steps.at_step("x_gates", x_gates), of_state))
        reset, update = steps.piece("reset", both, 0), steps.piece("update", both, 1)
        new = steps.at_step("x_new", x_new)
        if state:
            proposed = steps.of_state("state_new", state, w_h[rest], b_h[rest])
            new = steps.plus("new_sum", new, steps.emit("kept", Mul, reset, proposed))
        elif b_h[rest].any():
            bias = steps.reader.constant(steps.node, b_h[rest])
            new = steps.plus("new_sum", new, steps.emit("kept", Mul, reset, bias))
        new = steps.unary("new", "tanh", new)
        if state:
            states.append(_mixed(steps, new, update, steps.emit("change", Sub, state, new)))
        else:  # h is zero: h' = n - z n
            states.append(steps.emit("state", Sub, new, steps.emit("updated", Mul, update, new)))
    return states


def _mixed(steps: _Unrolled, new: str, update: str, change: str) -> str:
    return steps.emit("state", Add, new, steps.emit("updated", Mul, update, change))


def _lstm(steps: _Unrolled, x: str, weights: Weights) -> list[str]:
    """c' = f c + i g, h' = o tanh(c'); the gates of one sigmoid stand together: i, f, o, then g."""
    w_x, w_h, b_x, b_h = (_reordered(values, steps.hidden) for values in weights)
    gates, rest = slice(0, 3 * steps.hidden), slice(3 * steps.hidden, None)
    x_gates = steps.over_steps("input_gates", x, w_x[gates], (b_x + b_h)[gates])
    x_new = steps.over_steps("input_new", x, w_x[rest], (b_x + b_h)[rest])
    none = np.zeros(4 * steps.hidden, np.float32)
    states: list[str] = []
    cell = ""
    for _ in steps.each(x):
        state = states[-1] if states else None
        of_state = steps.of_state("state_gates", state, w_h[gates], none[gates]) if state else None
        proposed = steps.of_state("state_new", state, w_h[rest], none[rest]) if state else None
        both = steps.unary("gates", "sigmoid", steps.plus("sum", steps.at_step("x_gates", x_gates), of_state))
        new = steps.unary("new", "tanh", steps.plus("new_sum", steps.at_step("x_new", x_new), proposed))
        taken = steps.emit("taken", Mul, steps.piece("take", both, 0), new)
        if state:
            cell = steps.emit("cell", Add, steps.emit("kept", Mul, steps.piece("keep", both, 1), cell), taken)
        else:
            cell = taken
        shown = steps.unary("shown", "tanh", cell)
        states.append(steps.emit("state", Mul, steps.piece("show", both, 2), shown))
    return states


def _reordered(values: Array, hidden: int) -> Array:
    """torch has i, f, g, o."""
    i, f, g, o = (values[k * hidden : (k + 1) * hidden] for k in range(4))
    return np.concatenate([i, f, o, g])


def _simple(function: str) -> Cell:
    """h' = tanh or relu of (x + h)."""

    def cell(steps: _Unrolled, x: str, weights: Weights) -> list[str]:
        w_x, w_h, b_x, b_h = weights
        inputs = steps.over_steps("input", x, w_x, b_x + b_h)
        states: list[str] = []
        for _ in steps.each(x):
            of_state = steps.of_state("of_state", states[-1], w_h, np.zeros(len(w_h), np.float32)) if states else None
            total = steps.plus("sum", steps.at_step("x", inputs), of_state)
            if function == "relu":
                states.append(steps.emit("state", Relu, total))
            else:
                states.append(steps.unary("state", function, total))
        return states

    return cell


def _lower(cell: Cell) -> Lowering:
    def lower(reader: Reader, node: fx.Node) -> None:
        x, start, parameters, layers, both_ways, batch_first = arguments(
            node, "input", "hx", "params", "num_layers", "bidirectional", "batch_first"
        )
        if not batch_first:
            raise Unsupported("batch_first = True is needed: the first axis is the batch")
        if both_ways:
            raise Unsupported("bidirectional layers have no form here; two layers of one direction do")
        for state in start if isinstance(start, (list, tuple)) else [start]:
            if np.any(reader.value(state)):
                raise Unsupported("its first state is not zero")
        arrays = [reader.value(parameter) for parameter in parameters]
        source, last = reader.name(x), list[str]()
        for layer in range(layers):
            weights = _weights(arrays, layer, layers)
            path = f"{reader.path(node)}/{layer}" if layers > 1 else reader.path(node)
            steps = _Unrolled(reader, node, path, weights[1].shape[1])
            states = cell(steps, source, weights)
            last.append(states[-1])
            source = _stacked(steps, states)
        reader.several(node, (source,))
        _name_last_states(reader, node, last)

    return lower


def _name_last_states(reader: Reader, node: fx.Node, last: list[str]) -> None:
    """torch gives the last states as (layers, N, hidden); h[-1] and h.squeeze(0) have the batch in front again."""
    for state in (user for user in node.users if kind_of(user) == "getitem" and user.args[1] == 1):
        for user in state.users:
            kind = kind_of(user)
            if kind == "select" and arguments(user, "dim")[0] == 0:
                reader.names[user] = last[arguments(user, "index")[0]]
            elif kind == "squeeze" and len(last) == 1 and tuple(user.meta["val"].shape) == state.meta["val"].shape[1:]:
                reader.names[user] = last[0]
            else:
                raise Unsupported("its last state can be read as h[-1] or h.squeeze(0), and not otherwise")
    if any(kind_of(user) == "getitem" and user.args[1] == 2 and user.users for user in node.users):
        raise Unsupported("the last values of its cell can't be read")


def _weights(arrays: list[Any], layer: int, layers: int) -> Weights:
    each = len(arrays) // layers
    w_x, w_h, *biases = arrays[layer * each : (layer + 1) * each]
    b_x, b_h = biases or (np.zeros(len(w_x), np.float32),) * 2
    return w_x, w_h, b_x, b_h


def _row(steps: _Unrolled, state: str, name: str) -> str:
    fields = {"shape": (1, steps.hidden), "name": f"{steps.path}/{name}"}
    return steps.reader.emit(steps.node, Reshape, (state,), **fields)


def _stacked(steps: _Unrolled, states: list[str]) -> str:
    """(steps, hidden) of all states; dropped again where only the last one is read."""
    rows = [_row(steps, state, f"{number}/row") for number, state in enumerate(states)]
    fields = {"shape": (len(rows), steps.hidden), "name": f"{steps.path}/states", "axis": 0}
    return steps.reader.emit(steps.node, Concat, tuple(rows), **fields)


LOWERINGS: dict[str, Lowering] = {
    "gru": _lower(_gru),
    "lstm": _lower(_lstm),
    "rnn_tanh": _lower(_simple("tanh")),
    "rnn_relu": _lower(_simple("relu")),
}
