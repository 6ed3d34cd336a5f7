"""From a torch module to the float graph: captured by torch.export, batch norm folded, activations fused."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.graph.ops import (
    Add,
    Array,
    AveragePool2d,
    Conv2d,
    GlobalAveragePool,
    Graph,
    Linear,
    MaxPool2d,
    Operator,
    Pad,
    Relu,
    Reshape,
    Slice,
    Tensor,
    Weighted,
)

BATCH = 2
"""Of the example input; it differs from 1 so that `squeeze()` can't take the batch away unseen."""


@dataclass(frozen=True)
class BatchNorm(Operator):
    """y = x * scale + shift for each channel; folded away before anyone else sees the graph."""

    scale: Array
    shift: Array


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


def capture(model: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """The float graph of a model in its evaluation mode.

    Args:
        model: takes (N, *input_shape) float32, gives one tensor (N, ...).

    Raises:
        UnsupportedOperatorError: naming every layer that has no form in the graph.
        ModelError: where torch.export can't capture the model, or its outputs are not one tensor.
    """
    graph, refused = attempt(model, input_shape)
    if refused:
        more = f" (and {len(refused) - 1} more: {'; '.join(map(str, refused[1:4]))})" if refused[1:] else ""
        raise UnsupportedOperatorError(
            f"layer {refused[0]} has no int8 form{more}",
            f"put one of these in its place: {', '.join(sorted(LOWERINGS))}",
        )
    assert graph is not None
    return graph


def attempt(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Graph | None, list[Refused]]:
    """The graph, or every operator that stands in its way."""
    program = _export(model, input_shape)
    reader = _Reader(program, input_shape)
    for node in program.graph.nodes:
        reader.read(node)
    if reader.refused:
        return None, reader.refused
    output = next(node for node in program.graph.nodes if node.op == "output").args[0]
    if len(output) != 1:
        raise ModelError(f"the model has {len(output)} outputs; edgekd needs one", "return the logits alone")
    graph = Graph("input", reader.names[output[0]], reader.tensors, tuple(reader.operators))
    for simplify in (_merge_reshapes, _merge_slices, _fold_batch_norm, _fuse_activations, _drop_unused):
        graph = simplify(graph)
    if left := [op for op in graph.operators if isinstance(op, BatchNorm)]:
        return None, [Refused(op.name, "batch_norm", op.source, "it follows no convolution") for op in left]
    return graph, []


def _export(model: nn.Module, input_shape: tuple[int, ...]) -> Any:
    training = model.training
    parameter = next(model.parameters(), None)
    example = torch.zeros(BATCH, *input_shape, device=parameter.device if parameter is not None else "cpu")
    try:
        return torch.export.export(model.eval(), (example,)).module()
    except Exception as error:  # torch.export raises many kinds, and the model's own code any
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"torch.export can't capture the model: {type(error).__name__}: {first}",
            "make its forward free of data-dependent control flow, or try torch.export.export on it by hand",
        ) from error
    finally:
        model.train(training)


