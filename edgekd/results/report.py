"""Gives the record of the whole report, and the JSON schema of `report.json`."""

from typing import Any, Literal

from edgekd.results.distillation import Distillation
from edgekd.results.quantity import Record
from edgekd.results.rows import Boundary, EmulatedRow, FileRow, LatencyRow, LimitRow, OperatorRow, StageRow
from edgekd.results.task import TaskWords


class Report(Record):
    """`report.json`, from which the Markdown and HTML pages are rendered."""

    schema_version: Literal[2] = 2
    """The version of the schema, which increases if a field changes its meaning or is removed."""

    edgekd_version: str

    created: str
    """The time of the report in UTC, ISO 8601."""

    command: str
    """The command that was typed; folders outside the working directory are shortened to their last part."""

    target: dict[str, Any]
    """The settings of `device`."""

    seed: int

    task: TaskWords
    """The task with the words and the direction of its score."""

    data: dict[str, Any]
    """The name, the samples of each split, the classes and the input_shape of the data set."""

    stages: tuple[StageRow, ...]
    """The ledger's rows: teacher, distilled, pruned, int8."""

    distillation: Distillation | None = None
    """The knowledge transfer from the teacher; None in the reports of earlier versions."""

    boundaries: tuple[Boundary, ...]
    """The proof that what was trained is what is shipped."""

    operators: tuple[OperatorRow, ...]
    latencies: tuple[LatencyRow, ...]
    emulated: EmulatedRow | None = None
    """The results of the C code on an emulated core of the target; None if it was not emulated."""

    limits: tuple[LimitRow, ...]
    files: tuple[FileRow, ...]

    notes: tuple[str, ...] = ()
    """Fallbacks and remarks, each after the name of its stage."""

    training: dict[str, Any] = {}
    """For each stage that trains: the processes, the epoch it was resumed from, and other records. For quantize also:
    method; ptq: the scores before training; input: how it takes raw values; float_layers and their boundaries;
    sensitivity: of each layer the signal-to-noise ratio of the outputs, in decibels, if this layer alone is rounded."""

    machine: dict[str, Any] = {}
    """The machine that ran the host measurements: CPU, cores, memory and operating system, without names."""

    versions: dict[str, str] = {}
    """The versions of Python and of the libraries that the results depend on."""

    @property
    def missed(self) -> tuple[LimitRow, ...]:
        """Return the limits that are missed."""
        return tuple(row for row in self.limits if row.met is False)

    @property
    def parity(self) -> bool:
        """Return whether no boundary has failed, and no output on an emulated core differs."""
        emulation_passed = self.emulated is None or not self.emulated.differing
        return emulation_passed and all(row.passed is not False for row in self.boundaries)


def schema() -> dict[str, Any]:
    """Return the JSON schema of `report.json`, with a description of every field."""
    return Report.model_json_schema()
