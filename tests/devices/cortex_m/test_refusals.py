"""A model that does not fit, does not end or is no C, and a machine without the tools: each has its own error."""

from pathlib import Path

import pytest

from benchmarks.support import tiny_c
from edgekd.devices.cortex_m import Budget, CortexM, EmulatedRun, emulate, missing_tools
from edgekd.devices.cortex_m.tools import INSTALL
from edgekd.errors import ConfigError, EdgekdError, MissingExtraError, ModelError, OverBudgetError

needs_tools = pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {missing_tools()}")


def run(files: list[Path], core: str = "cortex-m4", budget: Budget = Budget(), seconds: float = 60) -> EmulatedRun:
    return emulate(files, core, budget, [tiny_c.samples(1)], [tiny_c.OUTPUTS], seconds=seconds)


@needs_tools
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m33", "cortex-m55"])
def test_flash_over_budget_is_said_with_region_section_and_bytes(core: str, tmp_path: Path) -> None:
    fits = run(tiny_c.write(tmp_path), core).flash_bytes
    assert run(tiny_c.write(tmp_path), core, Budget(flash_bytes=fits)).flash_bytes == fits
    with pytest.raises(OverBudgetError, match=rf"FLASH \(\.rodata\) overflows by 4 of {fits - 4:,} B") as refusal:
        run(tiny_c.write(tmp_path), core, Budget(flash_bytes=fits - 4))
    assert refusal.value.exit_code == 3


@needs_tools
def test_an_arena_over_budget_is_said_with_region_section_and_bytes(tmp_path: Path) -> None:
    with pytest.raises(OverBudgetError, match=r"RAM \(\.arena\) overflows by 1,000 of 4,000 B"):
        run(tiny_c.write(tmp_path, arena=5000), budget=Budget(ram_bytes=4000))


@needs_tools
def test_the_stack_counts_against_the_ram(tmp_path: Path) -> None:
    fits = run(tiny_c.write(tmp_path)).ram_bytes
    assert run(tiny_c.write(tmp_path), budget=Budget(ram_bytes=fits)).ram_bytes == fits
    with pytest.raises(OverBudgetError, match=rf"RAM \(stack of \d+ B\) overflows by 8 of {fits - 8} B"):
        run(tiny_c.write(tmp_path), budget=Budget(ram_bytes=fits - 8))


@needs_tools
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m33", "cortex-m55"])
def test_a_stack_that_grows_without_end_is_over_budget(core: str, tmp_path: Path) -> None:
    beside = (
        "__attribute__((noinline)) static int deep(volatile int *up) "
        "{ volatile int here = *up + 1; return deep(&here) + here; }"
    )
    files = tiny_c.write(tmp_path, beside=beside, first="volatile int zero = 0; if (deep(&zero) == 1) { return 1; }")
    with pytest.raises(OverBudgetError, match=r"the stack outgrows the 4,048 of 4,096 B of RAM"):
        run(files, core, Budget(ram_bytes=4096))


@needs_tools
def test_an_endless_loop_is_ended_and_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"did not end within 0\.5 s"):
        run(tiny_c.write(tmp_path, first='for (;;) { __asm__ volatile(""); }'), seconds=0.5)


@needs_tools
def test_an_unaligned_access_faults_on_armv6m_and_names_the_function(tmp_path: Path) -> None:
    first = "*(volatile int32_t *)((uintptr_t)arena + 1) = 1;"
    assert run(tiny_c.write(tmp_path, first=first), "cortex-m4").samples == 1
    with pytest.raises(ModelError, match=r"faulted at 0x.*, in tiny_invoke"):
        run(tiny_c.write(tmp_path, first=first), "cortex-m0plus")


@needs_tools
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"first": "return 1;"}, "invoke reported an error"),
        ({"first": "no_such_variable = 1;"}, r"tiny\.c does not compile for Cortex-M4.*no_such_variable"),
        ({"beside": "int elsewhere(void);", "first": "elsewhere();"}, "does not link for Cortex-M4.*elsewhere"),
    ],
)
def test_a_model_that_is_wrong_is_an_error_that_says_how(change: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=says):
        run(tiny_c.write(tmp_path, **change))


@needs_tools
def test_a_budget_beyond_the_emulated_board_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the target allows 8,388,608 B of flash; the emulated mps2-an386 has"):
        run(tiny_c.write(tmp_path), budget=Budget(flash_bytes=8 * 1024**2))


@needs_tools
def test_a_device_without_a_model_says_so() -> None:
    with CortexM("cortex-m4", Budget()) as board, pytest.raises(EdgekdError, match="there is no model on the device"):
        board.run([(b"",)], [1])


def test_files_without_a_header_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(EdgekdError):
        run(tiny_c.write(tmp_path)[1:])


def test_a_machine_without_the_tools_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_tools() == "arm-none-eabi-gcc, qemu-system-arm"
    with pytest.raises(MissingExtraError, match="needs arm-none-eabi-gcc, qemu-system-arm") as refusal:
        run(tiny_c.write(tmp_path))
    assert refusal.value.remedy == INSTALL
