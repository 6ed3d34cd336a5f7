"""A file that others made, written again in other formats, with the proof that each computes what it did."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekd.catalog.formats import EXCHANGED, FORMATS, format_module
from edgekd.catalog.runtimes import ROUNDINGS, RUNTIMES, Runtime
from edgekd.disk import copy
from edgekd.errors import ConfigError, MissingExtraError, ModelError, ParityError, UnsupportedOperatorError
from edgekd.graph import cost, plan
from edgekd.graph.structure import Array, Graph
from edgekd.pipeline import foreign
from edgekd.pipeline.foreign import Parity, compared
from edgekd.results import OperatorRow
from edgekd.runtimes.parity import layers

SAMPLES = 32
LAYER_SAMPLES = 4
"""Of them, on which the first layer that differs is looked for."""


@dataclass(frozen=True)
class Conversion:
    """What `convert` wrote, and how it compares.

    Attributes:
        graph: what was read.
        operators: one row each, in order of execution.
        files: what was written, by format; the first of each format is the model.
        peak_ram_bytes: the arena of activations, by the memory plan.
        parity: the comparisons; `identical` says whether all that had to be the same are.
        notes: what could not be compared, and why.
    """

    source: Path
    graph: Graph
    operators: tuple[OperatorRow, ...]
    macs: int
    parameters: int
    peak_ram_bytes: int
    files: dict[str, tuple[Path, ...]]
    parity: tuple[Parity, ...]
    notes: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether all comparisons that must agree do."""
        return all(row.passed for row in self.parity)


def convert(
    source: Path | str,
    out: Path | str,
    formats: Sequence[str] | None = None,
    name: str | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Conversion:
    """Write the int8 network of a file again.

    Args:
        source: a file of a format that edgekd reads.
        out: the folder for the files, which is made.
        formats: names of the formats' table; by default all but C that have a form for each of its operators.
        name: of the files, without a suffix; the source's by default.
        samples: drawn inputs on which the files are compared.
        seed: of those inputs.

    Raises:
        ModelError: the source is damaged, or can't be read; by operator where the graph has no form for it.
        ConfigError: a format that is not known, or files that would be written over the source.
    """
    source, out = Path(source), Path(out)
    kinds = EXCHANGED if formats is None else tuple(formats)
    unknown = [kind for kind in kinds if kind not in FORMATS]
    if unknown or not kinds:
        raise ConfigError(f"there is no format {', '.join(unknown) or 'named'}", f"formats of {', '.join(FORMATS)}")
    if samples < 1:
        raise ConfigError(f"{samples} samples compare nothing", f"{SAMPLES} samples")
    graph = foreign.read(source)
    stem = name or source.stem
    if any((out / f"{stem}.{kind}").resolve() == source.resolve() for kind in kinds):
        raise ConfigError(f"the files would be written over {source}", "another folder or another name")
    files: dict[str, tuple[Path, ...]] = {}
    refusals: list[str] = []
    for kind in kinds:
        try:
            files[kind] = _written(graph, kind, out, stem)
        except UnsupportedOperatorError as error:
            if formats is not None or (kind == kinds[-1] and not files):
                raise
            refusals.append(f"no {FORMATS[kind].title} file: {error.what}")
    parity, notes = _compare(source, graph, files, foreign.drawn_codes(graph, samples, seed))
    return Conversion(
        source, graph, cost.operators(graph), cost.macs(graph), cost.parameters(graph), plan.peak_ram_bytes(graph),
        files, parity, (*refusals, *notes),
    )  # fmt: skip


def judge(conversion: Conversion) -> None:
    """Raise ParityError where two answers differ that had to be the same."""
    failed = [row for row in conversion.parity if not row.passed]
    if failed:
        what = "; ".join(
            f"{row.what} differs from {row.against} in {row.differing:,} of {row.outputs:,}" for row in failed
        )
        raise ParityError(what, "report it with the file: its kernels round in a way that edgekd does not know")


def _written(graph: Graph, kind: str, out: Path, stem: str) -> tuple[Path, ...]:
    """The files of one format: all that its writer leaves, the model first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = format_module(kind).write(graph, folder / f"{stem}.{kind}")
        others = sorted(path for path in folder.rglob("*") if path.is_file() and path != model)
        written = [path.relative_to(folder) for path in (model, *others)]
        for path in written:
            copy(folder / path, out / path)
    return tuple(out / path for path in written)


def _compare(
    source: Path, graph: Graph, files: dict[str, tuple[Path, ...]], codes: tuple[Array, ...]
) -> tuple[tuple[Parity, ...], tuple[str, ...]]:
    """The source in its runtimes against the reference; each file against the source in a runtime that rounds alike."""
    kind = foreign.format_of(source)
    originals, rows, notes = _originals(source, graph, codes)
    for each, (model, *_) in files.items():
        for name, runtime in foreign.runtimes_of(each).items():
            if each == kind and name not in originals:
                continue
            try:
                actual = foreign.answers(runtime, model, graph, codes)
            except MissingExtraError as error:
                notes.append(f"not compared: {error.what}")
                continue
            alike = [name] if each == kind else [n for n in originals if RUNTIMES[n].kernels == runtime.kernels]
            if alike:
                against, expected = _of_source(RUNTIMES[alike[0]]), originals[alike[0]]
            else:
                against, expected = _rounding(runtime), foreign.expected_codes(graph, codes, runtime)
            row = compared(_title(model, runtime), actual, against, expected, exact=True)
            if row.differing:
                some = tuple(c[:LAYER_SAMPLES] for c in codes)
                row = replace(row, parts=foreign.first_of(layers(runtime, graph, some)))
            rows.append(row)
            host = FORMATS[kind].runtime
            if not alike and name == FORMATS[each].runtime and host in originals:
                against = _of_source(RUNTIMES[host])
                rows.append(compared(_title(model, runtime), actual, against, originals[host], exact=False))
    missing = [note for each in dict.fromkeys((kind, *files)) for note in foreign.missing_runtimes(each)]
    return tuple(rows), (*notes, *missing)


def _originals(
    source: Path, graph: Graph, codes: tuple[Array, ...]
) -> tuple[dict[str, tuple[Array, ...]], list[Parity], list[str]]:
    """What the source answers in each runtime, its rows against the reference, and where it could not be run."""
    originals: dict[str, tuple[Array, ...]] = {}
    rows: list[Parity] = []
    notes: list[str] = []
    for name, runtime in foreign.runtimes_of(foreign.format_of(source)).items():
        try:
            originals[name] = foreign.answers(runtime, source, graph, codes)
        except (MissingExtraError, ModelError) as error:
            notes.append(f"not compared: {error.what}")
            continue
        expected = foreign.expected_codes(graph, codes, runtime)
        row = compared(_of_source(runtime), originals[name], _rounding(runtime), expected, exact=True)
        if row.differing:
            some = tuple(c[:LAYER_SAMPLES] for c in codes)
            row = replace(row, parts=foreign.first_difference(runtime, source, graph, some))
        rows.append(row)
    return originals, rows, notes


def _title(path: Path, runtime: Runtime) -> str:
    return f"{path.name} in {runtime.title}"


def _of_source(runtime: Runtime) -> str:
    return f"the source in {runtime.title}"


def _rounding(runtime: Runtime) -> str:
    return f"the reference as {ROUNDINGS[runtime.kernels].title} rounds"
