"""Tests of `edgekd check --all-targets`, which compares one student with the limits of every target."""

import pytest

from edgekd.config import targets
from edgekd.pipeline import boards
from edgekd.pipeline.check import Finding

RESNET20 = {"student.model": "resnet20"}


@pytest.fixture(scope="module")
def resnet20() -> dict[str, boards.Fit]:
    return {fit.target: fit for fit in boards.fits(settings=RESNET20)}


def test_every_target_has_a_row(resnet20: dict[str, boards.Fit]) -> None:
    assert tuple(resnet20) == targets.names()


@pytest.mark.parametrize(
    ("target", "verdict", "misses"),
    [
        ("rpi4", "ok", ()),
        ("cortex-m4", "ok", ()),
        ("stm32f746g-disco", "note", ("size",)),
        ("cortex-m0plus", "note", ("size", "flash")),
    ],
)
def test_a_resnet20_fits_or_has_to_be_pruned(
    resnet20: dict[str, boards.Fit], target: str, verdict: str, misses: tuple[str, ...]
) -> None:
    assert (resnet20[target].verdict, resnet20[target].misses) == (verdict, misses)


def test_the_layer_where_memory_peaks_is_named_with_what_it_is(resnet20: dict[str, boards.Fit]) -> None:
    assert resnet20["rp2040"].student.peak_operator == "layer2.0.conv1 (conv2d 3x3 /2 + relu)"


def test_a_limit_that_even_the_narrowest_form_breaks_is_a_no() -> None:
    fits = boards.fits(settings={**RESNET20, "limits.peak_ram_bytes": 1000})
    assert {fit.verdict for fit in fits} == {"no"}
    assert all("peak RAM" in fit.misses for fit in fits)


def test_where_nothing_is_pruned_too_big_is_a_no() -> None:
    fits = {fit.target: fit for fit in boards.fits(settings={**RESNET20, "prune.criterion": "none"})}
    assert (fits["cortex-m3"].verdict, fits["cortex-m4"].verdict) == ("no", "ok")


def test_the_worst_finding_decides() -> None:
    findings = (Finding("size", "note", ""), Finding("flash", "no", ""), Finding("peak RAM", "ok", ""))
    fit = boards.Fit("x", limits=None, student=None, findings=findings)  # type: ignore[arg-type]
    assert (fit.verdict, fit.misses) == ("no", ("size", "flash"))
