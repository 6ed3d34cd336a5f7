"""A C model gives the same answers on every emulated core, with exact instruction counts and memory figures."""

from pathlib import Path

import numpy as np
import pytest
from support.cortex_m import (
    ANY_TOOLS,
    EMULATORS_HERE,
    EVERY_CORE,
    EVERY_CORE_AND_TOOL,
    NEEDS_GCC_AND_QEMU,
    SKIP_WITHOUT,
    UNICORN_CORES,
    Tools,
)

from benchmarks.support import tiny_c
from edgekd.devices.cortex_m import CORES, Budget, CortexM, EmulatedRun, counts, emulate
from edgekd.devices.cortex_m.tools import choose_tools

pytestmark = SKIP_WITHOUT


def run(
    folder: Path,
    inputs: np.ndarray,
    core: str = "cortex-m4",
    tools: Tools = ANY_TOOLS,
    **change: str,
) -> EmulatedRun:
    files = tiny_c.write(folder, **change)
    budget = Budget(64 * 1024, 16 * 1024)
    return emulate(files, core, budget, [inputs], [tiny_c.OUTPUTS], compiler=tools[0], emulator=tools[1])


@EVERY_CORE_AND_TOOL
def test_every_core_gives_the_answers_of_the_reference(core: str, tools: Tools, tmp_path: Path) -> None:
    inputs = tiny_c.samples(20)
    [outputs] = run(tmp_path, inputs, core, tools).outputs
    assert outputs.tolist() == tiny_c.answers(inputs).tolist()
    assert len(np.unique(outputs)) > 50  # so that the comparison above is meaningful


@EVERY_CORE
def test_twice_the_inferences_are_twice_the_instructions(core: str, tools: Tools, tmp_path: Path) -> None:
    once, twice = (run(tmp_path, np.repeat(tiny_c.samples(1), times, axis=0), core, tools).counts for times in (1, 2))
    assert once is not None and twice is not None
    assert twice.by_function == {name: 2 * count for name, count in once.by_function.items()}
    assert twice.total == 2 * once.total == sum(twice.by_function.values())


@EVERY_CORE
def test_a_count_is_the_same_in_every_run(core: str, tools: Tools, tmp_path: Path) -> None:
    first, second = (run(tmp_path, tiny_c.samples(3), core, tools).counts for _ in range(2))
    assert first == second


@EVERY_CORE
def test_the_layers_function_has_nearly_all_of_the_instructions_and_some_for_each_mac(
    core: str, tools: Tools, tmp_path: Path
) -> None:
    result = run(tmp_path, tiny_c.samples(1), core, tools)
    per_mac = result.instructions_per_mac(tiny_c.MACS)
    assert per_mac is not None and 1 <= per_mac < 10
    assert result.instructions is not None
    assert result.instructions_by_function["fully_connected"] > 0.95 * result.instructions


def test_a_loop_of_known_length_is_counted_to_the_instruction(tmp_path: Path) -> None:
    loop = '__asm__ volatile("mov r3, #{}\\n1: subs r3, #1\\nbne 1b" ::: "r3", "cc");'
    short, long = (run(tmp_path, tiny_c.samples(1), first=loop.format(turns)) for turns in (10, 110))
    assert short.instructions is not None and long.instructions is not None
    assert long.instructions - short.instructions == 200


