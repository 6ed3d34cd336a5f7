"""Every microcontroller target has a core that can be emulated with the memory that the target allows."""

import pytest

from edgekd.config import targets
from edgekd.config.resolve import configure
from edgekd.devices.cortex_m import CORES, core_named
from edgekd.devices.cortex_m.cores import core_id
from edgekd.devices.cortex_m.firmware import HARNESS_STACK_BYTES
from edgekd.errors import ConfigError

MICROCONTROLLERS = [
    name
    for name in targets.names()
    if configure(name).device.architecture.startswith(("armv6", "armv7", "armv8-m", "armv8.1-m"))
]


@pytest.mark.parametrize("name", MICROCONTROLLERS)
def test_a_microcontrollers_core_has_a_row_whose_board_has_the_memory_of_its_limits(name: str) -> None:
    config = configure(name)
    core = core_named(config.device.core)
    assert config.limits.flash_bytes is not None and config.limits.flash_bytes <= core.flash_bytes
    assert config.limits.peak_ram_bytes is not None
    assert config.limits.peak_ram_bytes <= core.ram_bytes - HARNESS_STACK_BYTES


@pytest.mark.parametrize("name", MICROCONTROLLERS)
def test_a_microcontrollers_limits_are_below_what_the_device_has(name: str) -> None:
    device, limits = configure(name).device, configure(name).limits
    assert limits.flash_bytes is not None and limits.peak_ram_bytes is not None
    assert device.flash_bytes is None or limits.flash_bytes < device.flash_bytes
    assert device.ram_bytes is None or limits.peak_ram_bytes < device.ram_bytes


def test_every_core_has_a_target() -> None:
    assert {core_id(configure(name).device.core) for name in MICROCONTROLLERS} == set(CORES)


def test_no_other_target_has_a_core_that_is_emulated() -> None:
    others = set(targets.names()) - set(MICROCONTROLLERS)
    assert others and all(core_id(configure(name).device.core) is None for name in others)


@pytest.mark.parametrize(
    ("name", "title"), [("Cortex-M0+", "Cortex-M0+"), ("cortex-m55", "Cortex-M55 (DSP, FPU, MVE)")]
)
def test_a_core_is_known_by_its_key_and_as_arm_writes_it(name: str, title: str) -> None:
    assert core_named(name).title == title


def test_a_core_without_an_emulator_is_refused_with_a_guess() -> None:
    with pytest.raises(ConfigError, match="no emulator of a core 'Cortex-M5'") as refusal:
        core_named("Cortex-M5")
    assert refusal.value.remedy == "cortex-m55"
