"""The export stage: it writes the int8 files of the one quantised graph, and float files of every step before it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from edgekd.catalog.formats import format_module, judged_format
from edgekd.catalog.forms import DISTILLED, INT8, PRUNED, STUDENT, TEACHER, Form
from edgekd.config import Config
from edgekd.data.splits import Splits
from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.formats.estimate import Forecast
from edgekd.formats.estimate import forecast as estimate_costs
from edgekd.formats.metadata import DType, Preprocessing
from edgekd.graph import cost, files, plan
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph
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
) -> list[Path]:
    """Write `folder`/`name`.FORMAT for each of the formats, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = splits.classes, inputs, input_dtype, splits.task.answers.decoding
    return [format_module(kind).write(graph, folder / f"{name}.{kind}", *metadata) for kind in formats]


def precheck(config: Config, data: Path) -> None:
    """Raise an error if the student has an operator that can't be exported, before anything trains."""
    splits = Splits.load(data)
    student_forecast(config, splits)


def forecast(config: Config, splits: Splits) -> dict[str, Any]:
    """Return the untrained student's costs on the device, unpruned and at its narrowest, for `edgekd check`."""
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
    """Return the costs of the untrained student on the device."""
    return _estimate_student(config, untrained(config.student, splits)[0], splits)


def narrowest_forecast(config: Config, splits: Splits) -> Forecast:
    """Return the costs of the untrained student with every layer as narrow as pruning may leave it."""
    student = narrowest(untrained(config.student, splits)[0], splits.example, config.prune.channel_multiple)
    return estimate_costs(student, splits.example, formats=(judged_format(config.export.formats),))


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write the files of all forms to `out`.

    They are model.* (int8), model_float.* and student.pt (the pruned student in float), and in stages/ the teacher and
    the distilled student in float.
    """
    splits = Splits.load(folders["data"])
    inputs = _preprocessing(splits)
    quantized_inputs = _preprocessing(splits.seen_by(folders["quantize"]))
    graphs: dict[Form, Graph | None] = {
        TEACHER: None,
        DISTILLED: _capture_model(folders["distill"], splits),
        PRUNED: without_boundaries(files.load(folders["quantize"] / "float")),
        INT8: files.load(folders["quantize"] / "graph"),
    }
    notes = []
    try:
        graphs[TEACHER] = _capture_model(folders["teacher"], splits)
    except ModelError as error:
        notes.append(f"the teacher's float file is missing, so its latency is too: {error.what}")
    paths = [
        path
        for form, graph in graphs.items()
        if graph is not None
        for path in export(
            graph,
            out / form.folder,
            form.stem,
            config.export.formats,
            splits,
            quantized_inputs if form in (PRUNED, INT8) else inputs,
            config.export.input_dtype,
        )
    ]
    tensors.write(out / STUDENT, blueprint.as_checkpoint(folders["prune"] / "model"))
    return {
        "files": {str(path.relative_to(out)): path.stat().st_size for path in paths},
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
    # While the first operator converts a uint8 input to int8, both copies exist.
    conversion_bytes = 2 * inputs if input_dtype == "uint8" else 0
    return max(plan.peak_ram_bytes(graph, 1), conversion_bytes)


def _estimate_student(config: Config, student: nn.Module, splits: Splits) -> Forecast:
    """Return the student's costs in int8. An error names the target too, since there may be several."""
    try:
        layers = config.quantize.float_layers, config.quantize.int16_layers
        decoding = splits.task.answers.decoding
        return estimate_costs(student, splits.example, splits.classes, config.export.formats, *layers, decoding)
    except UnsupportedOperatorError as error:
        raise UnsupportedOperatorError(f"for {config.device.name}: {error.what}", error.remedy) from error


def _capture_model(artifact: Path, splits: Splits) -> Graph:
    if not (artifact / "model").is_dir():
        raise ModelError("it is not one torch module")
    model, _ = blueprint.load(artifact / "model")
    return capture(model, splits.example)
