"""Describes for the report the machine that ran the host measurements, without names of persons or hosts."""

import os
import platform
from pathlib import Path


def describe() -> dict[str, str | int]:
    """Return the "cpu", "cores", "memory_bytes", "system" and "architecture" of this machine."""
    return {
        "cpu": _cpu(Path("/proc/cpuinfo")),
        "cores": os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "architecture": platform.machine(),
    }


def _cpu(cpuinfo: Path) -> str:
    """Return the name of the CPU, or the architecture if cpuinfo has no name, as on Arm."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model") and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
