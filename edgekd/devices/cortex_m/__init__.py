"""Compiles C code for Cortex-M cores, runs it in an emulator, measures memory and counts instructions."""

from edgekd.devices.cortex_m.cores import CORES, Core, core_named
from edgekd.devices.cortex_m.device import CortexM, EmulatedRun, emulate
from edgekd.devices.cortex_m.firmware import Budget, Firmware
from edgekd.devices.cortex_m.tools import missing_tools

__all__ = [
    "CORES", "Budget", "Core", "CortexM", "EmulatedRun", "Firmware", "core_named", "emulate", "missing_tools",
]  # fmt: skip
