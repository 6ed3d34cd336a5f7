"""Lowerings of torch's GRU, LSTM and RNN, unrolled: a linear layer for the inputs of all steps, and one shared by them.

The state starts at zero, so the first step needs no layer for it. A tensor of every step shares its scale with the one
of the first step (`Tensor.like`), so that the state's layer is the same int8 layer in every step.
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
class _UnrolledLayer:
    """Emits the operators of one recurrent layer, step by step.

    Attributes:
        hidden: the width of the state.
        step: the number of the current step.
        first: the tensor of the first step for each part of the cell ("sum", "gates", "state", ...).
    """

    reader: Reader
    node: fx.Node
    path: str
    hidden: int
    step: int = 0
    first: dict[str, str] = field(default_factory=dict)

    def each(self, x: str) -> Iterator[None]:
        """Iterate over the steps of a tensor (steps, in)."""
        for step in range(self.reader.tensors[x].shape[0]):
            self.step = step
            yield

    def emit(self, part: str, kind: type[Operator], *inputs: str, width: int = 0, **fields: Any) -> str:
        """Emit an operator of this step, whose output shares the scale of the first step's."""
        shape, name = (width or self.hidden,), f"{self.path}/{self.step}/{part}"
        name = self.reader.emit(self.node, kind, inputs, shape=shape, name=name, **fields)
        like = self.first.setdefault(part, name)
        self.reader.tensors[name] = replace(self.reader.tensors[name], like="" if like == name else like)
        return name

    def over_steps(self, part: str, x: str, weight: Array, bias: Array) -> str:
        """Emit a linear layer on the inputs of all steps at once, (steps, in) -> (steps, out)."""
        shape = (self.reader.tensors[x].shape[0], len(weight))
        fields = {"weight": weight, "bias": bias, "name": f"{self.path}/{part}"}
        return self.reader.emit(self.node, Linear, (x,), shape=shape, **fields)

    def at_step(self, part: str, all_steps: str) -> str:
        """Emit the row of this step."""
        width = self.reader.tensors[all_steps].shape[1]
        ranges = ((self.step, self.step + 1, 1), (0, width, 1))
        name = f"{self.path}/{self.step}/{part}/row"
        row = self.reader.emit(self.node, Slice, (all_steps,), ranges=ranges, shape=(1, width), name=name)
        return self.emit(part, Reshape, row, width=width)

    def of_state(self, part: str, state: str, weight: Array, bias: Array) -> str:
        """Emit the linear layer on the state, whose parameters all steps share."""
        shares = self.first.get(part, "")
        return self.emit(part, Linear, state, width=len(weight), weight=weight, bias=bias, shares=shares)

    def piece(self, part: str, source: str, number: int) -> str:
        """Emit the slice at `number` of a tensor that holds several vectors of the state's width."""
        return self.emit(part, Slice, source, ranges=((number * self.hidden, (number + 1) * self.hidden, 1),))

    def unary(self, part: str, function: str, source: str) -> str:
        width = self.reader.tensors[source].shape[0]
        return self.emit(part, Unary, source, width=width, function=function)

    def plus(self, part: str, a: str, b: str | None) -> str:
        """Emit the sum of two tensors; in the first step, in which `b` is None, it is the first summand."""
        return a if b is None else self.emit(part, Add, a, b, width=self.reader.tensors[a].shape[0])


Weights = tuple[Array, Array, Array, Array]
"""The weights of input and state, then the biases of input and state."""
Cell = Callable[[_UnrolledLayer, str, Weights], list[str]]


def _gru(steps: _UnrolledLayer, x: str, weights: Weights) -> list[str]:
    """A GRU cell, h' = n + z (h - n) with n = tanh(x_n + r h_n): torch's form with one product less."""
    w_x, w_h, b_x, b_h = weights
    gates, candidate = slice(0, 2 * steps.hidden), slice(2 * steps.hidden, None)
    x_gates = steps.over_steps("input_gates", x, w_x[gates], b_x[gates] + b_h[gates])
    x_new = steps.over_steps("input_new", x, w_x[candidate], b_x[candidate])
    no_bias = np.zeros(2 * steps.hidden, np.float32)
    states: list[str] = []
    for _ in steps.each(x):
        state = states[-1] if states else None
        of_state = steps.of_state("state_gates", state, w_h[gates], no_bias) if state else None
        gate_values = steps.unary("gates", "sigmoid", steps.plus("sum", steps.at_step("x_gates", x_gates), of_state))
        reset, update = steps.piece("reset", gate_values, 0), steps.piece("update", gate_values, 1)
        new = steps.at_step("x_new", x_new)
        if state:
            state_term = steps.of_state("state_new", state, w_h[candidate], b_h[candidate])
            new = steps.plus("new_sum", new, steps.emit("kept", Mul, reset, state_term))
        elif b_h[candidate].any():
            bias = steps.reader.constant(steps.node, b_h[candidate])
            new = steps.plus("new_sum", new, steps.emit("kept", Mul, reset, bias))
        new = steps.unary("new", "tanh", new)
        if state:
            states.append(_interpolate(steps, new, update, steps.emit("change", Sub, state, new)))
        else:  # h is zero: h' = n - z n
            states.append(steps.emit("state", Sub, new, steps.emit("updated", Mul, update, new)))
    return states


