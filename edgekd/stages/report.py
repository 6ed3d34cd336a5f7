"""Puts every stage's figures into one report, the ledger with its judgements included, and writes it in three forms.

`report.json` is the truth; the Markdown and HTML pages are made from it and from nothing else.
"""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edgekd import __version__, catalog
from edgekd.catalog.forms import delivered_files
from edgekd.catalog.libraries import library_versions
from edgekd.config import Config
from edgekd.disk import file_sha256
from edgekd.report import ledger, limits
from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.report.terminal import summary
from edgekd.results import Boundary, Distillation, FileRow, Measurements, Report, TaskWords
from edgekd.tasks.task import Task

__all__ = ["compose", "html", "markdown", "run", "summary"]

VERSION = 1
DATA_FIELDS = ("train", "validation", "test", "classes", "input_shape")
TRAINING_FIELDS = (
    "processes",
    "trained",
    "resumed_from",
    "method",
    "ptq",
    "input",
    "equalised_pairs",
    "float_layers",
    "boundaries",
    "sensitivity",
)


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Read what the stages left, compose, write `report.json`, `report.md` and `report.html`."""
    task: Task = catalog.load("task", config.task)
    report = compose(
        config,
        task.with_name(config.task).words,
        metrics=_all_metrics(read, config.distill.combine),
        boundaries=TypeAdapter(tuple[Boundary, ...]).validate_json((read["verify"] / "boundaries.json").read_bytes()),
        measured=Measurements.model_validate_json((read["profile"] / "profile.json").read_bytes()),
        export=read["export"],
        command=command_line(sys.argv, config.device.name),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    (out / "report.json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(markdown(report), encoding="utf-8")
    (out / "report.html").write_text(html(report), encoding="utf-8")
    return {"missed": [row.miss for row in report.missed], "parity": report.parity}


def compose(
    config: Config,
    words: TaskWords,
    *,
    metrics: Mapping[str, Mapping[str, Any]],
    boundaries: Sequence[Boundary],
    measured: Measurements,
    export: Path,
    command: str,
    created: str,
) -> Report:
    """The report of a build.

    Args:
        words: of the task.
        metrics: of each stage, by its name.
        export: the folder of exported files, whose sizes and hashes are taken.
    """
    stages = ledger.rows(words, metrics, boundaries, measured, export)
    teacher, int8 = stages[0], stages[-1]
    return Report(
        edgekd_version=__version__,
        created=created,
        command=command,
        target=config.device.model_dump(mode="json"),
        seed=config.seed,
        task=words,
        data={"name": config.data.name, **{key: metrics["data"].get(key) for key in DATA_FIELDS}},
        stages=stages,
        distillation=Distillation.model_validate(found) if (found := metrics["distill"].get("transfer")) else None,
        boundaries=tuple(boundaries),
        operators=measured.operators,
        latencies=measured.latencies,
        emulated=measured.emulated,
        limits=limits.rows(
            config.limits,
            words,
            size=int8.size,
            flash=measured.emulated.flash if measured.emulated else limits.flash_of_file(int8.size),
            peak_ram=measured.emulated.ram if measured.emulated else int8.peak_ram,
            latency=measured.device_latency,
            score_drop=ledger.drop(words, teacher.score, int8.score),
        ),
        files=file_rows(export),
        notes=(
            *(f"{stage}: {note}" for stage, found in metrics.items() for note in found.get("notes") or ()),
            *((f"profile: {measured.not_emulated}",) if measured.not_emulated else ()),
        ),
        training={stage: training for stage, found in metrics.items() if (training := _training(found))},
        machine=measured.machine,
        versions={"python": sys.version.split()[0], **_libraries()},
    )


def file_rows(export: Path) -> tuple[FileRow, ...]:
    """The files that a build hands out."""
    present = [(export / name, what) for name, what in delivered_files().items() if (export / name).is_file()]
    return tuple(
        FileRow(path=file.name, size_bytes=file.stat().st_size, sha256=file_sha256(file), what=what)
        for file, what in present
    )


def command_line(arguments: Sequence[str], target: str) -> str:
    """What was typed, without the machine's folders; the Python call where edgekd was called as a library."""
    program = Path(arguments[0])
    if program.stem != "edgekd" and program.parent.name != "edgekd":
        return f"edgekd.build({target!r})"
    return shlex.join(["edgekd", *(_shorten(argument) for argument in arguments[1:])])


def _training(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in TRAINING_FIELDS if found.get(key) is not None}


def _all_metrics(read: Mapping[str, Path], combine: str) -> dict[str, dict[str, Any]]:
    """Of each stage but `profile`; several teachers count as they were combined."""
    found = {stage: _metrics(folder) for stage, folder in read.items() if stage != "profile"}
    found["teacher"] |= (found["teacher"].get("combined") or {}).get(combine, {})
    return found


def _metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return found


def _shorten(argument: str) -> str:
    """`--set data.root=/data/mnist` -> `--set data.root=…/mnist`."""
    name, equals, value = argument.rpartition("=")
    return f"{name}{equals}…/{Path(value).name}" if value.startswith(("/", "~")) else argument


def _libraries() -> dict[str, str]:
    """Library -> version, without edgekd, whose version has a field of its own."""
    return {name: version for name, version in library_versions().items() if name != "edgekd"}