@NEEDS_GCC_AND_QEMU
@pytest.mark.parametrize("core", CORES)
def test_without_a_compiler_on_the_host_systick_counts_nearly_the_same(
    core: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = run(tmp_path, tiny_c.samples(2), core, ("gcc", "qemu")).counts
    monkeypatch.setattr(counts, "host_compiler", lambda: None)
    result = run(tmp_path, tiny_c.samples(2), core, ("gcc", "qemu"))
    coarse = result.counts
    assert exact is not None and coarse is not None
    assert abs(exact.total - coarse.total) <= coarse.error
    assert (exact.error, coarse.by_function) == (0, {})
    assert "SysTick" in coarse.method and "SysTick" in result.source and "SysTick" not in exact.method


@EVERY_CORE
def test_the_stack_is_measured_to_the_byte(core: str, tools: Tools, tmp_path: Path) -> None:
    stack = "volatile uint8_t scratch[{0}]; for (int i = 0; i < {0}; i++) {{ scratch[i] = 1; }}"
    small, large = (run(tmp_path, tiny_c.samples(1), core, tools, first=stack.format(size)) for size in (256, 512))
    assert large.stack_bytes - small.stack_bytes == 256
    assert 256 <= small.stack_bytes < 384


def test_flash_and_ram_are_the_sections_and_the_stack(tmp_path: Path) -> None:
    beside = "volatile int32_t calls = 7; volatile int32_t zeros[3];"
    result = run(tmp_path, tiny_c.samples(1), beside=beside, first="zeros[0] = calls++;")
    sections = result.sections
    assert (sections[".rodata"], sections[".data"], sections[".bss"], sections[".arena"]) == (tiny_c.MACS, 4, 12, 48)
    assert result.flash_bytes == sections[".text"] + tiny_c.MACS + 4
    assert result.ram_bytes == 4 + 12 + 48 + result.stack_bytes
    assert result.symbol_bytes["weights"] == tiny_c.MACS
    assert not any("harness" in name or name == "main" for name in result.symbol_bytes)


def test_a_model_may_have_several_inputs_and_outputs(tmp_path: Path) -> None:
    header, source = tmp_path / "pair.h", tmp_path / "pair.c"
    header.write_text(tiny_c.HEADER.format(arena=24).replace("tiny", "pair").replace("TINY", "PAIR"))
    source.write_text(
        '#include "pair.h"\n'
        "int8_t *pair_input(void *arena, int index) { return (int8_t *)arena + 8 * index; }\n"
        "const int8_t *pair_output(const void *arena, int index) { return (const int8_t *)arena + 16 + 3 * index; }\n"
        "int pair_invoke(void *arena) { int8_t *a = arena; a[16] = a[0] + a[8]; a[19] = a[1] - a[9];"
        " a[20] = a[2]; return 0; }\n"
    )
    inputs = [np.array([[1, 2, 3], [4, 5, 6]], np.int8), np.array([[10, 20], [30, 40]], np.int8)]
    first, second = emulate([header, source], "cortex-m0plus", Budget(), inputs, [1, 2]).outputs
    assert first.tolist() == [[11], [34]]
    assert second.tolist() == [[2 - 20, 3], [5 - 40, 6]]


@EVERY_CORE
def test_a_figures_source_names_core_compiler_emulator_and_counter(core: str, tools: Tools, tmp_path: Path) -> None:
    source = run(tmp_path, tiny_c.samples(1), core, tools).source
    names = {"gcc": "arm-none-eabi-gcc", "zig": "ziglang 0.", "qemu": "QEMU emulator version", "unicorn": "unicorn 2."}
    assert source.startswith(core.title().replace("0Plus", "0+"))
    assert all(names[tool] in source for tool in tools if tool)
    assert source.endswith(("each address", "each block"))


@NEEDS_GCC_AND_QEMU
def test_a_core_that_another_one_stands_in_for_is_said() -> None:
    with CortexM("Cortex-M0+", Budget(), emulator="qemu") as board:
        assert board.describe()["core"] == "Cortex-M0+"
        assert board.describe()["emulator"].endswith("mps2-an385 (Cortex-M3)")


def test_a_closed_device_leaves_no_files(tmp_path: Path) -> None:
    with CortexM("cortex-m4", Budget()) as board:
        board.put(tiny_c.write(tmp_path))
        assert board.folder.is_dir()
    assert not board.folder.exists()


@pytest.mark.skipif(len(EMULATORS_HERE) < 2, reason="one emulator is installed, not both")
@pytest.mark.parametrize("core", UNICORN_CORES)
def test_both_emulators_execute_and_count_one_image_alike(core: str, tmp_path: Path) -> None:
    compiler, _ = choose_tools(CORES[core])
    one, other = (run(tmp_path, tiny_c.samples(4), core, (compiler, emulator)) for emulator in ("qemu", "unicorn"))
    assert one.counts is not None and other.counts is not None
    assert one.counts.by_function == other.counts.by_function
    assert one.outputs[0].tolist() == other.outputs[0].tolist()
    assert one.stack_bytes == other.stack_bytes
