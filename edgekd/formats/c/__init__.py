"""Write a quantised graph for firmware as dependency-free C99: a header and a C file that allocate no memory.

The kernels are C files in `kernels/`, and each family of operators has a module with a table of writers. The constants
of the calls, the tensors' layouts and the arena's offsets are computed here, at build time.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.formats.c import (
    attention,
    boundaries,
    elementwise,
    embedding,
    movement,
    normalisation,
    pooling,
    resize,
    text,
    unary,
    weighted,
)
from edgekd.formats.c.arena import plan_arena
from edgekd.formats.c.rounding import Rounding, rounding_for
from edgekd.formats.c.source import CSource, Writer
from edgekd.formats.layout import Order
from edgekd.formats.metadata import DType, Preprocessing
from edgekd.graph.structure import Graph, Mode, Operator

FAMILIES = (
    weighted, elementwise, unary, pooling, movement, boundaries, attention, normalisation, embedding, resize,
)  # fmt: skip

WRITERS: dict[type[Operator], Writer] = {kind: emit for family in FAMILIES for kind, emit in family.WRITERS.items()}

NAME = "model"
KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while"
)
"""The keywords of C99, which no function may have as its name."""


def write(
    graph: Graph,
    path: Path,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    decoding: str = "",
    kernels: Mode = "tflm",
) -> Path:
    """Write `graph` to `path` and its header beside it; the C names begin with the file's name.

    Args:
        input_dtype: the type of the input codes in the file; the graph's own are int8.
        decoding: Python code for other formats' usage lines; a C file ignores it.
        kernels: the kernels whose rounding the student was trained for. XNNPACK's needs a core with an FPU; any other
            value gives TFLite Micro's.

    Raises:
        UnsupportedOperatorError: an operator, which the message names, has no C kernel.
        ModelError: the file's name is not an identifier in C.
    """
    source, header = texts(graph, path.stem, labels, preprocessing, input_dtype, kernels)
    path.write_text(source, encoding="ascii")
    path.with_suffix(".h").write_text(header, encoding="ascii")
    return path


def serialize(
    graph: Graph,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    decoding: str = "",
    kernels: Mode = "tflm",
) -> bytes:
    """Return the bytes of `model.c`; the same graph gives the same bytes."""
    return texts(graph, NAME, labels, preprocessing, input_dtype, kernels)[0].encode("ascii")


def texts(
    graph: Graph,
    name: str,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    kernels: Mode = "tflm",
) -> tuple[str, str]:
    """Return the texts of the C file and of its header."""
    _require_identifier(name)
    source = _minimize_moves(graph, rounding_for(kernels))
    inputs, outputs = ([view.buffer for view in views] for views in (source.inputs, source.outputs))
    plan = plan_arena(source.calls, inputs, outputs)
    header = text.header(source, plan, name, labels, preprocessing, input_dtype)
    return text.body(source, plan, name, input_dtype), header


def _require_identifier(name: str) -> None:
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and name not in KEYWORDS.split():
        return
    suggestion = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_")
    if not re.match(r"[A-Za-z]", suggestion) or suggestion in KEYWORDS.split():
        suggestion = f"model_{suggestion}"
    raise ModelError(f"{name!r} can't begin the names of C functions", f"{suggestion}.c")


def _minimize_moves(graph: Graph, rounding: Rounding) -> CSource:
    """Return the source with the input axis orders that move the fewest bytes: (T, C) for a net of 1-D convolutions."""
    orders: dict[str, Order] = {}
    best = _write_source(graph, rounding, orders)
    for name in graph.inputs:
        rank = len(graph.tensors[name].shape)
        order = (*range(1, rank), 0)
        if best.moved_bytes and rank == 2:
            trial = _write_source(graph, rounding, orders | {name: order})
            if trial.moved_bytes < best.moved_bytes:
                best, orders = trial, orders | {name: order}
    return best


def _write_source(graph: Graph, rounding: Rounding, orders: dict[str, Order]) -> CSource:
    if not graph.quantized:
        raise UnsupportedOperatorError("C has integer kernels alone", 'export.formats = ["tflite"] for float networks')
    source = CSource(graph, rounding, orders)
    for op in graph.operators:
        _require_kernel(graph, op)
        source.write(op, WRITERS[type(op)])
    source.add_outputs()
    return source


def _require_kernel(graph: Graph, op: Operator) -> None:
    if type(op) not in WRITERS:
        raise UnsupportedOperatorError(
            f"layer {op.name} ({type(op).__name__}, {op.source}) has no C form", 'export.formats = ["tflite"]'
        )
    if any(graph.tensors[name].bits == 16 for name in (*op.inputs, op.output)):
        raise UnsupportedOperatorError(
            f"layer {op.name} ({type(op).__name__}, {op.source}) has 16-bit codes, which C has no kernel for",
            'no quantize.int16_layers, or export.formats = ["tflite"]',
        )
