"""The metadata of exported files: labels, how raw values become codes, and a line of Python that runs the file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from edgekd.graph.structure import Graph, Quantization

WHOLE_NUMBER_TOLERANCE = 1e-3
"""The distance from an integer at which a code still counts as one, since float32 has rounded it."""


DType = Literal["int8", "uint8"]


@dataclass(frozen=True)
class Preprocessing:
    """Raw values to the network's input: (raw * scale - mean) / std per channel, then quantised in an int8 file."""

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def raw_codes(self, quantization: Quantization) -> "RawCodes | None":
        """Normalisation and quantisation in one, where all channels have one step and an integer shift; else None."""
        if len(set(self.mean)) > 1 or len(set(self.std)) > 1:
            return None
        step = quantization.scale * self.std[0] / self.scale
        shift = quantization.zero_point - self.mean[0] / (quantization.scale * self.std[0])
        if abs(shift - round(shift)) > WHOLE_NUMBER_TOLERANCE:
            return None
        return RawCodes(float(f"{step:.7g}"), round(shift))


@dataclass(frozen=True)
class RawCodes:
    """Raw values to codes, round(raw / step) + shift; the step of pixels is 1."""

    step: float
    shift: int


@dataclass(frozen=True)
class FileInput:
    """How a format holds a graph's (first) input.

    Attributes:
        dtype: of codes; real values are float32 and indices int32 in every format.
        shape: of a sample, in the file's order of axes.
        channels: the position of torch's first axis in `shape`; None where the file has split that axis.
    """

    dtype: DType
    shape: tuple[int, ...]
    channels: int | None

    @property
    def offset(self) -> int:
        """The number that the format adds to the graph's int8 codes."""
        return 128 if self.dtype == "uint8" else 0


def describe(
    graph: Graph,
    labels: Sequence[str],
    preprocessing: Preprocessing | None,
    file_input: FileInput,
    output_dtype: DType,
    run: str,
    decoding: str = "",
) -> dict[str, str]:
    """The metadata of a file by name; names are the same in every format, labels and preprocessing are JSON.

    Args:
        file_input: how the format holds the input.
        output_dtype: the dtype of outputs that are codes.
        run: a line of Python that sets `answer`; `{}` stands for one sample of the file's input, without a batch.
        decoding: the task's Python that decodes `answer`; `{real}` stands for `answer` in real numbers.
    """
    metadata = {"labels": json.dumps(list(labels))} if labels else {}
    if preprocessing is not None:
        codes = _raw_codes(graph, preprocessing, file_input)
        metadata["preprocessing"] = json.dumps(asdict(codes or preprocessing))
    if (labels or decoding or preprocessing is not None) and len(graph.inputs) == 1:
        metadata["usage"] = usage(
            graph, preprocessing, file_input, run, decoding.format(real=_real_answer(graph, output_dtype))
        )
    for role, name in (*roles("input", graph.inputs), *roles("output", graph.outputs)):
        q = graph.tensors[name].quantization
        if q is not None:
            unsigned = (file_input.dtype if name in graph.inputs else output_dtype) == "uint8"
            metadata[f"{role}_scale"] = repr(q.scale)
            metadata[f"{role}_zero_point"] = str(q.zero_point + (128 if unsigned else 0))
    return metadata


def usage(graph: Graph, preprocessing: Preprocessing | None, file_input: FileInput, run: str, decoding: str) -> str:
    """A line of Python that runs the file on one raw sample, `raw`, and sets `answer`.

    Args:
        decoding: Python that decodes `answer`, or "".
    """
    pixels = preprocessing is not None and preprocessing.scale != 1.0
    kind = "int32 tokens" if graph.tensors[graph.input].kind == "index" else "uint8" if pixels else "float32"
    suffix = f"; {decoding}" if decoding else ""
    return f"{run.format(_sample(graph, preprocessing, file_input))}{suffix}  # raw: {kind} {file_input.shape}"


def roles(role: str, tensors: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (role, tensor) with the roles "input", "input_1", "input_2" and so on, the names in every format."""
    return [(f"{role}_{i}" if i else role, name) for i, name in enumerate(tensors)]


def _real_answer(graph: Graph, dtype: DType) -> str:
    """Python that turns `answer`, the first output, into real numbers."""
    q = graph.tensors[graph.outputs[0]].quantization
    if q is None:
        return "answer"
    return f"({q.scale!r} * (answer.astype(float) - {q.zero_point + (128 if dtype == 'uint8' else 0)}))"


def _raw_codes(graph: Graph, preprocessing: Preprocessing, file_input: FileInput) -> RawCodes | None:
    q = graph.tensors[graph.input].quantization
    codes = preprocessing.raw_codes(q) if q else None
    return RawCodes(codes.step, codes.shift + file_input.offset) if codes else None


def _sample(graph: Graph, preprocessing: Preprocessing | None, file_input: FileInput) -> str:
    """Python that turns `raw` into a sample of the file's input."""
    q = graph.tensors[graph.input].quantization
    if preprocessing is None:
        return "raw"
    codes = _raw_codes(graph, preprocessing, file_input)
    if codes is not None and codes.step == 1.0:
        return f'(raw {codes.shift:+.1f}).astype("{file_input.dtype}")' if codes.shift else "raw"
    if codes is not None:
        return _saturating_cast(f"raw / {codes.step!r}", codes.shift, file_input)
    mean, std = (_of_channels(values, file_input) for values in (preprocessing.mean, preprocessing.std))
    raw = "raw" if preprocessing.scale == 1.0 else f"raw * {preprocessing.scale!r}"
    real = f"({raw} - {mean}) / {std}"
    if q is None:
        return f'({real}).astype("float32")'
    return _saturating_cast(f"{real} / {q.scale!r}", q.zero_point + file_input.offset, file_input)


def _saturating_cast(value: str, shift: int, file_input: FileInput) -> str:
    low, high = np.iinfo(file_input.dtype).min, np.iinfo(file_input.dtype).max
    return f'numpy.clip(numpy.rint({value}) + {shift}, {low}, {high}).astype("{file_input.dtype}")'


def _of_channels(values: Sequence[float], file_input: FileInput) -> str:
    if len(set(values)) == 1 or file_input.channels is None:
        return repr(values[0])
    after = len(file_input.shape) - 1 - file_input.channels
    numbers = f"[{', '.join(map(repr, values))}]"
    return f"numpy.reshape({numbers}, {(-1, *[1] * after)})" if after else f"numpy.array({numbers})"
