"""The report as a whole."""

from typing import Any, Literal

from edgekd.results.distillation import Distillation
from edgekd.results.quantity import Record
from edgekd.results.rows import Boundary, EmulatedRow, FileRow, LatencyRow, LimitRow, OperatorRow, StageRow
from edgekd.results.task import TaskWords


class Report(Record):
    """`report.json`, the truth from which the Markdown and HTML pages are made."""

    schema_version: Literal[2] = 2
    """Raised when a field changes its meaning or goes away."""

    edgekd_version: str

    created: str
    """UTC, ISO 8601."""

    command: str
    """What was typed; folders outside the working directory are shortened to their last part."""

    target: dict[str, Any]
    """The settings of `device`."""

    seed: int

    task: TaskWords
    """What was learnt, and the words and the direction of its score."""

    data: dict[str, Any]
    """name, samples of each split, classes and input_shape."""

    stages: tuple[StageRow, ...]
    """The ledger: teacher, distilled, pruned, int8."""

    distillation: Distillation | None = None
    """What the student took over from its teacher; None in the reports of earlier versions."""

    boundaries: tuple[Boundary, ...]
    """The proof that what was trained is what is shipped."""

    operators: tuple[OperatorRow, ...]
    latencies: tuple[LatencyRow, ...]
    emulated: EmulatedRow | None = None
    """The C code on an emulated core of the target; None where there is none."""

    limits: tuple[LimitRow, ...]
    files: tuple[FileRow, ...]

    notes: tuple[str, ...] = ()
    """Fallbacks and remarks, each opened by its stage."""

    training: dict[str, Any] = {}
    """For each stage that trains: processes, the epoch it was resumed from, and what else it recorded. For quantize:
    method; ptq: the scores before training; input: how it takes raw values; float_layers and their boundaries;
    sensitivity: layer -> decibels of the answers over the noise that rounding this layer alone makes."""

    machine: dict[str, Any] = {}
    """That ran the host measurements: CPU, cores, memory, operating system; no names."""

    versions: dict[str, str] = {}
    """Of Python and of the libraries behind the figures."""

    @property
    def missed(self) -> tuple[LimitRow, ...]:
        """The limits that are missed."""
        return tuple(row for row in self.limits if row.met is False)

    @property
    def parity(self) -> bool:
        """Every boundary that must agree does."""
        emulated_alike = self.emulated is None or not self.emulated.differing
        return emulated_alike and all(row.passed is not False for row in self.boundaries)


def schema() -> dict[str, Any]:
    """The JSON schema of `report.json`, with every field described."""
    return Report.model_json_schema()
