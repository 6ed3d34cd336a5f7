"""`edgekd check`: the checks of a build that take seconds, before anything trains."""

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
    """One line of the result; the verdict "no" means that the build can't succeed with this config."""

    what: str
    verdict: Verdict
    says: str


@dataclass(frozen=True)
class Forecast:
    """The result of `check`.

    Attributes:
        classes, input_shape, samples: the size of the data; a task without classes has 0 of them.
        operators: the operators of the untrained student's graph, in order: "block1.conv1 (conv2d 3x3 + relu)".
        size_bytes, peak_ram_bytes, macs, parameters: the costs of the untrained student in int8, before pruning.
        findings: the lines that `edgekd check` prints.
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
    """Check config, data, operators and budget without training. The arguments are those of `build`.

    Raises:
        UnsupportedOperatorError: an operator of the student can't be exported.
        ConfigError, ModelError: teacher, losses and scheme can't be combined.
        MissingExtraError: a runtime of `verify.runtimes` is not installed.
        OverBudgetError: size or RAM can't fit the target.
    """
    forecast = examine(configure(target, config, settings))
    judge(forecast)
    return forecast


def examine(config: Config) -> Forecast:
    """Check a resolved config and return the result, even if the build can't succeed."""
    data_set = importlib.import_module("edgekd.stages.data").examine(config)
    splits = data_set.splits
    student: dict[str, Any] = importlib.import_module("edgekd.stages.export").forecast(config, splits)
    importlib.import_module("edgekd.distillation.setup").rehearse(config, splits, data_set.positions)
    require_for(config.verify.runtimes, config.export.formats)
    samples = {part: len(getattr(splits, part)) for part in ("train", "validation", "test")}
    counts = ", ".join(f"{count:,} {part}" for part, count in samples.items())
    operators, form = tuple(student["operators"]), splits.task.answers.form(splits.answer_shape)
    findings = [
        Finding("config", "ok", f"{config.data.name} · {config.teacher.title} -> {config.student.model}"),
        Finding("data", "ok", f"{counts}; {form} of {tuple(splits.input_shape)}"),
        *(Finding("data", "note", note) for note in data_set.notes),
        Finding("operators", "ok", f"all {len(operators)} of the student can be exported"),
        Finding("distilling", "ok", _describe_distillation(config)),
    ]
    sizes = student["size_bytes"], student["least_size_bytes"]
    findings += compare_with_limits(config, *sizes, student["peak_ram_bytes"], student["least_peak_ram_bytes"])
    return Forecast(
        len(splits.classes), tuple(splits.input_shape), samples, operators, student["size_bytes"],
        student["peak_ram_bytes"], student["macs"], student["parameters"], tuple(findings),
    )  # fmt: skip


def judge(forecast: Forecast) -> None:
    """Raise an error if a finding rules the build out."""
    impossible = [f"{finding.what} {finding.says}" for finding in forecast.findings if finding.verdict == "no"]
    if impossible:
        raise OverBudgetError(
            f"over budget before training: {'; '.join(impossible)}",
            "a smaller student (student.model, or its width), or a higher limit: --set limits.NAME=...",
        )


def compare_with_limits(config: Config, size: int, least_size: int, ram: int, least_ram: int) -> list[Finding]:
    """Compare the untrained student's costs in bytes with the limits.

    Args:
        size, ram: the costs before pruning.
        least_size, least_ram: the costs with every layer as narrow as pruning may leave it.
    """
    limits = config.limits
    return [
        _compare_with_limit(config, "size", size, least_size, limits.size_bytes),
        _compare_with_limit(config, "flash", size, least_size, limits.flash_bytes),
        _compare_with_limit(config, "peak RAM", ram, least_ram, limits.peak_ram_bytes),
    ]


def _compare_with_limit(config: Config, what: str, value: int, least: int, limit: int | None) -> Finding:
    """Compare one cost with its limit; the build is ruled out only if even the narrowest student is over the limit."""
    if limit is None:
        return Finding(what, "ok", f"{readable_bytes(value)} before pruning; no limit")
    comparison = f"{readable_bytes(value)} before pruning, of {readable_bytes(limit)}"
    if value <= limit:
        return Finding(what, "ok", comparison)
    if least > limit:
        over = f"{readable_bytes(least)} at its narrowest: {readable_bytes(least - limit)} over"
        return Finding(what, "no", f"{comparison}; {over}")
    if config.prune.until == "limits":
        return Finding(what, "note", f"{comparison}: pruning goes on until it fits")
    return Finding(
        what, "note", f'{comparison}: too big unless prune.keep takes enough off; prune.until = "limits" does'
    )


def readable_bytes(count: int) -> str:
    """Format bytes for readers: 1.2 kB."""
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _describe_distillation(config: Config) -> str:
    """Name the scheme and the losses in one line."""
    if not config.distill.epochs:
        return "none: the student stays as its checkpoint has it"
    losses = " + ".join(loss.name for loss in config.distill.losses if loss.weight)
    return f"{config.distill.scheme.name}, by {losses}"