class _Reader:
    """Turns torch.export's nodes into operators, one after the other."""

    def __init__(self, program: Any, input_shape: tuple[int, ...]) -> None:
        self.program = program
        self.names: dict[fx.Node, str] = {}
        self.tensors = {"input": Tensor("input", tuple(input_shape))}
        self.operators: list[Operator] = []
        self.refused: list[Refused] = []
        self.used: dict[str, int] = {}

    def read(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self.names[node] = "input"
        if node.op != "call_function" or not isinstance(node.meta.get("val"), torch.Tensor):
            return
        kind = _kind(node)
        if kind == "_guards_fn":
            return
        inputs = [arg for arg in node.all_input_nodes if arg in self.names]
        if not inputs and not self._depends_on_refused(node):
            return  # works on constants alone
        if self._depends_on_refused(node):
            self._refuse_if_unknown(node, kind)
            self.names[node] = "?"
            return
        try:
            if kind not in LOWERINGS:
                raise Unsupported("")
            LOWERINGS[kind](self, node)
        except Unsupported as reason:
            self.refused.append(Refused(self.path(node), kind, _source(node), str(reason)))
            self.names[node] = "?"

    def _depends_on_refused(self, node: fx.Node) -> bool:
        return any(self.names.get(arg) == "?" for arg in node.all_input_nodes)

    def _refuse_if_unknown(self, node: fx.Node, kind: str) -> None:
        if kind not in LOWERINGS:
            self.refused.append(Refused(self.path(node), kind, _source(node), ""))

    def value(self, argument: Any) -> Array | None:
        """A parameter's or buffer's values; None for None."""
        if argument is None:
            return None
        if not (isinstance(argument, fx.Node) and argument.op == "get_attr"):
            raise Unsupported("its weights are computed, not stored")
        found: Any = self.program
        for part in str(argument.target).split("."):
            found = getattr(found, part)
        return np.array(found.detach().cpu().numpy(), dtype=np.float32)

    def name(self, argument: Any) -> str:
        """The tensor that an argument stands for."""
        if not isinstance(argument, fx.Node) or argument not in self.names:
            raise Unsupported("one of its operands is a constant")
        return self.names[argument]

    def shape(self, argument: Any) -> tuple[int, ...]:
        return self.tensors[self.name(argument)].shape

    def path(self, node: fx.Node) -> str:
        """The module path of a node, "layer1.0.conv1"."""
        stack = node.meta.get("nn_module_stack") or {}
        paths = [path for path, _ in stack.values()]
        return re.sub(r"^L\['self'\]\.?", "", paths[-1]) if paths and paths[-1] else str(node.name)

    def emit(self, node: fx.Node, kind: type[Operator], inputs: tuple[str, ...], **fields: Any) -> str:
        """Add an operator; its output's shape is the node's unless `shape` says otherwise."""
        shape = fields.pop("shape", None) or _shape(node)
        name = self.path(node)
        seen = self.used[name] = self.used.get(name, 0) + 1
        if seen > 1:
            name = f"{name}#{seen}"
        self.tensors[name] = Tensor(name, shape)
        self.operators.append(kind(name=name, inputs=inputs, output=name, source=_source(node), **fields))
        self.names[node] = name
        return name

    def same(self, node: fx.Node, argument: Any) -> None:
        """The node changes nothing."""
        self.names[node] = self.name(argument)


def _kind(node: fx.Node) -> str:
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


def _pair(value: Any) -> tuple[int, int]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return (int(values[0]), int(values[-1]))


def _arguments(node: fx.Node, *names: str) -> list[Any]:
    """The node's arguments by the operator's schema, defaults filled in."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    given = {argument.name: value for argument, value in zip(schema, node.args, strict=False)}
    given |= node.kwargs
    defaults = {a.name: a.default_value for a in schema if a.has_default_value()}
    return [given.get(name, defaults.get(name)) for name in names]


def _lower_conv2d(reader: _Reader, node: fx.Node) -> None:
    x, w, b, stride, padding, dilation, groups = _arguments(
        node, "input", "weight", "bias", "stride", "padding", "dilation", "groups"
    )
    weight, bias = reader.value(w), reader.value(b)
    assert weight is not None
    dilation, stride = _pair(dilation), _pair(stride)
    if padding == "valid":
        padding = 0
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        around = (totals[0] // 2, totals[0] - totals[0] // 2, totals[1] // 2, totals[1] - totals[1] // 2)
    else:
        vertical, horizontal = _pair(padding)
        around = (vertical, vertical, horizontal, horizontal)
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    fields = {"stride": stride, "padding": around, "dilation": dilation, "groups": groups}
    reader.emit(node, Conv2d, (reader.name(x),), weight=weight, bias=bias, **fields)


def _lower_linear(reader: _Reader, node: fx.Node) -> None:
    x, w, b = _arguments(node, "input", "weight", "bias")
    weight, bias = reader.value(w), reader.value(b)
    assert weight is not None
    if len(reader.shape(x)) != 1:
        raise Unsupported("its input has more than one axis beside the batch")
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    reader.emit(node, Linear, (reader.name(x),), weight=weight, bias=bias)


def _lower_batch_norm(reader: _Reader, node: fx.Node) -> None:
    x, w, b, m, v, training, eps = _arguments(
        node, "input", "weight", "bias", "running_mean", "running_var", "training", "eps"
    )
    mean, variance = reader.value(m), reader.value(v)
    if training or mean is None or variance is None:
        raise Unsupported("it has no running statistics")
    weight, bias = reader.value(w), reader.value(b)
    scale = (1 / np.sqrt(variance.astype(np.float64) + eps)) * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    reader.emit(node, BatchNorm, (reader.name(x),), scale=scale, shift=shift)


def _lower_add(reader: _Reader, node: fx.Node) -> None:
    x, y, alpha = _arguments(node, "self", "other", "alpha")
    a, b = reader.name(x), reader.name(y)
    if alpha not in (None, 1):
        raise Unsupported("its second operand is scaled (alpha)")
    if reader.tensors[a].shape != reader.tensors[b].shape:
        raise Unsupported("its operands differ in shape")
    reader.emit(node, Add, (a, b))


def _lower_relu(reader: _Reader, node: fx.Node) -> None:
    reader.emit(node, Relu, (reader.name(node.args[0]),), activation="relu")


def _lower_relu6(reader: _Reader, node: fx.Node) -> None:
    if _kind(node) in ("hardtanh", "clamp"):
        low, high = _arguments(node, *(("min_val", "max_val") if _kind(node) == "hardtanh" else ("min", "max")))
        if (low, high) != (0, 6):
            raise Unsupported(f"it clamps to [{low}, {high}]; [0, 6] is supported")
    reader.emit(node, Relu, (reader.name(node.args[0]),), activation="relu6")


def _pool_over(reader: _Reader, node: fx.Node, x: Any, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
    """An average over windows; one window over everything is a global one."""
    shape = reader.shape(x)
    if kernel != shape[1:]:
        reader.emit(node, AveragePool2d, (reader.name(x),), kernel=kernel, stride=stride)
        return
    pooled = reader.emit(node, GlobalAveragePool, (reader.name(x),), shape=shape[:1])
    reader.emit(node, Reshape, (pooled,))


def _lower_adaptive_pool(reader: _Reader, node: fx.Node) -> None:
    x, size = _arguments(node, "self", "output_size")
    height, width = reader.shape(x)[1:]
    out_h, out_w = _pair(size)
    if height % out_h or width % out_w:
        raise Unsupported(f"{height} x {width} does not divide into {out_h} x {out_w} equal windows")
    window = (height // out_h, width // out_w)
    _pool_over(reader, node, x, window, window)


def _lower_average_pool(reader: _Reader, node: fx.Node) -> None:
    x, kernel, stride, padding, ceil = _arguments(node, "self", "kernel_size", "stride", "padding", "ceil_mode")
    if any(_pair(padding)) or ceil:
        raise Unsupported("padding and ceil_mode are not supported in average pools")
    _pool_over(reader, node, x, _pair(kernel), _pair(stride or kernel))


def _lower_max_pool(reader: _Reader, node: fx.Node) -> None:
    x, kernel, stride, padding, dilation, ceil = _arguments(
        node, "self", "kernel_size", "stride", "padding", "dilation", "ceil_mode"
    )
    if ceil or _pair(dilation) != (1, 1):
        raise Unsupported("dilation and ceil_mode are not supported in max pools")
    vertical, horizontal = _pair(padding)
    around = (vertical, vertical, horizontal, horizontal)
    fields = {"kernel": _pair(kernel), "stride": _pair(stride or kernel), "padding": around}
    reader.emit(node, MaxPool2d, (reader.name(x),), **fields)


def _lower_mean(reader: _Reader, node: fx.Node) -> None:
    x, axes = _arguments(node, "self", "dim")
    rank = len(reader.shape(x)) + 1
    if rank != 4 or {axis % rank for axis in axes or ()} != {2, 3}:
        raise Unsupported("only the mean over height and width is supported")
    pooled = reader.emit(node, GlobalAveragePool, (reader.name(x),), shape=reader.shape(x)[:1])
    reader.emit(node, Reshape, (pooled,))


def _lower_reshape(reader: _Reader, node: fx.Node) -> None:
    reader.emit(node, Reshape, (reader.name(node.args[0]),))


def _lower_slice(reader: _Reader, node: fx.Node) -> None:
    x, axis, begin, end, step = _arguments(node, "self", "dim", "start", "end", "step")
    shape = reader.shape(x)
    axis = axis % (len(shape) + 1) - 1
    size = (BATCH, *shape)[axis + 1]
    begin, end, step = slice(begin, end, step).indices(size)
    if (begin, end, step) == (0, size, 1):
        reader.same(node, x)
        return
    if axis < 0:
        raise Unsupported("it slices the batch")
    ranges = [(0, n, 1) for n in shape]
    ranges[axis] = (begin, end, step)
    reader.emit(node, Slice, (reader.name(x),), ranges=tuple(ranges))


def _lower_pad(reader: _Reader, node: fx.Node) -> None:
    names = [a.name for a in node.target._schema.arguments]  # type: ignore[union-attr]
    x, amounts, value = _arguments(node, "self", "pad", "value")
    mode = _arguments(node, "mode")[0] if "mode" in names else "constant"
    rank = len(reader.shape(x))
    if mode != "constant" or value not in (None, 0) or min(amounts) < 0 or len(amounts) > 2 * rank:
        raise Unsupported("only padding with zeros is supported")
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pairs += [(0, 0)] * (rank - len(pairs))
    reader.emit(node, Pad, (reader.name(x),), amounts=tuple(reversed(pairs)))


def _lower_identity(reader: _Reader, node: fx.Node) -> None:
    reader.same(node, node.args[0])


LOWERINGS: dict[str, Callable[[_Reader, fx.Node], None]] = {
    "conv2d": _lower_conv2d,
    "linear": _lower_linear,
    "batch_norm": _lower_batch_norm,
    "add": _lower_add,
    "relu": _lower_relu,
    "relu6": _lower_relu6,
    "hardtanh": _lower_relu6,
    "clamp": _lower_relu6,
    "adaptive_avg_pool2d": _lower_adaptive_pool,
    "avg_pool2d": _lower_average_pool,
    "max_pool2d": _lower_max_pool,
    "mean": _lower_mean,
    "flatten": _lower_reshape,
    "view": _lower_reshape,
    "reshape": _lower_reshape,
    "squeeze": _lower_reshape,
    "unsqueeze": _lower_reshape,
    "slice": _lower_slice,
    "pad": _lower_pad,
    "constant_pad_nd": _lower_pad,
    "dropout": _lower_identity,
    "feature_dropout": _lower_identity,
    "contiguous": _lower_identity,
    "clone": _lower_identity,
    "alias": _lower_identity,
    "detach": _lower_identity,
    "to": _lower_identity,
}


def _rewire(graph: Graph, operators: list[Operator], renamed: dict[str, str]) -> Graph:
    """The graph with other operators, in which some tensors go by another's name."""

    def final(name: str) -> str:
        while name in renamed:
            name = renamed[name]
        return name

    rewired = tuple(replace(op, inputs=tuple(final(name) for name in op.inputs)) for op in operators)
    return replace(graph, operators=rewired, output=final(graph.output))


def _merge_reshapes(graph: Graph) -> Graph:
    """A reshape of a reshape is one; a reshape to the same shape is none."""
    operators: list[Operator] = []
    renamed: dict[str, str] = {}
    origin: dict[str, str] = {}  # a reshape's output -> what was reshaped
    for op in graph.operators:
        if isinstance(op, Reshape):
            source = renamed.get(op.inputs[0], op.inputs[0])
            source = origin.get(source, source)
            if graph.tensors[source].shape == graph.tensors[op.output].shape:
                renamed[op.output] = source
                continue
            origin[op.output] = source
            op = replace(op, inputs=(source,))
        operators.append(op)
    return _rewire(graph, operators, renamed)


def _merge_slices(graph: Graph) -> Graph:
    """torch slices one axis at a time; slices of different axes, one after the other, are one."""
    made_by = {op.output: op for op in graph.operators}
    merged: dict[str, Slice] = {}
    for op in graph.operators:
        if not isinstance(op, Slice):
            continue
        before = merged.get(op.inputs[0]) or made_by.get(op.inputs[0])
        whole = [(0, n, 1) for n in graph.tensors[op.inputs[0]].shape]
        if isinstance(before, Slice):
            outer = [(0, n, 1) for n in graph.tensors[before.inputs[0]].shape]
            pairs = list(zip(before.ranges, op.ranges, outer, whole, strict=True))
            if all(first == all_of_it or second == rest for first, second, all_of_it, rest in pairs):
                ranges = tuple(second if first == full else first for first, second, full, _ in pairs)
                op = replace(op, inputs=before.inputs, ranges=ranges)
        merged[op.output] = op
    return replace(graph, operators=tuple(merged.get(op.output, op) for op in graph.operators))


def _fold_batch_norm(graph: Graph) -> Graph:
    """Into the convolution or linear layer before it; else it becomes a 1 x 1 depthwise convolution of its own."""
    made_by = {op.output: op for op in graph.operators}
    folded: dict[str, Operator] = {}
    renamed: dict[str, str] = {}
    for op in graph.operators:
        if not isinstance(op, BatchNorm):
            continue
        before = made_by.get(op.inputs[0])
        before = folded.get(before.name, before) if before else None
        if isinstance(before, Weighted) and len(graph.consumers(before.output)) == 1:
            weight = before.weight * op.scale.reshape(-1, *[1] * (before.weight.ndim - 1))
            bias = before.bias * op.scale + op.shift
            folded[before.name] = replace(before, weight=weight.astype(np.float32), bias=bias.astype(np.float32))
            renamed[op.output] = before.output
        elif len(graph.tensors[op.output].shape) == 3:
            weight, bias = op.scale.reshape(-1, 1, 1, 1).astype(np.float32), op.shift.astype(np.float32)
            own = Conv2d(op.name, op.inputs, op.output, weight, bias, groups=len(bias), source=op.source)
            folded[op.name] = own
    operators = [folded.get(op.name, op) for op in graph.operators if op.output not in renamed]
    return _rewire(graph, operators, renamed)


def _fuse_activations(graph: Graph) -> Graph:
    """ReLU and ReLU6 into the operator before, where nothing else reads what comes between."""
    made_by = {op.output: op for op in graph.operators}
    fused: dict[str, Operator] = {}
    renamed: dict[str, str] = {}
    for op in graph.operators:
        if not isinstance(op, Relu):
            continue
        before = made_by.get(op.inputs[0])
        if not isinstance(before, (Weighted, Add)) or before.activation != "none" or before.name in fused:
            continue
        if len(graph.consumers(before.output)) == 1 and graph.output != before.output:
            fused[before.name] = replace(before, activation=op.activation)
            renamed[op.output] = before.output
    operators = [fused.get(op.name, op) for op in graph.operators if op.output not in renamed]
    return _rewire(graph, operators, renamed)


def _drop_unused(graph: Graph) -> Graph:
    """Operators that the output does not need, and tensors that no operator is left to make."""
    return graph.until(graph.output)
