"""The table of all stages, and `build`, which runs them and checks the result."""

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
from edgekd.disk import copy, write_error, writing
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
        fingerprints=(fingerprints.student, fingerprints.distillation),
        trains=True,
    ),
    Stage(
        "prune",
        reads=("data", "teacher", "answers", "distill"),
        settings=("prune", "distill.losses", "distill.combine", "data.augment"),
        limit_settings=("limits.size_bytes", "limits.flash_bytes", "limits.peak_ram_bytes", "export.formats"),
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
    # A measurement is never reused, so the report that shows it is written again as well.
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
    """Build all files for a target, reuse finished work, and return the report.

    Args:
        target: a name that `edgekd.targets()` lists, or the path of a target's TOML file.
        config: a TOML file; by default `edgekd.toml` in the working directory, where there is one.
        settings: settings that override both: {"data.root": folder}, or "key=value" texts.
        out: folder for the files; `build/<target>` by default.
        store: folder for finished work; `.edgekd` by default.

    Raises:
        ParityError: the files do not compute what was trained. Files and report are written all the same.
        OverBudgetError: a limit of the target is missed. Files and report are written all the same.
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
    """Run the stages and return the report, even if a limit is missed; `build` checks it afterwards."""
    processes = torchrun_processes()
    log = (log or to_stderr) if processes.main else _discard
    out, work_store = folders(config, out, store)
    _check_overwrite(config, out)
    if processes.main:
        for folder in (out, work_store.root):
            _check_writable(folder)
    log(f"{config.device.name} · {config.device.title or 'a device without a title'} · seed {config.seed}")
    # A module that can't be imported raises its error here, before the first training.
    for stage in stages:
        stage.load()
    for part in parts(config):
        catalog.load(part.kind, part.name)
    stage_folders: dict[str, Path] = {}
    artifacts: list[Artifact] = []
    with ExitStack() as cleanup:
        for stage in stages:
            if stage.cached and (stage.trains or processes.main):
                group = processes if stage.trains else ALONE
                running = [artifact.stage for artifact in artifacts if not artifact.reused]
                artifacts.append(run_cached(stage, config, stage_folders, work_store, group, log, running))
                stage_folders[stage.name] = artifacts[-1].folder
            elif stage.cached:  # the main process makes it; the first exchange before the next training waits for it
                stage_folders[stage.name] = work_store.finished(recipe(stage, config, stage_folders))
            elif processes.main:
                scratch = cleanup.enter_context(scratch_folder(work_store, stage.name))
                stage_folders[stage.name] = run_uncached(stage, config, stage_folders, scratch, log)
            if stage.name == "data" and processes.main:
                for other in stages:
                    other.precheck(config, stage_folders["data"])
            if stage.name == "export" and processes.main:
                deliver(stage_folders["export"], out, tuple(delivered_files()))
        if processes.main:
            _log_differences(artifacts, log)
            deliver(stage_folders["report"], out, REPORTS)
        text = processes.from_main(lambda: (stage_folders["report"] / "report.json").read_text(encoding="utf-8"))
    return Report.model_validate_json(text)


def judge(report: Report) -> None:
    """Raise an error if a boundary has failed or a limit is missed."""
    if not report.parity:
        failed = [row.name for row in report.boundaries if row.passed is False]
        raise ParityError(
            f"{', '.join(failed)}: the outputs differ where they were to be the same; files and report are kept",
            "open report.html at Parity: it names the first layer that differs",
        )
    if report.missed:
        misses = "; ".join(row.miss or f"{row.limit} is missed" for row in report.missed)
        raise OverBudgetError(f"over budget: {misses}", _over_budget_remedy(report))


def folders(config: Config, out: Path | str | None, store: Path | str | None) -> tuple[Path, Store]:
    """Return the folder of a build's files, and its store."""
    return Path(out or Path("build") / config.device.name), Store(Path(store or ".edgekd"))


def deliver(source: Path, out: Path, names: tuple[str, ...]) -> None:
    """Copy the named files of a stage to `out`, and remove those that only an earlier build has written there."""
    for name in names:
        if (source / name).is_file():
            copy(source / name, out / name)
        else:
            with writing(out):
                (out / name).unlink(missing_ok=True)


def to_stderr(line: str) -> None:
    """Print a line of progress to stderr: stdout is for results that programs read."""
    print(line, file=sys.stderr, flush=True)


def _discard(line: str) -> None:
    """Drop a line of progress, because the main process prints it."""


def _check_writable(folder: Path) -> None:
    """Raise an error before the first training if the results can't be written to a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        without_file = OSError(error.errno, error.strerror)  # it names the temporary file, which the user does not know
        raise write_error(without_file, folder) or StoreError(
            f"{folder} can't be made: {error.strerror}", "name folders of your own: --store DIR --out DIR"
        ) from error


def _check_overwrite(config: Config, out: Path) -> None:
    """Raise an error if the build would overwrite its own checkpoint, from which the next run would then start."""
    for section in (config.teacher, config.student):
        if section.checkpoint is not None and section.checkpoint.resolve() == (out / STUDENT).resolve():
            raise ConfigError(f"this build would overwrite its own checkpoint {section.checkpoint}", "--out ANOTHER")


def _log_differences(artifacts: Sequence[Artifact], log: Log) -> None:
    """Log which reused work was made with other versions."""
    stages: dict[tuple[str, ...], list[str]] = {}
    for artifact in artifacts:
        if artifact.reused and (changes := differences(artifact)):
            stages.setdefault(changes, []).append(artifact.stage)
    for changes, names in stages.items():
        log(f"note: {', '.join(names)} reused from a build with {'; '.join(changes)}")


def _over_budget_remedy(report: Report) -> str:
    """Return the settings to try when a limit is missed."""
    missed = {row.limit for row in report.missed}
    if missed <= {"score drop"}:
        return "train longer (--set distill.epochs=..., --set quantize.epochs=...) or keep more: --set prune.keep=..."
    return "--set prune.until=limits, a smaller student.model, or a higher limit: --set limits.NAME=..."
