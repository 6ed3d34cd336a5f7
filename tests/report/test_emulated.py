"""Every page shows the results of an emulated core with their origin; a differing output fails the build's parity."""

from pathlib import Path

from support import builds

from edgekd.report import limits
from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.report.terminal import summary
from edgekd.results import EmulatedRow, FunctionRow, Quantity, Report

SOURCE = "Cortex-M4 (DSP, FPU); a compiler; an emulator"


def emulated(value: float, unit: str) -> Quantity:
    return Quantity(value=value, unit=unit, origin="emulated", source=SOURCE)


ROW = EmulatedRow(
    file="model.c",
    samples=8,
    outputs=80,
    differing=0,
    instructions=emulated(612_345, "instructions"),
    instructions_per_mac=emulated(2.128, "instructions/MAC"),
    flash=emulated(14_200, "B"),
    ram=emulated(6_900, "B"),
    stack=emulated(200, "B"),
    functions=(FunctionRow(name="conv2d_0", instructions=emulated(500_000, "instructions"), bytes=812),),
)
SAID = "612.3 k instructions (emulated), 2.13 for each MAC; flash 14.2 kB, RAM 6.9 kB, 200 B of them stack"


def report(folder: Path, **changes: object) -> Report:
    measurements = builds.measurements().model_copy(update={"emulated": ROW.model_copy(update=changes)})
    return builds.report(folder, measurements=measurements)


def test_every_page_says_instructions_memory_and_their_origin(tmp_path: Path) -> None:
    emulated_report = report(tmp_path)
    pages = [" ".join(page(emulated_report).split()) for page in (summary, markdown, html)]
    assert all(SAID in page for page in pages)
    assert all("conv2d_0" in page and SOURCE in page for page in pages[1:])


def test_flash_and_ram_of_the_c_code_are_what_the_limits_are_held_to(tmp_path: Path) -> None:
    emulated_report = report(tmp_path)
    [ram] = [row for row in emulated_report.limits if row.limit == "peak RAM"]
    assert (ram.reached.value, ram.reached.origin) == (6_900, "emulated")


def test_without_c_the_file_is_what_the_flash_is_held_to() -> None:
    size = Quantity(value=9_800, unit="B", origin="counted", source="model.tflite")
    flash = limits.flash_of_file(size)
    assert flash.value == 9_800 and "runtime's own code is not counted" in flash.source


def test_an_output_that_differs_on_the_core_fails_the_parity(tmp_path: Path) -> None:
    assert report(tmp_path).parity
    emulated_report = report(tmp_path, differing=3)
    assert not emulated_report.parity
    assert "FAILED: 3 of 80 outputs of model.c" in " ".join(summary(emulated_report).split())


def test_what_is_over_budget_is_said_with_its_bytes(tmp_path: Path) -> None:
    over = "model does not fit Cortex-M4: FLASH (.rodata) overflows by 812 of 4,096 B"
    emulated_report = report(tmp_path, over=over)
    assert over in markdown(emulated_report) and over in html(emulated_report)


def test_a_build_without_c_has_no_such_section(tmp_path: Path) -> None:
    assert "emulated" not in summary(builds.report(tmp_path))
