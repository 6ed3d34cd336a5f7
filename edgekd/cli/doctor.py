"""`edgekd doctor`: it checks whether this environment can run a build."""

import importlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from edgekd.catalog.formats import FORMATS
from edgekd.catalog.runtimes import RUNTIMES
from edgekd.cli.options import Debug, StoreFolder
from edgekd.errors import MissingExtraError

FREE_BYTES = 2 * 10**9  # bytes: a build on CIFAR-10 with its data, checkpoints and models takes about 0.5 GB


@dataclass(frozen=True)
class Symptom:
    """The result of one check, with a remedy if it failed."""

    what: str
    verdict: Literal["ok", "warn", "fail"]
    says: str
    remedy: str = ""


def doctor(store: StoreFolder = None, debug: Debug = False) -> None:
    """Look at versions, processor, disk and runtimes."""
    broken = False
    for symptom in examine(store or Path(".edgekd")):
        print(f"{symptom.verdict:5} {symptom.what:12} {symptom.says}", flush=True)
        if symptom.remedy:
            print(f"{'':18} try: {symptom.remedy}")
        broken = broken or symptom.verdict == "fail"
    if broken:
        raise typer.Exit(MissingExtraError.exit_code)


def examine(store: Path) -> Iterator[Symptom]:
    """Run the checks one after the other."""
    from edgekd.catalog.libraries import library_versions

    yield _python()
    versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    yield Symptom("libraries", "ok", versions)
    yield _processor()
    yield _threads()
    yield _disk(store)
    yield _store(store)
    yield _package("torch", "torch")
    for row in FORMATS.values():
        yield _package(row.title, row.package)
    for runtime in RUNTIMES.values():
        yield _package(runtime.title, runtime.package, runtime.extra)
    yield _microcontrollers()


def _python() -> Symptom:
    return Symptom("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _processor() -> Symptom:
    """Check whether int8 products are exact: on x86 without VNNI, pairs of uint8 x int8 saturate at 16 bits."""
    flags = _cpu_flags()
    if platform.machine() not in ("x86_64", "AMD64"):
        dots = "with" if "asimddp" in flags else "without"
        return Symptom("processor", "ok", f"{platform.machine()}, {dots} dot products")
    vnni = sorted(flag for flag in flags if "vnni" in flag)
    if vnni:
        return Symptom("processor", "ok", f"x86-64 with {', '.join(vnni)}: int8 products are exact")
    return Symptom(
        "processor",
        "warn",
        "x86-64 without VNNI: onnxruntime's uint8 x int8 kernels may saturate, and verify would say so",
        'verify on a processor with VNNI, or build the TFLite file alone: --set export.formats=["tflite"]',
    )


def _cpu_flags() -> set[str]:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return set()
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    flags_line = next((line for line in lines if line.lower().startswith(("flags", "features"))), ":")
    return set(flags_line.partition(":")[2].split())


def _threads() -> Symptom:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS")
    if limit is not None and limit.isdigit() and int(limit) < cores:
        return Symptom("threads", "warn", f"{cores} cores, but OMP_NUM_THREADS={limit}", "unset OMP_NUM_THREADS")
    return Symptom("threads", "ok", f"{cores} cores")


def _disk(store: Path) -> Symptom:
    existing_folder = next(folder for folder in (store.absolute(), *store.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing_folder).free
    says = f"{free / 1e9:.1f} GB free for {store}"
    if free >= FREE_BYTES:
        return Symptom("disk", "ok", says)
    return Symptom("disk", "warn", says, "free some space, or --store DIR on a larger disk")


def _store(store: Path) -> Symptom:
    if not store.exists():
        return Symptom("store", "ok", f"{store} is not there yet: the first build makes it")
    if not os.access(store, os.W_OK):
        return Symptom("store", "fail", f"{store} can't be written", "--store DIR, a folder of your own")
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    work = [folder for folder in (store / "work").glob("*-????????????????") if folder.is_dir()]
    unfinished = f", {len(work)} of them unfinished work that the same build goes on from" if work else ""
    count = len(list(store.glob("*/*/artifact.json"))) + len(work)
    return Symptom("store", "ok", f"{store}: {size / 1e6:.1f} MB in {count} pieces{unfinished}")


def _microcontrollers() -> Symptom:
    """Whether C code can be run on emulated Cortex-M cores, which no build needs."""
    from edgekd.devices.cortex_m.tools import APT, COMPILERS, EMULATORS, PIP, missing_tools

    if missing := missing_tools():
        return Symptom("cortex-m", "ok", f"can't be emulated without {missing}: {APT}, or {PIP}")
    here = [name for rows in (COMPILERS, EMULATORS) for name, row in rows.items() if row.present()]
    return Symptom("cortex-m", "ok", f"can be emulated: {', '.join(here)}")


def _package(name: str, module: str, extra: str = "") -> Symptom:
    """Check whether a library loads; one that only an extra of edgekd installs may be missing."""
    if extra and importlib.util.find_spec(module.partition(".")[0]) is None:
        return Symptom(name, "ok", f"is not installed; pip install 'edgekd[{extra}]' brings it")
    try:
        importlib.import_module(module)
    except (ImportError, OSError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Symptom(name, "fail", f"does not load: {reason}", "pip install -c constraints.txt edgekd")
    return Symptom(name, "ok", "loads")
