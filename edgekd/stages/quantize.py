"""The quantize stage: it quantises the pruned student's graph, and trains that graph with the teacher."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from edgekd.catalog.formats import kernels_for
from edgekd.config import Config, Quantize
from edgekd.data.batches import normalise, renormalise
from edgekd.data.splits import Splits
from edgekd.distillation.losses.total import response_loss
from edgekd.distillation.teachers.answers import views_of
from edgekd.distillation.teachers.load import open_teacher
from edgekd.graph import files
from edgekd.graph.structure import Graph
from edgekd.nn import blueprint
from edgekd.quantization import inputs
from edgekd.quantization.islands import RealPart, real_part
from edgekd.quantization.prepare import Prepared, prepared
from edgekd.quantization.samples import Samples, calibration_samples
from edgekd.quantization.sensitivity import Row, sensitivity
from edgekd.quantization.simulate import Simulation
from edgekd.quantization.train import Quantized, calibrated, captured, normalisation, quantize, sensor_view
from edgekd.training import distributed
from edgekd.training.evaluate import scores

VERSION = 4

SENSITIVITY_SAMPLES = 128
NAMED_OPERATORS = 4  # how many operators a note names
BORDER_MATTERS, BORDER_SAMPLES = 0.02, 512
"""A padding offset that a note reports, in standard deviations (a pixel's step is about as much), and its samples."""


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write graph/ (int8), float/ (the float graph) and simulation.pt (the trained weights and ranges) to `out`.

    Where the graph's inputs are normalised otherwise than in training, units.json holds that normalisation.
    """
    splits, settings = Splits.load(folders["data"]), config.quantize
    model, _ = blueprint.load(folders["prune"] / "model")
    graph = captured(model, splits)
    samples = calibration_samples(splits, settings.calibration, config.seed)
    view, note = sensor_view(graph, samples, settings) if config.export.input == "raw" else (None, "")
    preparation = prepared(
        graph,
        normalisation(splits),
        view,
        equalise=settings.equalise,
        float_layers=settings.float_layers,
        int16_layers=settings.int16_layers,
    )
    channels = len(splits.mean)
    input_splits = replace(splits, mean=(view.mean,) * channels, std=(view.std,) * channels) if view else splits
    samples = replace(samples, splits=input_splits)
    kernels = kernels_for(settings.kernels, config.export.formats)
    if settings.method == "ptq":
        quantized = Quantized(calibrated(preparation.graph, samples, settings, kernels))
    else:
        answers = folders.get("answers")
        teacher = open_teacher(
            folders["teacher"], splits, settings.precision, answers=answers, combine=config.distill.combine
        )
        quantized = quantize(
            preparation.graph,
            input_splits,
            lambda batch: teacher(replace(batch, x=renormalise(batch.x, input_splits, splits))),
            response_loss(config.distill.losses, splits.task),
            settings,
            kernels=kernels,
            seed=config.seed,
            compute=config.compute,
            augment=config.data.augment,
            views=views_of(answers),
            checkpoint=out / "training.ckpt",
        )
    rows = _sensitivity(preparation.graph, samples, settings)
    if distributed.is_main():
        _save(out, preparation.graph, quantized.simulation, input_splits if view else None, rows)
    final_scores = distributed.from_main(lambda: scores(quantized.simulation, input_splits, title="quantize"))
    training, real = quantized.training, real_part(quantized.simulation.quantized_graph())
    return {
        **final_scores,
        "method": settings.method,
        "ptq": final_scores if settings.method == "ptq" else quantized.before,
        "kernels": quantized.simulation.kernels,
        "input": _input_facts(view, preparation),
        "equalised_pairs": preparation.equalised_pairs,
        "float_layers": list(preparation.float_layers),
        "int16_layers": list(preparation.int16_layers),
        "boundaries": real.boundaries,
        "sensitivity": {row.layer: round(row.sqnr_db, 1) for row in rows} or None,
        "trained": training is not None,
        "processes": training.processes if training else 1,
        "resumed_from": training.resumed_from if training else None,
        "notes": [
            *([note] if note else ()),
            *_border_note(graph, preparation, splits, input_splits),
            *_real_note(real),
            *(training.notes if training else ()),
        ],
    }


def _real_note(real: RealPart) -> list[str]:
    """Name the operators that compute in real numbers, and count the boundaries to the integer ones."""
    if not real.operators:
        return []
    names = [f"{op.name} ({type(op).__name__})" for op in real.operators[:NAMED_OPERATORS]]
    others = len(real.operators) - len(names)
    return [
        f"{real.boundaries} boundaries between codes and real values: {', '.join(names)}"
        + (f" and {others} other{'s' * (others > 1)}" if others else "")
    ]


def _sensitivity(graph: Graph, samples: Samples, settings: Quantize) -> tuple[Row, ...]:
    """Measure the sensitivity of the calibrated student, before any training has compensated for it."""
    if not settings.sensitivity:
        return ()
    simulation = calibrated(graph, samples, settings.model_copy(update={"correct_bias": False}))
    return sensitivity(simulation, samples.first(SENSITIVITY_SAMPLES))


def _save(out: Path, graph: Graph, simulation: Simulation, input_splits: Splits | None, rows: tuple[Row, ...]) -> None:
    files.save(graph, out / "float")
    files.save(simulation.quantized_graph(), out / "graph")
    torch.save(simulation.state_dict(), out / "simulation.pt")
    if input_splits is not None:
        input_splits.save_units(out)
    if rows:
        text = json.dumps([asdict(row) for row in rows], indent=1)
        (out / "sensitivity.json").write_text(text + "\n", encoding="utf-8")
    (out / "training.ckpt").unlink(missing_ok=True)


def _input_facts(view: inputs.View | None, preparation: Prepared) -> dict[str, Any]:
    if view is None:
        return {"takes": "normalised"}
    return {"takes": "raw", "step": view.step, "in_front": preparation.in_front, "border": preparation.border}


def _border_note(graph: Graph, preparation: Prepared, splits: Splits, input_splits: Splits) -> list[str]:
    """Describe how the float network's outputs change because padding stands for one mean of all channels."""
    if preparation.border < BORDER_MATTERS:
        return []
    x = splits.validation.x[:BORDER_SAMPLES]
    with torch.no_grad():
        before = Simulation(graph)(normalise(x, splits)).numpy()
        after = Simulation(preparation.graph)(normalise(x, input_splits)).numpy()
    change = splits.task.scoring.describe_change(before, after, f"{len(x)} validation samples")
    return [
        f"raw input: padding stands for the mean of all channels, up to {preparation.border:.2f} standard deviations "
        f"from a channel's own; in float, {change}"
    ]
