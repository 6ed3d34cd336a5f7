"""What can be known of a build in seconds, before anything trains: `edgekd check`."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgekd.catalog.runtimes import require_for
from edgekd.config import Config
from edgekd.config.resolve import SettingsLike, configure
from edgekd.errors import OverBudgetError

Verdict = Literal["ok", "note", "no"]


@dataclass(frozen=True)
class Finding:
    """One line of the answer. "no": the build can't succeed as it is configured."""

    what: str
    verdict: Verdict
    says: str


@dataclass(frozen=True)
class Forecast:
    """The answer of `check`.

    Attributes:
        classes, input_shape, samples: of the data; 0 classes in a task without any.
        operators: of the untrained student's graph, in order: "block1.conv1 (conv2d 3x3 + relu)".
        size_bytes, peak_ram_bytes, macs, parameters: of the untrained student in int8, before pruning.
    """

    classes: int
    input_shape: tuple[int, ...]
    samples: dict[str, int]
    operators: tuple[str, ...]
    size_bytes: int
    peak_ram_bytes: int
    macs: int
    parameters: int
    findings: tuple[Finding, ...]


def check(target: str, config: Path | str | None = None, settings: SettingsLike = ()) -> Forecast:
    """Check config, data, operators and budget without training; arguments as for `build`.

    Raises:
        UnsupportedOperatorError: an operator of the student can't be exported.
        ConfigError, ModelError: teacher, losses and scheme can't be had together.
        MissingExtraError: a runtime of `verify.runtimes` is not installed.
        OverBudgetError: size or RAM can't fit the target.
    """
    found = examine(configure(target, config, settings))
    judge(found)
    return found


def examine(config: Config) -> Forecast:
    """`check` on a resolved config, without the verdict."""
    examined = importlib.import_module("edgekd.stages.data").examine(config)
    splits = examined.splits
    student: dict[str, Any] = importlib.import_module("edgekd.stages.export").forecast(config, splits)
    importlib.import_module("edgekd.distillation.setup").rehearse(config, splits, examined.positions)
    require_for(config.verify.runtimes, config.export.formats)
    samples = {part: len(getattr(splits, part)) for part in ("train", "validation", "test")}
    counts = ", ".join(f"{count:,} {part}" for part, count in samples.items())
    operators, form = tuple(student["operators"]), splits.task.answers.form(splits.answer_shape)
    findings = [
        Finding("config", "ok", f"{config.data.name} · {config.teacher.title} -> {config.student.model}"),
        Finding("data", "ok", f"{counts}; {form} of {tuple(splits.input_shape)}"),
        *(Finding("data", "note", note) for note in examined.notes),
        Finding("operators", "ok", f"all {len(operators)} of the student can be exported"),
        Finding("distilling", "ok", _taught_by(config)),
    ]
    sizes = student["size_bytes"], student["least_size_bytes"]
    findings += against_limits(config, *sizes, student["peak_ram_bytes"], student["least_peak_ram_bytes"])
    return Forecast(
        len(splits.classes), tuple(splits.input_shape), samples, operators, student["size_bytes"],
        student["peak_ram_bytes"], student["macs"], student["parameters"], tuple(findings),
    )  # fmt: skip


def judge(found: Forecast) -> None:
    """Raise what a forecast that rules the build out exits with."""
    impossible = [f"{finding.what} {finding.says}" for finding in found.findings if finding.verdict == "no"]
    if impossible:
        raise OverBudgetError(
            f"over budget before training: {'; '.join(impossible)}",
            "a smaller student (student.model, or its width), or a higher limit: --set limits.NAME=...",
        )


def against_limits(config: Config, size: int, least_size: int, ram: int, least_ram: int) -> list[Finding]:
    """The untrained student's bytes against the limits; `least`: with every layer as narrow as pruning may leave it."""
    limits = config.limits
    return [
        _against(config, "size", size, least_size, limits.size_bytes),
        _against(config, "flash", size, least_size, limits.flash_bytes),
        _against(config, "peak RAM", ram, least_ram, limits.peak_ram_bytes),
    ]


def _against(config: Config, what: str, reached: int, least: int, allowed: int | None) -> Finding:
    """One figure against its limit; only a limit that even the narrowest form breaks rules the build out."""
    if allowed is None:
        return Finding(what, "ok", f"{readable_bytes(reached)} before pruning; no limit")
    against = f"{readable_bytes(reached)} before pruning, of {readable_bytes(allowed)}"
    if reached <= allowed:
        return Finding(what, "ok", against)
    if least > allowed:
        over = f"{readable_bytes(least)} at its narrowest: {readable_bytes(least - allowed)} over"
        return Finding(what, "no", f"{against}; {over}")
    if config.prune.until == "limits":
        return Finding(what, "note", f"{against}: pruning goes on until it fits")
    return Finding(what, "note", f'{against}: too big unless prune.keep takes enough off; prune.until = "limits" does')


def readable_bytes(count: int) -> str:
    """1.2 kB: a size as people read it."""
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _taught_by(config: Config) -> str:
    """How the student is to learn, in one line."""
    if not config.distill.epochs:
        return "none: the student stays as its checkpoint has it"
    losses = " + ".join(loss.name for loss in config.distill.losses if loss.weight)
    return f"{config.distill.scheme.name}, by {losses}"
