"""A build for a microcontroller ends with C code that has run on its emulated core, within the limits or over them."""

from pathlib import Path

import pytest
from support.cortex_m import SKIP_WITHOUT

from edgekd.config.resolve import configure
from edgekd.pipeline.build import make
from edgekd.report import markdown, terminal
from edgekd.results import Report

pytestmark = [pytest.mark.e2e, SKIP_WITHOUT]
SETTINGS = {
    "data.limit": 100,
    "teacher": {"model": "mlp", "hidden": [16], "epochs": 1},
    "student": {"model": "mlp", "hidden": [16]},
    "distill": {"epochs": 1, "baseline": False},
    "prune": {"steps": 1, "epochs": 1},
    "quantize": {"epochs": 1, "kernels": "tflm"},
    "profile": {"rounds": 1, "seconds": 0.02},
    "export.formats": ["tflite", "c"],
    "verify.runtimes": ["litert", "c"],
    "limits.score_drop": 100,
}


def build(store: Path, **limits: int) -> Report:
    settings = {**SETTINGS, **{f"limits.{name}": value for name, value in limits.items()}}
    return make(configure("cortex-m4", settings=settings), "out", store, log=lambda line: None)


def test_the_c_code_has_run_and_its_memory_is_held_to_the_limits(tmp_path: Path) -> None:
    fits = build(tmp_path / "store")
    assert fits.emulated is not None and fits.emulated.differing == 0 and fits.emulated.outputs == 80
    reached = {row.limit: row.reached for row in fits.limits}
    assert reached["flash"] == fits.emulated.flash and reached["peak RAM"] == fits.emulated.ram
    assert "instructions (emulated)" in terminal.summary(fits)

    over = build(tmp_path / "store", flash_bytes=1000)
    assert over.emulated is not None and "overflows by" in over.emulated.over
    assert [row.limit for row in over.missed] == ["flash"]
    assert "Over budget" in markdown.markdown(over)
