"""Runs the int8 network's C files on an emulated core of the target and gives the report the figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekd.config import Limits
from edgekd.devices.cortex_m import Budget, EmulatedRun, emulate
from edgekd.errors import OverBudgetError
from edgekd.graph import cost, reference
from edgekd.graph.structure import Array, Graph, Mode
from edgekd.results import EmulatedRow, FunctionRow, Quantity
from edgekd.runtimes.c import read_macros, tensors
from edgekd.runtimes.codes import from_file_codes, to_file_codes


def emulated_row(
    files: Sequence[Path], core: str, limits: Limits, graph: Graph, codes: Sequence[Array], kernels: Mode
) -> EmulatedRow:
    """Run the C files of a graph on a core and compare their outputs with the integer reference.

    If the files exceed the limits, they run without limits, so that the report still has their figures. The row's
    `over` then holds the message of the error.

    Args:
        files: the `.c` file and its header.
        core: the core's name, as in the target's `device.core`.
        limits: the limits of the target on flash and RAM.
        codes: the int8 codes of every input, (N, *shape).
        kernels: the rounding with which the files were written.

    Raises:
        MissingExtraError: the compiler or the emulator is not installed.
        ModelError: the files do not compile, or their code faults.
    """
    [source] = [file for file in files if file.suffix == ".c"]
    macros = read_macros(source)
    inputs, outputs = tensors(macros, "INPUT"), tensors(macros, "OUTPUT")
    feeds = [to_file_codes(values, info) for values, info in zip(codes, inputs, strict=True)]
    sizes = [int(np.prod(info.shape)) * info.dtype.itemsize for info in outputs]
    over = ""
    try:
        run = emulate(files, core, Budget(limits.flash_bytes, limits.peak_ram_bytes), feeds, sizes)
    except OverBudgetError as error:
        over = error.what
        run = emulate(files, core, Budget(), feeds, sizes)
    expected = reference.run_all(graph, *codes, kernels=kernels)
    differing = 0
    for raw, info, reference_codes in zip(run.outputs, outputs, expected, strict=True):
        file_codes = from_file_codes(raw.view(info.dtype).reshape(-1, *info.shape), info)
        differing += int((file_codes != reference_codes).sum())
    return EmulatedRow(
        file=source.name,
        samples=run.samples,
        outputs=sum(values.size for values in expected),
        differing=differing,
        over=over,
        flash=_quantity(run.flash_bytes, "B", f"code, constants and initial values; {run.source}"),
        ram=_quantity(run.ram_bytes, "B", f"variables, arena and stack; {run.source}"),
        stack=_quantity(run.stack_bytes, "B", run.source),
        **_instructions(run, cost.macs(graph)),
    )


def _instructions(run: EmulatedRun, macs: int) -> dict[str, Quantity | tuple[FunctionRow, ...]]:
    """Return the row's instruction counts, which are empty if an inference overflowed the counting timer."""
    if run.counts is None or run.instructions is None:
        empty = Quantity(unit="instructions", remedy="a C compiler on this host, which builds QEMU's counting plugin")
        return {"instructions": empty, "instructions_per_mac": empty.model_copy(update={"unit": "instructions/MAC"})}
    error = run.counts.error / run.samples or None
    functions = tuple(
        FunctionRow(
            name=name, instructions=_quantity(count, "instructions", run.source), bytes=run.symbol_bytes.get(name)
        )
        for name, count in run.instructions_by_function.items()
    )
    return {
        "instructions": _quantity(run.instructions, "instructions", run.source, error),
        "instructions_per_mac": _quantity(run.instructions / macs, "instructions/MAC", run.source)
        if macs
        else Quantity(unit="instructions/MAC", remedy="a network with multiply-accumulates"),
        "functions": functions,
    }


def _quantity(value: float, unit: str, source: str, error: float | None = None) -> Quantity:
    return Quantity(value=value, unit=unit, origin="emulated", source=source, error=error)
