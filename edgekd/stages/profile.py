"""Costs and times the exported files: what each operator takes, and int8 against float on this machine.

A time measured here is labelled `measured-host`; the device's own is left empty, with what would fill it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd.catalog.formats import FORMATS, judged_format, kernels_for
from edgekd.catalog.forms import DISTILLED, FORMS, INT8, PRUNED, exported_formats
from edgekd.catalog.runtimes import RUNTIMES, Runtime, host_runtime
from edgekd.config import Config, Device
from edgekd.data.batches import normalise
from edgekd.data.splits import Splits
from edgekd.devices import emulation, host
from edgekd.devices.cortex_m.cores import core_id
from edgekd.devices.latency import Latency, measure, ratio
from edgekd.errors import EdgekdError
from edgekd.graph import cost, files, reference
from edgekd.graph.structure import Graph
from edgekd.results import EmulatedRow, FormName, LatencyRow, Measurements, Quantity
from edgekd.training.progress import progress

VERSION = 2

EMULATED_SAMPLES = 8
"""Of the test set: parity on all of it is verify's matter, and an emulated inference may take a second."""


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Read the exported files and the int8 graph, measure, write `profile.json`."""
    export, settings = read["export"], config.profile
    stages = stage_files(export)
    timed = to_time(export, stages)
    with progress("profile", settings.rounds * len(timed)) as advance:
        times = measure(timed, settings.rounds, settings.seconds, settings.threads, seed=config.seed, advance=advance)
    machine = host.describe()
    cpu = str(machine["cpu"])
    file, runtime = device_file(config.device, export)
    unmeasured = device_latency(file, runtime)
    graph = files.load(read["quantize"] / "graph")
    splits = Splits.load(read["data"]).in_units_of(read["quantize"])
    emulated, not_emulated = emulated_row(config, graph, splits, export)
    result = Measurements(
        operators=cost.operators(graph),
        latencies=(*latency_rows(export, times, cpu), device_row(config.device, file, runtime, unmeasured)),
        stage_latency=stage_latency(stages, times, cpu),
        device_latency=unmeasured,
        emulated=emulated,
        not_emulated=not_emulated,
        machine=machine,
    )
    (out / "profile.json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return {
        "latency_ms": {row.file: row.latency.value for row in result.latencies if row.latency.value is not None},
        "stage_latency": {stage: figure.value for stage, figure in result.stage_latency.items()},
        "notes": [not_emulated] if not_emulated else [],
    }


def emulated_row(config: Config, graph: Graph, splits: Splits, export: Path) -> tuple[EmulatedRow | None, str]:
    """(the C code on the target's core, why there is none): nothing of both where no C goes to such a core.

    A build goes on without these figures where a tool is missing or the code can't be run.
    """
    kind = next((name for name in exported_formats(export) if FORMATS[name].firmware), None)
    if kind is None or core_id(config.device.core) is None:
        return None, ""
    suffixes = (kind, *FORMATS[kind].companions)
    codes = reference.input_codes(graph, graph.input, normalise(splits.test.x[:EMULATED_SAMPLES], splits).numpy())
    kernels = host_runtime(kind).trained_to(kernels_for(config.quantize.kernels, config.export.formats)).kernels
    code = [export / INT8.file(suffix) for suffix in suffixes]
    try:
        return emulation.emulated_row(code, config.device.core, config.limits, graph, (codes,), kernels), ""
    except EdgekdError as error:
        return None, f"the C code was not run on an emulated core: {error.what}; {error.remedy}"


def stage_files(export: Path) -> dict[FormName, Path]:
    """The file that stands for each row of the ledger, all in one format; some may be missing."""
    kind = judged_format(exported_formats(export))
    return {form.name: export / form.file(kind) for form in FORMS}


def to_time(export: Path, stages: Mapping[FormName, Path]) -> list[Path]:
    """The ledger's files, and int8 with its float baseline in every format that was exported."""
    baselines = (export / form.file(kind) for kind in exported_formats(export) for form in (PRUNED, INT8))
    return [file for file in dict.fromkeys((*stages.values(), *baselines)) if file.is_file()]


def latency_rows(export: Path, times: Sequence[Latency], cpu: str) -> tuple[LatencyRow, ...]:
    """A row for each file; an int8 one has its ratio to the float file of its format."""
    by_file = {time.file: time for time in times}
    rows = []
    for time in times:
        baseline = by_file.get(time.file.with_stem(PRUNED.stem)) if time.file.stem == INT8.stem else None
        rows.append(
            LatencyRow(
                file=time.file.relative_to(export).as_posix(),
                runtime=time.kernels,
                latency=Quantity(
                    value=time.lowest_us / 1e3,
                    unit="ms",
                    origin="measured-host",
                    source=f"{time.kernels}; {cpu}; lowest median of {len(time.rounds_us)} processes",
                    error=time.spread_us / 1e3,
                ),
                ratio_to_float=ratio_figure(time, baseline, cpu) if baseline else None,
                rounds_ms=tuple(median / 1e3 for median in time.rounds_us),
            )
        )
    return tuple(rows)


def ratio_figure(time: Latency, other: Latency, cpu: str) -> Quantity:
    """One file's time against another's."""
    value, error = ratio(time, other)
    rounds = len(time.rounds_us)
    source = f"{time.file.name} to {other.file.name}; {time.kernels}; {cpu}; median of {rounds} interleaved rounds"
    return Quantity(value=value, unit="x", origin="measured-host", source=source, error=error)


def stage_latency(stages: Mapping[FormName, Path], times: Sequence[Latency], cpu: str) -> dict[FormName, Quantity]:
    """Each stage's time against the distilled student's; an empty figure where a file is missing."""
    by_file = {time.file: time for time in times}
    distilled = by_file.get(stages[DISTILLED.name])
    figures: dict[FormName, Quantity] = {}
    for stage, file in stages.items():
        if file in by_file and distilled:
            figures[stage] = ratio_figure(by_file[file], distilled, cpu)
        else:
            missing = file if file not in by_file else stages[DISTILLED.name]
            figures[stage] = Quantity(unit="x", remedy=f"{missing.name} could not be written: see the notes of export")
    return figures


def device_file(device: Device, export: Path) -> tuple[str, Runtime]:
    """(int8 file, runtime) on the device: its own runtime's, or those of the first format that was exported."""
    exported, runtime = exported_formats(export), RUNTIMES[device.runtime]
    if runtime.format in exported:
        return INT8.file(runtime.format), runtime
    kind = judged_format(exported)
    return INT8.file(kind), host_runtime(kind)


def device_latency(file: str, runtime: Runtime) -> Quantity:
    """Empty: this version measures no device, and a host's time is not one's."""
    return Quantity(unit="ms", remedy=f"edgekd does not measure devices yet: {runtime.on_device.format(file=file)}")


def device_row(device: Device, file: str, runtime: Runtime, latency: Quantity) -> LatencyRow:
    """The row that waits for the device."""
    return LatencyRow(file=file, runtime=f"{runtime.title} on {device.title or device.name}", latency=latency)