def _interpolate(steps: _UnrolledLayer, new: str, update: str, change: str) -> str:
    return steps.emit("state", Add, new, steps.emit("updated", Mul, update, change))


def _lstm(steps: _UnrolledLayer, x: str, weights: Weights) -> list[str]:
    """An LSTM cell, c' = f c + i g and h' = o tanh(c'); the gates i, f and o share one sigmoid."""
    w_x, w_h, b_x, b_h = (_reorder(values, steps.hidden) for values in weights)
    gates, candidate = slice(0, 3 * steps.hidden), slice(3 * steps.hidden, None)
    x_gates = steps.over_steps("input_gates", x, w_x[gates], (b_x + b_h)[gates])
    x_new = steps.over_steps("input_new", x, w_x[candidate], (b_x + b_h)[candidate])
    no_bias = np.zeros(4 * steps.hidden, np.float32)
    states: list[str] = []
    cell = ""
    for _ in steps.each(x):
        state = states[-1] if states else None
        of_state = steps.of_state("state_gates", state, w_h[gates], no_bias[gates]) if state else None
        state_term = steps.of_state("state_new", state, w_h[candidate], no_bias[candidate]) if state else None
        gate_values = steps.unary("gates", "sigmoid", steps.plus("sum", steps.at_step("x_gates", x_gates), of_state))
        new = steps.unary("new", "tanh", steps.plus("new_sum", steps.at_step("x_new", x_new), state_term))
        input_term = steps.emit("taken", Mul, steps.piece("take", gate_values, 0), new)
        if state:
            cell = steps.emit(
                "cell", Add, steps.emit("kept", Mul, steps.piece("keep", gate_values, 1), cell), input_term
            )
        else:
            cell = input_term
        cell_output = steps.unary("shown", "tanh", cell)
        states.append(steps.emit("state", Mul, steps.piece("show", gate_values, 2), cell_output))
    return states


def _reorder(values: Array, hidden: int) -> Array:
    """Reorder torch's gates i, f, g, o to i, f, o, g."""
    i, f, g, o = (values[k * hidden : (k + 1) * hidden] for k in range(4))
    return np.concatenate([i, f, o, g])


def _simple(function: str) -> Cell:
    """An Elman cell, h' = tanh or relu of (x + h)."""

    def cell(steps: _UnrolledLayer, x: str, weights: Weights) -> list[str]:
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
        x, start, parameters, layers, bidirectional, batch_first = arguments(
            node, "input", "hx", "params", "num_layers", "bidirectional", "batch_first"
        )
        if not batch_first:
            raise Unsupported("batch_first = True is needed: the first axis is the batch")
        if bidirectional:
            raise Unsupported("bidirectional layers have no form here; two layers of one direction do")
        for state in start if isinstance(start, (list, tuple)) else [start]:
            if np.any(reader.value(state)):
                raise Unsupported("its first state is not zero")
        arrays = [reader.value(parameter) for parameter in parameters]
        source, last = reader.name(x), list[str]()
        for layer in range(layers):
            weights = _weights(arrays, layer, layers)
            path = f"{reader.path(node)}/{layer}" if layers > 1 else reader.path(node)
            steps = _UnrolledLayer(reader, node, path, weights[1].shape[1])
            states = cell(steps, source, weights)
            last.append(states[-1])
            source = _stack(steps, states)
        reader.several(node, (source,))
        _name_last_states(reader, node, last)

    return lower


def _name_last_states(reader: Reader, node: fx.Node, last: list[str]) -> None:
    """Name the last states, which torch returns as (layers, N, hidden), where h[-1] or h.squeeze(0) reads them."""
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
    per_layer = len(arrays) // layers
    w_x, w_h, *biases = arrays[layer * per_layer : (layer + 1) * per_layer]
    b_x, b_h = biases or (np.zeros(len(w_x), np.float32),) * 2
    return w_x, w_h, b_x, b_h


def _row(steps: _UnrolledLayer, state: str, name: str) -> str:
    fields = {"shape": (1, steps.hidden), "name": f"{steps.path}/{name}"}
    return steps.reader.emit(steps.node, Reshape, (state,), **fields)


def _stack(steps: _UnrolledLayer, states: list[str]) -> str:
    """Emit the concatenation of all states, (steps, hidden); it is dropped where only the last one is read."""
    rows = [_row(steps, state, f"{number}/row") for number, state in enumerate(states)]
    fields = {"shape": (len(rows), steps.hidden), "name": f"{steps.path}/states", "axis": 0}
    return steps.reader.emit(steps.node, Concat, tuple(rows), **fields)


LOWERINGS: dict[str, Lowering] = {
    "gru": _lower(_gru),
    "lstm": _lower(_lstm),
    "rnn_tanh": _lower(_simple("tanh")),
    "rnn_relu": _lower(_simple("relu")),
}
