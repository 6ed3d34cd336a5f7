"""The pipeline, written once as a table; `build` runs it and judges the result."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from edgekd import catalog
from edgekd.catalog.forms import STUDENT, delivered_files
from edgekd.config import Config
from edgekd.config.mistakes import sections
from edgekd.config.parts import parts
from edgekd.config.resolve import SettingsLike, configure
from edgekd.disk import copy, refused, writing
from edgekd.errors import ConfigError, OverBudgetError, ParityError, StoreError
from edgekd.pipeline import fingerprints
from edgekd.pipeline.ranks import ALONE, torchrun_processes
from edgekd.pipeline.stage import Log, Stage, recipe, run_cached, run_uncached, scratch_folder
from edgekd.pipeline.store import Artifact, Store, differences
from edgekd.results import Report

STAGES = (
    Stage("data", settings=("data", "task"), fingerprints=(fingerprints.data,)),
    Stage(
        "teacher",
        reads=("data",),
        settings=("teacher", "data.augment"),
        fingerprints=(fingerprints.teacher,),
        trains=True,
    ),
    Stage(
        "answers",
        reads=("data", "teacher"),
        settings=("data.augment", "distill.views", "stored_views", "distill.combine", "distill.precision"),
        trains=True,
    ),
    Stage(
        "distill",
        reads=("data", "teacher", "answers"),
        settings=("student", "distill", "data.augment"),
        fingerprints=(fingerprints.student, fingerprints.teaching),
        trains=True,
    ),
    Stage(
        "prune",
        reads=("data", "teacher", "answers", "distill"),
        settings=("prune", "distill.losses", "distill.combine", "data.augment"),
        limited=("limits.size_bytes", "limits.flash_bytes", "limits.peak_ram_bytes", "export.formats"),
        fingerprints=(fingerprints.criterion,),
        trains=True,
    ),
    Stage(
        "quantize",
        reads=("data", "teacher", "answers", "prune"),
        settings=("quantize", "distill.losses", "distill.combine", "data.augment", "export.formats", "export.input"),
        trains=True,
    ),
    Stage("export", reads=("data", "teacher", "distill", "prune", "quantize"), settings=("export", "quantize.kernels")),
    Stage(
        "verify",
        reads=("data", "teacher", "distill", "prune", "quantize", "export"),
        settings=("verify", "distill.combine", "export.formats", "quantize.kernels"),
    ),
    # A measurement is never reused, and so the page that shows it is made anew.
    Stage(
        "profile",
        reads=("data", "quantize", "export"),
        settings=("profile", "device", "limits", "quantize.kernels", "export.formats"),
        cached=False,
    ),
    Stage(
        "report",
        reads=("data", "teacher", "answers", "distill", "prune", "quantize", "export", "verify", "profile"),
        settings=("task", *sections()),
        cached=False,
    ),
)

REPORTS = ("report.json", "report.md", "report.html")


def build(
    target: str,
    config: Path | str | None = None,
    settings: SettingsLike = (),
    out: Path | str | None = None,
    store: Path | str | None = None,
) -> Report:
    """Make everything for a target, reuse what is finished, and give the report.

    Args:
        target: a name that `edgekd.targets()` lists, or the path of a target's TOML file.
        config: a TOML file; by default `edgekd.toml` in the working directory, where there is one.
        settings: what overrides both: {"data.root": folder}, or "key=value" texts.
        out: folder for the files; `build/<target>` by default.
        store: folder for finished work; `.edgekd` by default.

    Raises:
        ParityError: the files do not compute what was trained. They and the report are kept.
        OverBudgetError: a limit of the target is missed. The files and the report are kept.
    """
    report = make(configure(target, config, settings), out, store)
    judge(report)
    return report


def make(
    config: Config,
    out: Path | str | None = None,
    store: Path | str | None = None,
    *,
    stages: tuple[Stage, ...] = STAGES,
    log: Log | None = None,
) -> Report:
    """`build` without the verdict: the report comes back even where a limit is missed."""
    processes = torchrun_processes()
    log = (log or to_stderr) if processes.main else _to_nobody
    out, work_store = folders(config, out, store)
    _prove_kept(config, out)
    if processes.main:
        for folder in (out, work_store.root):
            _prove_writable(folder)
    log(f"{config.device.name} · {config.device.title or 'a device without a title'} · seed {config.seed}")
    # What can't be imported is found out before the first training.
    for stage in stages:
        stage.load()
    for part in parts(config):
        catalog.load(part.kind, part.name)
    made: dict[str, Path] = {}
    artifacts: list[Artifact] = []
    with ExitStack() as cleanup:
        for stage in stages:
            if stage.cached and (stage.trains or processes.main):
                together = processes if stage.trains else ALONE
                rerun = [artifact.stage for artifact in artifacts if not artifact.reused]
                artifacts.append(run_cached(stage, config, made, work_store, together, log, rerun))
                made[stage.name] = artifacts[-1].folder
            elif stage.cached:  # the main process makes it; the first exchange before the next training waits for it
                made[stage.name] = work_store.finished(recipe(stage, config, made))
            elif processes.main:
                scratch = cleanup.enter_context(scratch_folder(work_store, stage.name))
                made[stage.name] = run_uncached(stage, config, made, scratch, log)
            if stage.name == "data" and processes.main:
                for later in stages:
                    later.precheck(config, made["data"])
            if stage.name == "export" and processes.main:
                deliver(made["export"], out, tuple(delivered_files()))
        if processes.main:
            _mention_differences(artifacts, log)
            deliver(made["report"], out, REPORTS)
        text = processes.from_main(lambda: (made["report"] / "report.json").read_text(encoding="utf-8"))
    return Report.model_validate_json(text)


def judge(report: Report) -> None:
    """Raise what a report that is not all right exits with."""
    if not report.parity:
        failed = [row.name for row in report.boundaries if row.passed is False]
        raise ParityError(
            f"{', '.join(failed)}: the outputs differ where they were to be the same; files and report are kept",
            "open report.html at Parity: it names the first layer that differs",
        )
    if report.missed:
        misses = "; ".join(row.miss or f"{row.limit} is missed" for row in report.missed)
        raise OverBudgetError(f"over budget: {misses}", _cheaper(report))


def folders(config: Config, out: Path | str | None, store: Path | str | None) -> tuple[Path, Store]:
    """Where a build's files go, and its store."""
    return Path(out or Path("build") / config.device.name), Store(Path(store or ".edgekd"))


