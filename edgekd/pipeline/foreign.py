"""Runs files of other converters on random inputs and compares their outputs, for `convert` and `diff`."""

import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd.catalog.formats import FORMATS, format_module
from edgekd.catalog.runtimes import RUNTIMES, Runtime
from edgekd.errors import ConfigError, ModelError
from edgekd.graph import reference
from edgekd.graph.ops import Embedding
from edgekd.graph.structure import Array, Graph, Quantization
from edgekd.results import LayerDifference
from edgekd.runtimes.codes import from_file_codes, to_file_codes
from edgekd.runtimes.isolated import IsolatedRunner
from edgekd.runtimes.parity import differences

MOST_VALUES = 2**24
"""The largest number of values of a tensor that the reference computes at once, over a batch."""


@dataclass(frozen=True)
class Parity:
    """The comparison of two files' or runtimes' outputs on the same inputs.

    Attributes:
        what, against: the names of the two sides.
        differing: the number of codes that differ.
        outputs: the number of codes that were compared.
        largest_steps: the largest difference in quantization steps.
        exact: whether the codes must be the same; otherwise the kernels round differently, and differences are only
            counted.
        parts: the first layer that differs; "" if it is not known.
    """

    what: str
    against: str
    differing: int
    outputs: int
    largest_steps: int
    exact: bool
    parts: str = ""

    @property
    def passed(self) -> bool:
        """Return whether the codes are the same if they must be."""
        return not (self.exact and self.differing)


def compare_codes(
    what: str, codes: Sequence[Array], against: str, others: Sequence[Array], exact: bool, parts: str = ""
) -> Parity:
    """Compare the codes of two sides, an array (N, ...) for each output, and return the row.

    Raises:
        ModelError: the outputs have different shapes.
    """
    if [a.shape for a in codes] != [b.shape for b in others]:
        raise ModelError(
            f"{what} gives {[a.shape[1:] for a in codes]}, {against} gives {[b.shape[1:] for b in others]}",
            "compare files of one network",
        )
    steps = [np.abs(a.astype(np.float64) - b.astype(np.float64)) for a, b in zip(codes, others, strict=True)]
    differing, outputs = sum(int((s > 0).sum()) for s in steps), sum(s.size for s in steps)
    largest = max(int(np.ceil(s.max(initial=0))) for s in steps)
    return Parity(what, against, differing, outputs, largest, exact, parts)


def format_of(path: Path) -> str:
    """Return the name of a file's format by its suffix; raise a ConfigError if there is no such format or file."""
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise ConfigError(f"{path.name} is of no format that edgekd knows", f"a file of {', '.join(FORMATS)}")
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", "name one that is there")
    return name


def read(path: Path) -> Graph:
    """Read the graph of a file by the reader of its format; raise a ConfigError if the format has none."""
    module = format_module(format_of(path))
    if not hasattr(module, "read"):
        readable = [name for name in FORMATS if hasattr(format_module(name), "read")]
        raise ConfigError(
            f"edgekd does not read {FORMATS[format_of(path)].title} files", f"a file of {', '.join(readable)}"
        )
    graph: Graph = module.read(path)
    return graph


def runtimes_of(format_name: str) -> dict[str, Runtime]:
    """Return the installed runtimes of a format, keyed by name."""
    rows = {name: row for name, row in RUNTIMES.items() if row.format == format_name}
    return {name: row for name, row in rows.items() if importlib.util.find_spec(row.package.partition(".")[0])}


def missing_runtimes(format_name: str) -> list[str]:
    """Return a note for each runtime of a format that is not installed, with the command that installs it."""
    rows = {name: row for name, row in RUNTIMES.items() if row.format == format_name}
    missing = [row for name, row in rows.items() if name not in runtimes_of(format_name)]
    return [f"{row.title} is not installed, so it was not asked: pip install '{_installable(row)}'" for row in missing]


def _installable(runtime: Runtime) -> str:
    return f"edgekd[{runtime.extra}]" if runtime.extra else runtime.distribution


