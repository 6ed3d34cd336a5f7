"""A model that doesn't fit, end or compile, and a machine without the tools each give an error of their own."""

from pathlib import Path

import pytest
from support.cortex_m import ANY_TOOLS, BOTH_TOOLS, EVERY_CORE, NEEDS_GCC_AND_QEMU, SKIP_WITHOUT, Tools

from benchmarks.support import tiny_c
from edgekd.devices.cortex_m import CORES, Budget, CortexM, EmulatedRun, emulate, missing_tools, tools
from edgekd.errors import ConfigError, EdgekdError, MissingExtraError, ModelError, OverBudgetError


def run(
    files: list[Path],
    core: str = "cortex-m4",
    tools: Tools = ANY_TOOLS,
    *,
    budget: Budget = Budget(),
    seconds: float = 60,
) -> EmulatedRun:
    compiler, emulator = tools
    inputs, outputs = [tiny_c.samples(1)], [tiny_c.OUTPUTS]
    return emulate(files, core, budget, inputs, outputs, compiler=compiler, emulator=emulator, seconds=seconds)


@EVERY_CORE
def test_flash_over_budget_is_said_with_region_section_and_bytes(core: str, tools: Tools, tmp_path: Path) -> None:
    fits = run(tiny_c.write(tmp_path), core, tools).flash_bytes
    assert run(tiny_c.write(tmp_path), core, tools, budget=Budget(flash_bytes=fits)).flash_bytes == fits
    with pytest.raises(OverBudgetError, match=rf"FLASH \(\.rodata\) overflows by 4 of {fits - 4:,} B") as refusal:
        run(tiny_c.write(tmp_path), core, tools, budget=Budget(flash_bytes=fits - 4))
    assert refusal.value.exit_code == 3


@BOTH_TOOLS
def test_an_arena_over_budget_is_said_with_region_section_and_bytes(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(OverBudgetError, match=r"RAM \(\.arena\) overflows by 1,000 of 4,000 B"):
        run(tiny_c.write(tmp_path, arena=5000), tools=tools, budget=Budget(ram_bytes=4000))


@SKIP_WITHOUT
def test_the_stack_counts_against_the_ram(tmp_path: Path) -> None:
    fits = run(tiny_c.write(tmp_path)).ram_bytes
    assert run(tiny_c.write(tmp_path), budget=Budget(ram_bytes=fits)).ram_bytes == fits
    with pytest.raises(OverBudgetError, match=rf"RAM \(stack of \d+ B\) overflows by 8 of {fits - 8} B"):
        run(tiny_c.write(tmp_path), budget=Budget(ram_bytes=fits - 8))


@EVERY_CORE
def test_a_stack_that_grows_without_end_is_over_budget(core: str, tools: Tools, tmp_path: Path) -> None:
    beside = (
        "__attribute__((noinline)) static int deep(volatile int *up) "
        "{ volatile int here = *up + 1; return deep(&here) + here; }"
    )
    files = tiny_c.write(tmp_path, beside=beside, first="volatile int zero = 0; if (deep(&zero) == 1) { return 1; }")
    with pytest.raises(OverBudgetError, match=r"the stack outgrows the 4,048 of 4,096 B of RAM"):
        run(files, core, tools, budget=Budget(ram_bytes=4096))


@BOTH_TOOLS
def test_an_endless_loop_is_ended_and_said(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"did not end within 0\.5 s"):
        run(tiny_c.write(tmp_path, first='for (;;) { __asm__ volatile(""); }'), tools=tools, seconds=0.5)


@NEEDS_GCC_AND_QEMU  # Unicorn lets every core access what it likes
def test_an_unaligned_access_faults_on_armv6m_and_names_the_function(tmp_path: Path) -> None:
    first = '__asm__ volatile("str %0, [%0]" :: "l"((uintptr_t)arena + 1) : "memory");'
    assert run(tiny_c.write(tmp_path, first=first), "cortex-m4", ("gcc", "qemu")).samples == 1
    with pytest.raises(ModelError, match=r"faulted at 0x.*, in tiny_invoke"):
        run(tiny_c.write(tmp_path, first=first), "cortex-m0plus", ("gcc", "qemu"))


@BOTH_TOOLS
def test_a_fault_is_said_with_its_address_and_function(tools: Tools, tmp_path: Path) -> None:
    first = "*(volatile int32_t *)0x70000000u = 1;"
    with pytest.raises(ModelError, match=r"faulted at 0x.*, in tiny_invoke"):
        run(tiny_c.write(tmp_path, first=first), tools=tools)


@BOTH_TOOLS
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"first": "return 1;"}, "invoke reported an error"),
        ({"first": "no_such_variable = 1;"}, r"tiny\.c does not compile.*no_such_variable"),
        ({"beside": "int elsewhere(void);", "first": "elsewhere();"}, "does not link for Cortex-M4.*elsewhere"),
    ],
)
def test_a_model_that_is_wrong_is_an_error_that_says_how(
    change: dict[str, str], says: str, tools: Tools, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=says):
        run(tiny_c.write(tmp_path, **change), tools=tools)


@SKIP_WITHOUT
def test_a_budget_beyond_the_emulated_board_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the target allows 8,388,608 B of flash; the emulated mps2-an386 has"):
        run(tiny_c.write(tmp_path), budget=Budget(flash_bytes=8 * 1024**2))


@SKIP_WITHOUT
def test_a_device_without_a_model_says_so() -> None:
    with CortexM("cortex-m4", Budget()) as board, pytest.raises(EdgekdError, match="there is no model on the device"):
        board.run([(b"",)], [1])


@SKIP_WITHOUT
def test_files_without_a_header_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a model's C files have one header, not 0"):
        run(tiny_c.write(tmp_path)[1:])


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine on which no tool is installed."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)


@pytest.mark.parametrize(
    ("core", "emulators"), [("cortex-m4", "qemu-system-arm or unicorn"), ("cortex-m55", "qemu-system-arm")]
)
def test_a_machine_without_the_tools_says_what_to_install(
    core: str, emulators: str, no_tools: None, tmp_path: Path
) -> None:
    missing = f"a compiler (arm-none-eabi-gcc with newlib, or ziglang) and an emulator ({emulators})"
    assert missing_tools(CORES[core]) == missing
    with pytest.raises(MissingExtraError) as refusal:
        run(tiny_c.write(tmp_path), core)
    assert missing in refusal.value.what
    assert refusal.value.remedy == f"{tools.APT}, or without root {tools.PIP}"


def test_a_tool_that_is_asked_for_and_missing_is_named(no_tools: None) -> None:
    with pytest.raises(MissingExtraError, match="a Cortex-M4"):
        CortexM("cortex-m4", Budget(), compiler="zig")
