"""Tests of `edgekd check` beyond sizes and operators, which are tested with their exporters."""

from dataclasses import replace

import pytest

from edgekd.catalog.runtimes import RUNTIMES
from edgekd.errors import MissingExtraError
from edgekd.pipeline import check


def test_it_says_how_the_student_is_to_learn() -> None:
    forecast = check.check("rpi4", settings={"distill.losses": [{"name": "dist"}, {"name": "labels"}]})
    assert [each.says for each in forecast.findings if each.what == "distilling"] == ["offline, by dist + labels"]


def test_a_runtime_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUNTIMES, "litert", replace(RUNTIMES["litert"], package="no_such_runtime"))
    with pytest.raises(MissingExtraError, match="LiteRT is not installed"):
        check.check("rpi4")
