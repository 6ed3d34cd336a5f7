"""`edgekd check` on what it can't know from the student alone; sizes and operators are tested with their exporters."""

from dataclasses import replace

import pytest

from edgekd import forecast, parity
from edgekd.errors import MissingExtraError


def test_it_says_how_the_student_is_to_learn() -> None:
    found = forecast.check("rpi4", settings={"distill.losses": [{"name": "dist"}, {"name": "labels"}]})
    assert [each.says for each in found.findings if each.what == "distilling"] == ["offline, by dist + labels"]


def test_a_runtime_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parity.RUNTIMES, "litert", replace(parity.RUNTIMES["litert"], module="no_such_runtime"))
    with pytest.raises(MissingExtraError, match="LiteRT is not installed"):
        forecast.check("rpi4")
