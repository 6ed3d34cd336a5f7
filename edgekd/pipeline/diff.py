"""`edgekd diff`: it runs two files on the same inputs and finds the first layer that differs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekd.catalog.formats import FORMATS
from edgekd.catalog.runtimes import RUNTIMES, Runtime
from edgekd.errors import ConfigError, ModelError, ParityError
from edgekd.graph import cost, reference
from edgekd.graph.structure import Array, Graph, Quantization
from edgekd.pipeline import foreign
from edgekd.pipeline.foreign import Parity, compare_codes
from edgekd.runtimes.codes import SHIFT, from_file_codes, to_file_codes
from edgekd.runtimes.isolated import IsolatedRunner
from edgekd.runtimes.tensors import TensorInfo

SAMPLES = 64
TRACED_SAMPLES = 4


@dataclass(frozen=True)
class Comparison:
    """The comparison of two files.

    Attributes:
        rows: the comparisons, one for each runtime that runs both files, or one for the host runtimes of two formats.
        notes: the runtimes that did not run the files, and the files that edgekd cannot read, with the reasons.
    """

    rows: tuple[Parity, ...]
    notes: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Return whether no output of the two files differs."""
        return not any(row.differing for row in self.rows)


def diff(a: Path | str, b: Path | str, samples: int = SAMPLES, seed: int = 0) -> Comparison:
    """Run two files on the same random inputs and compare their outputs.

    Args:
        a, b: the paths of the files.
        samples: the number of random inputs.
        seed: the seed of the random inputs.

    Raises:
        ModelError: a file cannot be run, or the inputs or outputs of the files do not match.
    """
    a, b = Path(a), Path(b)
    if samples < 1:
        raise ConfigError(f"{samples} samples compare nothing", f"{SAMPLES} samples")
    kinds = foreign.format_of(a), foreign.format_of(b)
    if kinds[0] == kinds[1]:
        pairs = [(runtime, runtime) for runtime in foreign.runtimes_of(kinds[0]).values()]
    else:
        pairs = [(RUNTIMES[FORMATS[kinds[0]].runtime], RUNTIMES[FORMATS[kinds[1]].runtime])]
    notes = [note for kind in dict.fromkeys(kinds) for note in foreign.missing_runtimes(kind)]
    graphs, rows = (_graph(a, notes), _graph(b, notes)), []
    for pair in pairs:
        try:
            rows.append(_row((a, b), pair, graphs, samples, seed))
        except ModelError as error:
            if len(pairs) == 1 or pair == pairs[0]:
                raise
            notes.append(f"not compared: {error.what}")
    return Comparison(tuple(rows), tuple(notes))


def judge(comparison: Comparison) -> None:
    """Raise a ParityError if the files differ."""
    for row in comparison.rows:
        if row.differing:
            where = f"; they part at {row.parts}" if row.parts else ""
            raise ParityError(
                f"{row.what} and {row.against} differ in {row.differing:,} of {row.outputs:,} outputs, by up to "
                f"{row.largest_steps} steps{where}",
                "edgekd convert, if one is to be the other's copy",
            )


def _graph(path: Path, notes: list[str]) -> Graph | None:
    """Read the graph of a file; if it cannot be read, add a note and return None."""
    try:
        return foreign.read(path)
    except (ModelError, ConfigError) as error:
        notes.append(f"where they part is not known: {error.what}")
        return None


def _row(
    paths: tuple[Path, Path],
    pair: tuple[Runtime, Runtime],
    graphs: tuple[Graph | None, Graph | None],
    samples: int,
    seed: int,
) -> Parity:
    runners = [IsolatedRunner(runtime, path) for runtime, path in zip(pair, paths, strict=True)]
    names = [f"{path.name} in {runtime.title}" for runtime, path in zip(pair, paths, strict=True)]
    scales = _common_scales(names, [runner.inputs for runner in runners])
    graph = graphs[0] or graphs[1]
    if graph is not None:
        codes = foreign.random_codes(graph, samples, seed)
        scales = [graph.tensors[name].quantization for name in graph.inputs]
    else:
        codes = _random_input(runners[0].inputs, scales, samples, seed)
    output_scales: list[Quantization | None] = [None] * len(runners[0].outputs)
    if graph is not None:
        output_scales = [graph.tensors[name].quantization for name in graph.outputs]
    outputs = []
    for runner in runners:
        feeds = (to_file_codes(*each) for each in zip(codes, runner.inputs, scales, strict=True))
        values = zip(runner.run_all(*feeds), runner.outputs, output_scales, strict=True)
        outputs.append([from_file_codes(*each) for each in values])
    row = compare_codes(names[0], outputs[0], names[1], outputs[1], exact=True)
    both = graphs[0], graphs[1]
    if row.differing and both[0] is not None and both[1] is not None:
        row = replace(row, parts=_first_difference((both[0], both[1]), pair[0], [c[:TRACED_SAMPLES] for c in codes]))
    return row


def _common_scales(names: Sequence[str], ends: Sequence[Sequence[TensorInfo]]) -> list[Quantization | None]:
    """Return the quantization of each input; raise a ModelError if the files differ in number, shape or scale."""
    if len(ends[0]) != len(ends[1]):
        raise ModelError(f"{names[0]} takes {len(ends[0])} inputs, {names[1]} {len(ends[1])}", "files of one network")
    scales: list[Quantization | None] = []
    for a, b in zip(*ends, strict=True):
        if _shape(a) != _shape(b):
            raise ModelError(f"{names[0]} takes {_shape(a)}, {names[1]} {_shape(b)}", "files of one network")
        pair = [scale for scale in (_quantization(a), _quantization(b)) if scale is not None]
        if len(set(pair)) > 1:
            raise ModelError(f"{names[0]} takes codes on {pair[0]}, {names[1]} on {pair[1]}", "files of one network")
        scales.append(pair[0] if pair else None)
    return scales


def _shape(info: TensorInfo) -> tuple[int, ...]:
    """Return the shape of a sample in torch's order."""
    return tuple(info.shape[int(place)] for place in np.argsort(info.axes)) if info.axes else info.shape


def _quantization(info: TensorInfo) -> Quantization | None:
    """Return scale and zero point for int8 codes; None if the tensor has none."""
    if info.scale is None or info.zero_point is None:
        return None
    return Quantization(info.scale, info.zero_point - (SHIFT if info.dtype == np.uint8 else 0))


def _random_input(
    infos: Sequence[TensorInfo], scales: Sequence[Quantization | None], samples: int, seed: int
) -> tuple[Array, ...]:
    random = np.random.default_rng(seed)
    arrays = []
    for info, codes in zip(infos, scales, strict=True):
        shape = (samples, *_shape(info))
        if codes is not None:
            arrays.append(foreign.varied_codes(random, shape, codes))
        elif info.dtype == np.float32:
            arrays.append(random.standard_normal(shape).astype(np.float32))
        else:
            arrays.append(np.zeros(shape, info.dtype))
    return tuple(arrays)


def _first_difference(graphs: tuple[Graph, Graph], runtime: Runtime, codes: Sequence[Array]) -> str:
    """Name the first pair of layers with different codes in the reference; layers are paired in their order."""
    traces = [dict(reference.trace(graph, *codes, kernels=runtime.kernels)) for graph in graphs]
    for op, other in zip(*([op for op in graph.operators if op.inputs] for graph in graphs), strict=False):
        one, two = traces[0][op.output], traces[1][other.output]
        if one.shape != two.shape or (one != two).any():
            return f"{op.name} ({cost.describe(op)})" + (f" and {other.name}" if other.name != op.name else "")
    return ""
