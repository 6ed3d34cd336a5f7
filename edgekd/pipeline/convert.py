"""`edgekd convert`: it writes a file of another converter in other formats, and compares what the files compute."""

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
from edgekd.pipeline.foreign import Parity, compare_codes
from edgekd.results import OperatorRow
from edgekd.runtimes.parity import layers

SAMPLES = 32
LAYER_SAMPLES = 4
"""The number of these samples on which layers are compared, to find the first one that differs."""


@dataclass(frozen=True)
class Conversion:
    """The files that `convert` wrote, and their comparison with the source.

    Attributes:
        source: the path of the file that was read.
        graph: the graph of the source.
        operators: the rows of the operators, in order of execution.
        macs: the multiply-accumulates of one inference.
        parameters: the number of parameters.
        peak_ram_bytes: the bytes of the arena for activations, by the memory plan.
        files: the paths of the written files, keyed by format; the first of each format is the model.
        parity: the comparisons of the codes.
        notes: the formats that were not written and the runtimes that were not compared, with the reasons.
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
        """Return whether no output differs in the comparisons that must be exact."""
        return all(row.passed for row in self.parity)


def convert(
    source: Path | str,
    out: Path | str,
    formats: Sequence[str] | None = None,
    name: str | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Conversion:
    """Write the int8 network of a file in other formats.

    Args:
        source: the path of a file in a format that edgekd reads.
        out: the folder for the files, which is created.
        formats: the names of formats in the catalog; by default all except C that support each of the operators.
        name: the name of the files without a suffix; by default the source's.
        samples: the number of random inputs on which the files are compared.
        seed: the seed of the random inputs.

    Raises:
        ModelError: the source is damaged or cannot be read; the message names an operator that is not supported.
        ConfigError: a format is unknown, or the files would overwrite the source.
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
            files[kind] = _write(graph, kind, out, stem)
        except UnsupportedOperatorError as error:
            if formats is not None or (kind == kinds[-1] and not files):
                raise
            refusals.append(f"no {FORMATS[kind].title} file: {error.what}")
    parity, notes = _compare(source, graph, files, foreign.random_codes(graph, samples, seed))
    return Conversion(
        source, graph, cost.operators(graph), cost.macs(graph), cost.parameters(graph), plan.peak_ram_bytes(graph),
        files, parity, (*refusals, *notes),
    )  # fmt: skip


def judge(conversion: Conversion) -> None:
    """Raise a ParityError if outputs differ in a comparison that must be exact."""
    failed = [row for row in conversion.parity if not row.passed]
    if failed:
        what = "; ".join(
            f"{row.what} differs from {row.against} in {row.differing:,} of {row.outputs:,}" for row in failed
        )
        raise ParityError(what, "report it with the file: its kernels round in a way that edgekd does not know")


def _write(graph: Graph, kind: str, out: Path, stem: str) -> tuple[Path, ...]:
    """Write the files of one format and return their paths, the model first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = format_module(kind).write(graph, folder / f"{stem}.{kind}")
        others = sorted(path for path in folder.rglob("*") if path.is_file() and path != model)
        relative = [path.relative_to(folder) for path in (model, *others)]
        for path in relative:
            copy(folder / path, out / path)
    return tuple(out / path for path in relative)


def _compare(
    source: Path, graph: Graph, files: dict[str, tuple[Path, ...]], codes: tuple[Array, ...]
) -> tuple[tuple[Parity, ...], tuple[str, ...]]:
    """Compare the source with the reference, and each file with the source in a runtime of the same rounding.

    Return the comparisons and the notes. A file whose rounding no runtime of the source has is compared with the
    reference instead.
    """
    kind = foreign.format_of(source)
    originals, rows, notes = _originals(source, graph, codes)
    for written_kind, (model, *_) in files.items():
        for name, runtime in foreign.runtimes_of(written_kind).items():
            if written_kind == kind and name not in originals:
                continue
            try:
                actual = foreign.answers(runtime, model, graph, codes)
            except MissingExtraError as error:
                notes.append(f"not compared: {error.what}")
                continue
            same_rounding = [n for n in originals if RUNTIMES[n].kernels == runtime.kernels]
            if written_kind == kind:
                same_rounding = [name]
            if same_rounding:
                against, expected = _source_title(RUNTIMES[same_rounding[0]]), originals[same_rounding[0]]
            else:
                against, expected = _reference_title(runtime), foreign.expected_codes(graph, codes, runtime)
            row = compare_codes(_title(model, runtime), actual, against, expected, exact=True)
            if row.differing:
                few = tuple(c[:LAYER_SAMPLES] for c in codes)
                row = replace(row, parts=foreign.first_differing_layer(layers(runtime, graph, few)))
            rows.append(row)
            host = FORMATS[kind].runtime
            if not same_rounding and name == FORMATS[written_kind].runtime and host in originals:
                against = _source_title(RUNTIMES[host])
                rows.append(compare_codes(_title(model, runtime), actual, against, originals[host], exact=False))
    missing = [note for name in dict.fromkeys((kind, *files)) for note in foreign.missing_runtimes(name)]
    return tuple(rows), (*notes, *missing)


def _originals(
    source: Path, graph: Graph, codes: tuple[Array, ...]
) -> tuple[dict[str, tuple[Array, ...]], list[Parity], list[str]]:
    """Run the source in each runtime; return its codes by runtime, its comparisons with the reference, and notes."""
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
        row = compare_codes(_source_title(runtime), originals[name], _reference_title(runtime), expected, exact=True)
        if row.differing:
            few = tuple(c[:LAYER_SAMPLES] for c in codes)
            row = replace(row, parts=foreign.first_difference(runtime, source, graph, few))
        rows.append(row)
    return originals, rows, notes


def _title(path: Path, runtime: Runtime) -> str:
    return f"{path.name} in {runtime.title}"


def _source_title(runtime: Runtime) -> str:
    return f"the source in {runtime.title}"


def _reference_title(runtime: Runtime) -> str:
    return f"the reference as {ROUNDINGS[runtime.kernels].title} rounds"
