"""The report stage: it puts the metrics of all stages into one report, and writes it as JSON, Markdown and HTML.

`report.json` holds everything; the Markdown and HTML pages are rendered from it and from nothing else.
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
from edgekd.results import Boundary, Distillation, FileRow, Measurements, Report, TaskWords
from edgekd.tasks.task import Task

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


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Read the stages' results, and write `report.json`, `report.md` and `report.html`."""
    task: Task = catalog.load("task", config.task)
    report = compose(
        config,
        task.with_name(config.task).words,
        metrics=_all_metrics(folders, config.distill.combine),
        boundaries=TypeAdapter(tuple[Boundary, ...]).validate_json(
            (folders["verify"] / "boundaries.json").read_bytes()
        ),
        measurements=Measurements.model_validate_json((folders["profile"] / "profile.json").read_bytes()),
        export=folders["export"],
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
    measurements: Measurements,
    export: Path,
    command: str,
    created: str,
) -> Report:
    """Compose the report of a build.

    Args:
        words: the words of the task.
        metrics: the metrics of each stage, keyed by the stage's name.
        measurements: the results of the profile stage.
        export: the folder of the exported files, whose sizes and hashes the report lists.
        created: UTC, ISO 8601.
    """
    stages = ledger.rows(words, metrics, boundaries, measurements, export)
    teacher, int8 = stages[0], stages[-1]
    transfer = metrics["distill"].get("transfer")
    return Report(
        edgekd_version=__version__,
        created=created,
        command=command,
        target=config.device.model_dump(mode="json"),
        seed=config.seed,
        task=words,
        data={"name": config.data.name, **{key: metrics["data"].get(key) for key in DATA_FIELDS}},
        stages=stages,
        distillation=Distillation.model_validate(transfer) if transfer else None,
        boundaries=tuple(boundaries),
        operators=measurements.operators,
        latencies=measurements.latencies,
        emulated=measurements.emulated,
        limits=limits.rows(
            config.limits,
            words,
            size=int8.size,
            flash=measurements.emulated.flash if measurements.emulated else limits.flash_of_file(int8.size),
            peak_ram=measurements.emulated.ram if measurements.emulated else int8.peak_ram,
            latency=measurements.device_latency,
            score_drop=ledger.drop(words, teacher.score, int8.score),
        ),
        files=file_rows(export),
        notes=(
            *(f"{stage}: {note}" for stage, values in metrics.items() for note in values.get("notes") or ()),
            *((f"profile: {measurements.not_emulated}",) if measurements.not_emulated else ()),
        ),
        training={stage: training for stage, values in metrics.items() if (training := _training(values))},
        machine=measurements.machine,
        versions={"python": sys.version.split()[0], **_libraries()},
    )


def file_rows(export: Path) -> tuple[FileRow, ...]:
    """Return a row for each file that a build delivers."""
    files = [(export / name, what) for name, what in delivered_files().items() if (export / name).is_file()]
    return tuple(
        FileRow(path=file.name, size_bytes=file.stat().st_size, sha256=file_sha256(file), what=what)
        for file, what in files
    )


def command_line(arguments: Sequence[str], target: str) -> str:
    """Return the command that was typed without the machine's folders, or the Python call of a library's user."""
    program = Path(arguments[0])
    if program.stem != "edgekd" and program.parent.name != "edgekd":
        return f"edgekd.build({target!r})"
    return shlex.join(["edgekd", *(_shorten(argument) for argument in arguments[1:])])


def _training(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: metrics[key] for key in TRAINING_FIELDS if metrics.get(key) is not None}


def _all_metrics(folders: Mapping[str, Path], combine: str) -> dict[str, dict[str, Any]]:
    """Return the metrics of each stage but `profile`. Those of several teachers are of their combination."""
    metrics = {stage: _load_metrics(folder) for stage, folder in folders.items() if stage != "profile"}
    metrics["teacher"] |= (metrics["teacher"].get("combined") or {}).get(combine, {})
    return metrics


def _load_metrics(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def _shorten(argument: str) -> str:
    """Shorten a path: `--set data.root=/data/mnist` becomes `--set data.root=…/mnist`."""
    name, equals, value = argument.rpartition("=")
    return f"{name}{equals}…/{Path(value).name}" if value.startswith(("/", "~")) else argument


def _libraries() -> dict[str, str]:
    """Return the version of each library but edgekd, whose version has a field of its own."""
    return {name: version for name, version in library_versions().items() if name != "edgekd"}