def deliver(source: Path, out: Path, names: tuple[str, ...]) -> None:
    """Copy the named files that a stage made, and take away what an earlier build left under the other names."""
    for name in names:
        if (source / name).is_file():
            copy(source / name, out / name)
        else:
            with writing(out):
                (out / name).unlink(missing_ok=True)


def to_stderr(line: str) -> None:
    """Progress is for people; what is for programs goes to stdout."""
    print(line, file=sys.stderr, flush=True)


def _to_nobody(line: str) -> None:
    """The main process speaks for all."""


def _prove_writable(folder: Path) -> None:
    """Find out before the first training that the results have a place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        nameless = OSError(error.errno, error.strerror)  # its file is one that nobody has heard of
        raise refused(nameless, folder) or StoreError(
            f"{folder} can't be made: {error.strerror}", "name folders of your own: --store DIR --out DIR"
        ) from error


def _prove_kept(config: Config, out: Path) -> None:
    """A build that overwrote what it starts from would be another one when it is run again."""
    for section in (config.teacher, config.student):
        if section.checkpoint is not None and section.checkpoint.resolve() == (out / STUDENT).resolve():
            raise ConfigError(f"this build would overwrite its own checkpoint {section.checkpoint}", "--out ANOTHER")


def _mention_differences(artifacts: Sequence[Artifact], log: Log) -> None:
    """Say once that reused work was made with other versions."""
    stages: dict[tuple[str, ...], list[str]] = {}
    for artifact in artifacts:
        if artifact.reused and (changed := differences(artifact)):
            stages.setdefault(changed, []).append(artifact.stage)
    for changed, names in stages.items():
        log(f"note: {', '.join(names)} reused from a build with {'; '.join(changed)}")


def _cheaper(report: Report) -> str:
    """What to type when a limit is missed."""
    missed = {row.limit for row in report.missed}
    if missed <= {"score drop"}:
        return "train longer (--set distill.epochs=..., --set quantize.epochs=...) or keep more: --set prune.keep=..."
    return "--set prune.until=limits, a smaller student.model, or a higher limit: --set limits.NAME=..."
