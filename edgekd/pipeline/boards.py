"""`edgekd check --all-targets`: it says which targets a student fits, before anything trains."""

import importlib
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.config import Config, Limits, targets
from edgekd.config.resolve import SettingsLike, configure
from edgekd.pipeline.check import Finding, Verdict, compare_with_limits

if TYPE_CHECKING:
    from edgekd.data.splits import Splits
    from edgekd.formats.estimate import Forecast

FITS: dict[Verdict, str] = {"ok": "yes", "note": "if pruned", "no": "no"}
"""The words for a student's fit by a finding's verdict, from the best to the worst."""


@dataclass(frozen=True)
class Fit:
    """The fit of a student on one target.

    Attributes:
        target: the name of the target.
        limits: the limits of the target.
        student: the costs of the student in int8, before pruning.
        findings: the comparisons of size, flash and peak RAM with the limits.
    """

    target: str
    limits: Limits
    student: "Forecast"
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of the findings."""
        return max((finding.verdict for finding in self.findings), key=list(FITS).index)

    @property
    def misses(self) -> tuple[str, ...]:
        """Return the names of the limits that the student exceeds before pruning."""
        return tuple(finding.what for finding in self.findings if finding.verdict != "ok")


def fits(config: Path | str | None = None, settings: SettingsLike = ()) -> tuple[Fit, ...]:
    """Compare the config's student with the limits of every target of edgekd; the arguments are those of `build`.

    Raises:
        UnsupportedOperatorError: an operator of the student cannot be exported.
    """
    configs = {name: configure(name, config, settings) for name in targets.names()}
    splits = importlib.import_module("edgekd.stages.data").examine(next(iter(configs.values()))).splits
    forecasts = _Forecasts(splits)
    return tuple(_fit(name, target_config, forecasts) for name, target_config in configs.items())


def _fit(name: str, config: Config, forecasts: "_Forecasts") -> Fit:
    """Return the fit on one target. If the student is within all limits, its narrowest form is not needed."""
    student = least = forecasts.student(config)
    findings = compare_with_limits(config, *2 * (student.size_bytes,), *2 * (student.peak_ram_bytes,))
    if any(finding.verdict != "ok" for finding in findings) and config.prune.criterion != "none":
        least = forecasts.narrowest(config)
        sizes = student.size_bytes, least.size_bytes
        findings = compare_with_limits(config, *sizes, student.peak_ram_bytes, least.peak_ram_bytes)
    return Fit(name, config.limits, student, tuple(findings))


class _Forecasts:
    """A cache of forecasts, keyed by the settings that they depend on, since most targets share one."""

    def __init__(self, splits: "Splits") -> None:
        self._splits = splits
        self._cache: dict[Hashable, Forecast] = {}

    def student(self, config: Config) -> "Forecast":
        """Return the forecast of the unpruned student."""
        key = ("whole", config.export.formats, config.quantize.float_layers, config.quantize.int16_layers)
        return self._forecast(key, "student_forecast", config)

    def narrowest(self, config: Config) -> "Forecast":
        """Return the forecast of the student with every layer as narrow as pruning may leave it."""
        key = ("narrowest", config.export.formats, config.prune.channel_multiple)
        return self._forecast(key, "narrowest_forecast", config)

    def _forecast(self, key: Hashable, function: str, config: Config) -> "Forecast":
        if key not in self._cache:
            export = importlib.import_module("edgekd.stages.export")
            self._cache[key] = getattr(export, function)(config, self._splits)
        return self._cache[key]