def random_codes(graph: Graph, samples: int, seed: int) -> tuple[Array, ...]:
    """Draw codes for every input, (N, *shape).

    Each sample has a mean and a standard deviation of its own; the last sample has only the lowest and the highest
    code. Indices are below the number of rows of every embedding table that reads them.
    """
    random = np.random.default_rng(seed)
    return tuple(_random_input(random, graph, name, samples) for name in graph.inputs)


def _random_input(random: np.random.Generator, graph: Graph, name: str, samples: int) -> Array:
    shape = (samples, *graph.tensors[name].shape)
    if graph.tensors[name].kind == "index":
        rows = [len(op.weight) for op in graph.consumers(name) if isinstance(op, Embedding)]
        return random.integers(0, min(rows, default=1), shape, dtype=np.int32)
    return varied_codes(random, shape, graph.quantization(name))


def varied_codes(random: np.random.Generator, shape: tuple[int, ...], codes: Quantization) -> Array:
    """Draw codes of a shape, (N, ...), within the range of their quantization; see `random_codes`."""
    per_sample = (shape[0], *[1] * (len(shape) - 1))
    steps = (codes.highest - codes.lowest) / 2
    middle = random.uniform(codes.lowest, codes.highest, per_sample)
    values = middle + random.standard_normal(shape) * random.uniform(0.01, 1.0, per_sample) * steps
    values[-1] = random.choice([codes.lowest, codes.highest], shape[1:])
    return np.clip(np.rint(values), codes.lowest, codes.highest).astype(np.int8 if codes.bits == 8 else np.int16)


def answers(runtime: Runtime, path: Path, graph: Graph, codes: Sequence[Array]) -> tuple[Array, ...]:
    """Run a file in a process of its own on codes, and return the codes of every output.

    `graph` has the quantization of inputs and outputs that are real values in the file.
    """
    runner = IsolatedRunner(runtime, path)
    inputs, outputs = ([graph.tensors[n].quantization for n in names] for names in (graph.inputs, graph.outputs))
    if (len(runner.inputs), len(runner.outputs)) != (len(inputs), len(outputs)):
        raise ModelError(f"{path.name} has other inputs or outputs in {runtime.title}", "a file of the same network")
    feeds = (to_file_codes(*each) for each in zip(codes, runner.inputs, inputs, strict=True))
    values = runner.run_all(*feeds)
    return tuple(from_file_codes(*each) for each in zip(values, runner.outputs, outputs, strict=True))


def expected_codes(graph: Graph, codes: Sequence[Array], runtime: Runtime) -> tuple[Array, ...]:
    """Return the codes of every output of the reference in a runtime's rounding, in batches that fit in memory."""
    largest = max(tensor.elements for tensor in graph.tensors.values())
    batch_size = max(1, min(64, MOST_VALUES // largest))
    return reference.run_all(graph, *codes, kernels=runtime.kernels, batch_size=batch_size)


def first_difference(runtime: Runtime, path: Path, graph: Graph, codes: Sequence[Array]) -> str:
    """Name the first layer of a file whose codes differ from the reference; "" if there is none.

    `graph` is the graph that was read from the file.
    """
    module = format_module(format_of(path))
    with tempfile.TemporaryDirectory() as folder:
        exposed = Path(folder) / path.name  # a copy of the file whose outputs are all tensors
        places = module.expose(path, exposed)
        runner = IsolatedRunner(runtime, exposed)
        inputs = [graph.tensors[name].quantization for name in graph.inputs]
        feeds = [to_file_codes(*each) for each in zip(codes, runner.inputs, inputs, strict=True)]
        values = runner.run_all(*feeds)
    actual = {
        name: each.transpose(0, *axes).reshape(len(each), *graph.tensors[name].shape)
        for each, (name, axes) in zip(values, places, strict=True)
    }
    expected = dict(reference.trace(graph, *codes, kernels=runtime.kernels))
    return first_differing_layer(differences(graph, expected, actual))


def first_differing_layer(rows: Sequence[LayerDifference]) -> str:
    """Describe the first layer that differs by its name and operator; "" if none does."""
    return next((f"{row.layer} ({row.operator})" for row in rows if row.differing), "")
