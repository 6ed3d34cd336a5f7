"""Which targets a student fits, before anything trains: `edgekd check --all-targets`."""

import importlib
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.config import Config, Limits, targets
from edgekd.config.resolve import SettingsLike, configure
from edgekd.pipeline.check import Finding, Verdict, against_limits

if TYPE_CHECKING:
    from edgekd.data.splits import Splits
    from edgekd.formats.estimate import Forecast

FITS: dict[Verdict, str] = {"ok": "yes", "note": "if pruned", "no": "no"}
"""What a finding's verdict says of a student's fit, from the best to the worst."""


@dataclass(frozen=True)
class Fit:
    """A student on one target.

    Attributes:
        student: what it takes in int8, before pruning.
        findings: of size, flash and peak RAM against the limits.
    """

    target: str
    limits: Limits
    student: "Forecast"
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return max((finding.verdict for finding in self.findings), key=list(FITS).index)

    @property
    def misses(self) -> tuple[str, ...]:
        """The limits that the student is above as it is."""
        return tuple(finding.what for finding in self.findings if finding.verdict != "ok")


def fits(config: Path | str | None = None, settings: SettingsLike = ()) -> tuple[Fit, ...]:
    """Hold the config's student against the limits of every target that edgekd has; arguments as for `build`.

    Raises:
        UnsupportedOperatorError: an operator of the student can't be exported.
    """
    configs = {name: configure(name, config, settings) for name in targets.names()}
    splits = importlib.import_module("edgekd.stages.data").examine(next(iter(configs.values()))).splits
    forecasts = _Forecasts(splits)
    return tuple(_fit(name, each, forecasts) for name, each in configs.items())


def _fit(name: str, config: Config, forecasts: "_Forecasts") -> Fit:
    """One target's row. A student that is within all limits needs no narrowest form."""
    student = least = forecasts.student(config)
    findings = against_limits(config, *2 * (student.size_bytes,), *2 * (student.peak_ram_bytes,))
    if any(finding.verdict != "ok" for finding in findings) and config.prune.criterion != "none":
        least = forecasts.narrowest(config)
        sizes = student.size_bytes, least.size_bytes
        findings = against_limits(config, *sizes, student.peak_ram_bytes, least.peak_ram_bytes)
    return Fit(name, config.limits, student, tuple(findings))


class _Forecasts:
    """Forecasts by the settings that they depend on: most targets share one."""

    def __init__(self, splits: "Splits") -> None:
        self._splits = splits
        self._known: dict[Hashable, Forecast] = {}

    def student(self, config: Config) -> "Forecast":
        """Of the whole student."""
        key = ("whole", config.export.formats, config.quantize.float_layers, config.quantize.int16_layers)
        return self._forecast(key, "student_forecast", config)

    def narrowest(self, config: Config) -> "Forecast":
        """Of the student with every layer as narrow as pruning may leave it."""
        key = ("narrowest", config.export.formats, config.prune.channel_multiple)
        return self._forecast(key, "narrowest_forecast", config)

    def _forecast(self, key: Hashable, function: str, config: Config) -> "Forecast":
        if key not in self._known:
            export = importlib.import_module("edgekd.stages.export")
            self._known[key] = getattr(export, function)(config, self._splits)
        return self._known[key]
