"""The export stage: the int8 files from the one quantised graph, and float files of every step before it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from edgekd.catalog.formats import FORMATS, format_module, judged_format, kernels_for
from edgekd.catalog.forms import DISTILLED, INT8, PRUNED, STUDENT, TEACHER, Form
from edgekd.config import Config
from edgekd.data.splits import Splits
from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.formats.estimate import Forecast
from edgekd.formats.estimate import forecast as weigh
from edgekd.formats.metadata import DType, Preprocessing
from edgekd.graph import cost, files, plan
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph, Kernels
from edgekd.nn import blueprint, tensors
from edgekd.nn.checkpoint import untrained
from edgekd.pruning.selection import narrowest
from edgekd.quantization.prepare import without_boundaries

VERSION = 6


def export(
    graph: Graph,
    folder: Path,
    name: str,
    formats: tuple[str, ...],
    splits: Splits,
    inputs: Preprocessing | None,
    input_dtype: DType = "int8",
    kernels: Kernels = "xnnpack",
) -> list[Path]:
    """Write `folder`/`name`.FORMAT for each of the formats that can hold the graph."""
    folder.mkdir(parents=True, exist_ok=True)
    about = splits.classes, inputs, input_dtype, splits.task.answers.decoding, kernels
    return [
        format_module(kind).write(graph, folder / f"{name}.{kind}", *about)
        for kind in formats
        if graph.quantized or not FORMATS[kind].int8_only
    ]


def precheck(config: Config, data: Path) -> None:
    """Refuse a student that has an operator without a writer, before anything trains."""
    splits = Splits.load(data)
    student_forecast(config, splits)


def forecast(config: Config, splits: Splits) -> dict[str, Any]:
    """What the untrained student would take on the device, whole and pruned to its narrowest; for `edgekd check`."""
    student = student_forecast(config, splits)
    least = narrowest_forecast(config, splits) if config.prune.criterion != "none" else student
    return {
        "operators": [cost.named(op) for op in student.graph.operators],
        "size_bytes": student.size_bytes,
        "peak_ram_bytes": student.peak_ram_bytes,
        "least_size_bytes": least.size_bytes,
        "least_peak_ram_bytes": least.peak_ram_bytes,
        "macs": student.macs,
        "parameters": student.parameters,
    }


def student_forecast(config: Config, splits: Splits) -> Forecast:
    """What the untrained student would take on the device."""
    return _weighed(config, untrained(config.student, splits)[0], splits)


def narrowest_forecast(config: Config, splits: Splits) -> Forecast:
    """The same with every layer as narrow as pruning may leave it."""
    narrow = narrowest(untrained(config.student, splits)[0], splits.example, config.prune.channel_multiple)
    return weigh(narrow, splits.example, formats=(judged_format(config.export.formats),))


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves model.* (int8), and in float model_float.*, student.pt (both pruned), stages/teacher.*, distill.*"""
    splits = Splits.load(read["data"])
    inputs = _preprocessing(splits)
    folded = _preprocessing(splits.in_units_of(read["quantize"]))
    graphs: dict[Form, Graph | None] = {
        TEACHER: None,
        DISTILLED: _captured(read["distill"], splits),
        PRUNED: without_boundaries(files.load(read["quantize"] / "float")),
        INT8: files.load(read["quantize"] / "graph"),
    }
    notes = []
    try:
        graphs[TEACHER] = _captured(read["teacher"], splits)
    except ModelError as error:
        notes.append(f"the teacher's float file is missing, so its latency is too: {error.what}")
    written = [
        path
        for form, graph in graphs.items()
        if graph is not None
        for path in export(
            graph,
            out / form.folder,
            form.stem,
            config.export.formats,
            splits,
            folded if form in (PRUNED, INT8) else inputs,
            config.export.input_dtype,
            kernels_for(config.quantize.kernels, config.export.formats),
        )
    ]
    tensors.write(out / STUDENT, blueprint.as_checkpoint(read["prune"] / "model"))
    return {
        "files": {str(path.relative_to(out)): path.stat().st_size for path in written},
        "macs": {form.name: cost.macs(graph) if graph else None for form, graph in graphs.items()},
        "parameters": {form.name: cost.parameters(graph) if graph else None for form, graph in graphs.items()},
        "peak_ram_bytes": {
            form.name: _peak_ram_bytes(graph, config.export.input_dtype) if graph else None
            for form, graph in graphs.items()
        },
        "notes": notes,
    }


def _preprocessing(splits: Splits) -> Preprocessing | None:
    return None if splits.vocabulary else Preprocessing(splits.scale, splits.mean, splits.std)


def _peak_ram_bytes(graph: Graph, input_dtype: DType) -> int:
    if not graph.quantized:
        return plan.peak_ram_bytes(graph, 4)
    inputs = sum(graph.tensors[name].elements for name in graph.inputs)
    twice = 2 * inputs if input_dtype == "uint8" else 0  # while the first operator makes int8 of it
    return max(plan.peak_ram_bytes(graph, 1), twice)


def _weighed(config: Config, student: nn.Module, splits: Splits) -> Forecast:
    """What the student takes in int8; a refusal names the target too, which may be one of several."""
    try:
        layers = config.quantize.float_layers, config.quantize.int16_layers
        kernels = kernels_for(config.quantize.kernels, config.export.formats)
        about = splits.task.answers.decoding, kernels
        return weigh(student, splits.example, splits.classes, config.export.formats, *layers, *about)
    except UnsupportedOperatorError as error:
        raise UnsupportedOperatorError(f"for {config.device.name}: {error.what}", error.remedy) from error


def _captured(artifact: Path, splits: Splits) -> Graph:
    if not (artifact / "model").is_dir():
        raise ModelError("it is not one torch module")
    model, _ = blueprint.load(artifact / "model")
    return capture(model, splits.example)
