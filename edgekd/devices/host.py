"""Which machine the host figures come from, in words that name no person and no host."""

import os
import platform
from pathlib import Path


def describe() -> dict[str, str | int]:
    """{"cpu", "cores", "memory_bytes", "system", "architecture"} of this machine."""
    return {
        "cpu": _cpu(Path("/proc/cpuinfo")),
        "cores": os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "architecture": platform.machine(),
    }


def _cpu(cpuinfo: Path) -> str:
    """The CPU's own name; Arm kernels give none in cpuinfo, so the architecture stands in."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model") and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
