"""What every written file says about itself: labels, how the sensor's values become codes, and a line that runs it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from edgekd.graph.structure import Graph, Quantization

WHOLE = 1e-3
"""A code may be so far from a whole number, and still count as one: float32 has rounded it."""


DType = Literal["int8", "uint8"]


@dataclass(frozen=True)
class Preprocessing:
    """input = (raw * scale - mean) / std, per channel; then, in an int8 file, round(input / s) + z."""

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def raw_codes(self, quantization: Quantization) -> "RawCodes | None":
        """Both steps in one, where they come to a step and a whole number for all channels."""
        if len(set(self.mean)) > 1 or len(set(self.std)) > 1:
            return None
        step = quantization.scale * self.std[0] / self.scale
        shift = quantization.zero_point - self.mean[0] / (quantization.scale * self.std[0])
        if abs(shift - round(shift)) > WHOLE:
            return None
        return RawCodes(float(f"{step:.7g}"), round(shift))


@dataclass(frozen=True)
class RawCodes:
    """code = round(raw / step) + shift; of pixels, step is 1."""

    step: float
    shift: int


@dataclass(frozen=True)
class FileInput:
    """How a format holds a graph's (first) input.

    Attributes:
        dtype: of codes. Real values are float32, indices int32, in every format.
        shape: of a sample, as it stands in the file.
        channels: the place of torch's first axis in `shape`; None where the axis is not there whole.
    """

    dtype: DType
    shape: tuple[int, ...]
    channels: int | None

    @property
    def offset(self) -> int:
        """What the format adds to the graph's int8 codes."""
        return 128 if self.dtype == "uint8" else 0


def describe(
    graph: Graph,
    labels: Sequence[str],
    preprocessing: Preprocessing | None,
    taken: FileInput,
    given: DType,
    run: str,
    decoding: str = "",
) -> dict[str, str]:
    """Metadata by name; the same names in every format, labels and preprocessing as JSON texts.

    Args:
        taken: the input as the format has it.
        given: the dtype of outputs that are codes.
        run: a line of Python in which `{}` stands for one sample as the file takes it, without a batch.
        decoding: Python that goes on from `answer`, as the task has it; `{real}` stands for it in real numbers.
    """
    found = {"labels": json.dumps(list(labels))} if labels else {}
    if preprocessing is not None:
        codes = _raw_codes(graph, preprocessing, taken)
        found["preprocessing"] = json.dumps(asdict(codes or preprocessing))
    if (labels or decoding or preprocessing is not None) and len(graph.inputs) == 1:
        found["usage"] = usage(graph, preprocessing, taken, run, decoding.format(real=_real_answer(graph, given)))
    for role, name in (*roles("input", graph.inputs), *roles("output", graph.outputs)):
        q = graph.tensors[name].quantization
        if q is not None:
            unsigned = (taken.dtype if name in graph.inputs else given) == "uint8"
            found[f"{role}_scale"] = repr(q.scale)
            found[f"{role}_zero_point"] = str(q.zero_point + (128 if unsigned else 0))
    return found


def usage(graph: Graph, preprocessing: Preprocessing | None, taken: FileInput, run: str, decoded: str) -> str:
    """A line of Python from one sample, as the sensor gives it, to the answer; `raw` is the sample.

    Args:
        decoded: Python that goes on from `answer`, or "".
    """
    pixels = preprocessing is not None and preprocessing.scale != 1.0
    kind = "int32 tokens" if graph.tensors[graph.input].kind == "index" else "uint8" if pixels else "float32"
    more = f"; {decoded}" if decoded else ""
    return f"{run.format(_sample(graph, preprocessing, taken))}{more}  # raw: {kind} {taken.shape}"


def roles(role: str, tensors: Sequence[str]) -> list[tuple[str, str]]:
    """(role, tensor): "input" for the only or the first one, then "input_1", "input_2"; the names in every format."""
    return [(f"{role}_{i}" if i else role, name) for i, name in enumerate(tensors)]


def _real_answer(graph: Graph, dtype: DType) -> str:
    """Python that turns `answer`, of the first output, into real numbers."""
    q = graph.tensors[graph.outputs[0]].quantization
    if q is None:
        return "answer"
    return f"({q.scale!r} * (answer.astype(float) - {q.zero_point + (128 if dtype == 'uint8' else 0)}))"


def _raw_codes(graph: Graph, preprocessing: Preprocessing, taken: FileInput) -> RawCodes | None:
    q = graph.tensors[graph.input].quantization
    codes = preprocessing.raw_codes(q) if q else None
    return RawCodes(codes.step, codes.shift + taken.offset) if codes else None


def _sample(graph: Graph, preprocessing: Preprocessing | None, taken: FileInput) -> str:
    """Python that turns `raw` into what the file takes."""
    q = graph.tensors[graph.input].quantization
    if preprocessing is None:
        return "raw"
    codes = _raw_codes(graph, preprocessing, taken)
    if codes is not None and codes.step == 1.0:
        return f'(raw {codes.shift:+.1f}).astype("{taken.dtype}")' if codes.shift else "raw"
    if codes is not None:
        return _saturated(f"raw / {codes.step!r}", codes.shift, taken)
    mean, std = (_of_channels(values, taken) for values in (preprocessing.mean, preprocessing.std))
    scaled = "raw" if preprocessing.scale == 1.0 else f"raw * {preprocessing.scale!r}"
    real = f"({scaled} - {mean}) / {std}"
    if q is None:
        return f'({real}).astype("float32")'
    return _saturated(f"{real} / {q.scale!r}", q.zero_point + taken.offset, taken)


def _saturated(value: str, shift: int, taken: FileInput) -> str:
    low, high = np.iinfo(taken.dtype).min, np.iinfo(taken.dtype).max
    return f'numpy.clip(numpy.rint({value}) + {shift}, {low}, {high}).astype("{taken.dtype}")'


def _of_channels(values: Sequence[float], taken: FileInput) -> str:
    if len(set(values)) == 1 or taken.channels is None:
        return repr(values[0])
    after = len(taken.shape) - 1 - taken.channels
    listed = f"[{', '.join(map(repr, values))}]"
    return f"numpy.reshape({listed}, {(-1, *[1] * after)})" if after else f"numpy.array({listed})"
