"""The report says whether limits are met, missed or unknown, and on which machine latencies were measured."""

from pathlib import Path

from support import builds

from edgekd.report import limits
from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.report.terminal import summary
from edgekd.results import Quantity
from edgekd.tasks.classification import WORDS


def test_every_latency_of_this_host_is_labelled(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    figures = [row.latency for row in report.latencies] + [row.latency_ratio for row in report.stages]
    assert {figure.origin for figure in figures if figure.value is not None} == {"measured-host"}
    assert (
        "measured-host" in summary(report) and "measured-host" in markdown(report) and "measured-host" in html(report)
    )


def test_a_limit_on_an_unmeasured_latency_is_neither_met_nor_missed(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    latency = next(row for row in report.limits if row.limit == "latency")
    assert latency.met is None and latency.reached.remedy
    assert report.missed == ()


def test_a_missed_limit_says_by_how_much(tmp_path: Path) -> None:
    size = Quantity(value=9_800, unit="B", origin="counted")
    drop = Quantity(value=1.25, unit="points", origin="measured-host")
    rows = limits.rows(
        builds.config(size_bytes=8_000, peak_ram_bytes=None, latency_ms=None).limits,
        WORDS,
        size=size,
        flash=size,
        peak_ram=size,
        latency=size,
        score_drop=drop,
    )
    assert [row.miss for row in rows] == [
        "size 9.8 kB is 1.8 kB over the 8 kB allowed",
        "accuracy drop 1.25 points is 0.25 points over the 1 point allowed",
    ]


def test_a_limit_that_is_reached_exactly_is_met() -> None:
    drop = Quantity(value=99.2 - 98.2, unit="points", origin="measured-host")  # 1.0000000000000142
    empty = Quantity(unit="B", remedy="none")
    rows = limits.rows(
        builds.config(size_bytes=None, peak_ram_bytes=None, latency_ms=None).limits,
        WORDS,
        size=empty,
        flash=empty,
        peak_ram=empty,
        latency=empty,
        score_drop=drop,
    )
    assert rows[0].met is True


def test_limits_that_are_not_set_have_no_row(tmp_path: Path) -> None:
    assert "flash" not in [row.limit for row in builds.report(tmp_path).limits]


def test_the_end_of_a_build_says_that_the_device_was_not_measured_and_how_to(tmp_path: Path) -> None:
    words = " ".join(summary(builds.report(tmp_path)).split())
    assert "latency unknown (50 ms allowed)" in words
    assert "device latency of model.tflite unknown: edgekd does not measure devices yet" in words
