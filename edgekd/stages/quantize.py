"""The quantize stage: the pruned student becomes the quantised graph, and that graph is trained under the teacher."""

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
SHOWN = 4  # operators that a note names one by one
BORDER_MATTERS, BORDER_SAMPLES = 0.02, 512
"""Standard deviations; a pixel is about as much. The samples are for the note that says what it matters."""


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves graph/ (int8), float/ (the float graph) and simulation.pt, the trained weights and ranges.

    Where the graph's inputs are normalised otherwise than in training, units.json says how.
    """
    splits, settings = Splits.load(read["data"]), config.quantize
    model, _ = blueprint.load(read["prune"] / "model")
    graph = captured(model, splits)
    samples = calibration_samples(splits, settings.calibration, config.seed)
    view, note = sensor_view(graph, samples, settings) if config.export.input == "raw" else (None, "")
    ready = prepared(
        graph,
        normalisation(splits),
        view,
        equalise=settings.equalise,
        float_layers=settings.float_layers,
        int16_layers=settings.int16_layers,
    )
    channels = len(splits.mean)
    seen = replace(splits, mean=(view.mean,) * channels, std=(view.std,) * channels) if view else splits
    samples = replace(samples, splits=seen)
    kernels = kernels_for(settings.kernels, config.export.formats)
    if settings.method == "ptq":
        found = Quantized(calibrated(ready.graph, samples, settings, kernels))
    else:
        answers = read.get("answers")
        teacher = open_teacher(
            read["teacher"], splits, settings.precision, answers=answers, combine=config.distill.combine
        )
        found = quantize(
            ready.graph,
            seen,
            lambda batch: teacher(replace(batch, x=renormalise(batch.x, seen, splits))),
            response_loss(config.distill.losses, splits.task),
            settings,
            kernels=kernels,
            seed=config.seed,
            compute=config.compute,
            augment=config.data.augment,
            views=views_of(answers),
            checkpoint=out / "training.ckpt",
        )
    rows = _sensitivity(ready.graph, samples, settings)
    if distributed.is_main():
        _keep(out, ready.graph, found.simulation, seen if view else None, rows)
    reached = distributed.from_main(lambda: scores(found.simulation, seen, title="quantize"))
    training, real = found.training, real_part(found.simulation.quantized_graph())
    return {
        **reached,
        "method": settings.method,
        "ptq": reached if settings.method == "ptq" else found.before,
        "kernels": found.simulation.kernels,
        "input": _input_facts(view, ready),
        "equalised_pairs": ready.equalised_pairs,
        "float_layers": list(ready.float_layers),
        "int16_layers": list(ready.int16_layers),
        "boundaries": real.boundaries,
        "sensitivity": {row.layer: round(row.sqnr_db, 1) for row in rows} or None,
        "trained": training is not None,
        "processes": training.processes if training else 1,
        "resumed_from": training.resumed_from if training else None,
        "notes": [
            *([note] if note else ()),
            *_border_note(graph, ready, splits, seen),
            *_real_note(real),
            *(training.notes if training else ()),
        ],
    }


def _real_note(real: RealPart) -> list[str]:
    """Which operators leave the integers, and how often."""
    if not real.operators:
        return []
    shown = [f"{op.name} ({type(op).__name__})" for op in real.operators[:SHOWN]]
    others = len(real.operators) - len(shown)
    return [
        f"{real.boundaries} boundaries between codes and real values: {', '.join(shown)}"
        + (f" and {others} other{'s' * (others > 1)}" if others else "")
    ]


def _sensitivity(graph: Graph, samples: Samples, settings: Quantize) -> tuple[Row, ...]:
    """Of the calibrated student, before any training: what training has to make up for."""
    if not settings.sensitivity:
        return ()
    simulation = calibrated(graph, samples, settings.model_copy(update={"correct_bias": False}))
    return sensitivity(simulation, samples.first(SENSITIVITY_SAMPLES))


def _keep(out: Path, graph: Graph, simulation: Simulation, seen: Splits | None, rows: tuple[Row, ...]) -> None:
    files.save(graph, out / "float")
    files.save(simulation.quantized_graph(), out / "graph")
    torch.save(simulation.state_dict(), out / "simulation.pt")
    if seen is not None:
        seen.save_units(out)
    if rows:
        text = json.dumps([asdict(row) for row in rows], indent=1)
        (out / "sensitivity.json").write_text(text + "\n", encoding="utf-8")
    (out / "training.ckpt").unlink(missing_ok=True)


def _input_facts(view: inputs.View | None, ready: Prepared) -> dict[str, Any]:
    if view is None:
        return {"takes": "normalised"}
    return {"takes": "raw", "step": view.step, "in_front": ready.in_front, "border": ready.border}


def _border_note(graph: Graph, ready: Prepared, splits: Splits, seen: Splits) -> list[str]:
    """What it does to the float network that padding stands for one mean of all channels."""
    if ready.border < BORDER_MATTERS:
        return []
    x = splits.validation.x[:BORDER_SAMPLES]
    with torch.no_grad():
        before = Simulation(graph)(normalise(x, splits)).numpy()
        after = Simulation(ready.graph)(normalise(x, seen)).numpy()
    changed = splits.task.scoring.describe_change(before, after, f"{len(x)} validation samples")
    return [
        f"raw input: padding stands for the mean of all channels, up to {ready.border:.2f} standard deviations from "
        f"a channel's own; in float, {changed}"
    ]
