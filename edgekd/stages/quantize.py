"""The quantize stage: the pruned student becomes the quantised graph, and that graph is trained under the teacher.

What is trained is what is shipped: the simulation computes with the integer codes, int32 biases and float32 rescaling
of the runtime whose format is exported first. Batch norm is folded before, so training sees the weights that ship.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd.config import Augment, Compute, Config, Quantize
from edgekd.errors import ModelError
from edgekd.graph import files
from edgekd.graph.capture import capture
from edgekd.graph.simulate import Simulation
from edgekd.graph.structure import KERNELS, Graph, Kernels
from edgekd.losses.total import total_loss
from edgekd.nn import blueprint, processes
from edgekd.nn.batches import Batch, epoch_order, normalise
from edgekd.nn.evaluate import accuracies
from edgekd.nn.fit import FitResult, fit
from edgekd.nn.outputs import Outputs, answer
from edgekd.nn.splits import Splits
from edgekd.teachers.frozen import open_teacher

VERSION = 1

CALIBRATION_BATCH = 64
CAPTURE_TOLERANCE = 1e-3
"""Largest difference between model and captured graph, as a share of the largest logit; float32 rounding is below."""


@dataclass(frozen=True)
class Quantized:
    """The trained simulation, and how its training went."""

    simulation: Simulation
    training: FitResult


def quantize(
    graph: Graph,
    splits: Splits,
    teacher: Callable[[Batch], Outputs],
    loss: nn.Module,
    settings: Quantize,
    *,
    kernels: Kernels = "xnnpack",
    seed: int,
    compute: Compute,
    augment: Augment | None = None,
    checkpoint: Path | None = None,
) -> Quantized:
    """Calibrate the float graph's ranges on training samples, then train it with the deployed arithmetic.

    Ranges follow the activations for the first `settings.observe` of the epochs and then stand still, so that the
    weights can settle on them. The state after the last epoch is used.
    """
    simulation = Simulation(graph, kernels)
    chosen = np.sort(epoch_order(len(splits.train), seed, 0)[: settings.calibration])
    parts = np.array_split(chosen, max(1, len(chosen) // CALIBRATION_BATCH))
    simulation.calibrate([normalise(splits.train.x[part], splits) for part in parts])
    simulation.fake_quantized = True

    def observe(module: nn.Module, epoch: int) -> None:
        simulation.observing = epoch < settings.observe * settings.epochs

    def step(module: nn.Module, batch: Batch) -> torch.Tensor:
        value: torch.Tensor = module["loss"](answer(module["student"], batch.x), teacher(batch), batch.y)  # type: ignore[index]
        return value

    training = fit(
        nn.ModuleDict({"student": simulation, "loss": loss}),
        step,
        splits,
        settings.model_copy(update={"precision": "32"}),  # codes are exact in float32, not in bf16
        seed=seed,
        compute=compute,
        augment=augment,
        checkpoint=checkpoint,
        title="quantize: training",
        on_epoch=observe,
    )
    simulation.observing = False
    return Quantized(simulation.eval(), training)


def captured(model: nn.Module, splits: Splits) -> Graph:
    """The model's float graph, proved to compute what the model computes on validation samples."""
    graph = capture(model, splits.input_shape)
    x = normalise(splits.validation.x[:CALIBRATION_BATCH], splits)
    with torch.no_grad():
        wanted, found = model.eval()(x), Simulation(graph)(x)
    difference = float((wanted - found).abs().max() / wanted.abs().max().clamp_min(1e-6))
    if difference > CAPTURE_TOLERANCE:
        raise ModelError(
            f"the captured graph differs from the student by {difference:.2g} of its largest logit",
            "make its forward the same for every batch size and free of randomness in evaluation mode",
        )
    return graph


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves graph/ (int8), float/ (the float graph) and simulation.pt, the trained weights and ranges."""
    splits = Splits.load(read["data"])
    model, _ = blueprint.load(read["prune"] / "model")
    graph = captured(model, splits)
    checkpoint = out / "training.ckpt"
    found = quantize(
        graph,
        splits,
        open_teacher(read["teacher"], splits, config.quantize.precision),
        total_loss(config.distill.losses),
        config.quantize,
        kernels=KERNELS[config.export.formats[0]],
        seed=config.seed,
        compute=config.compute,
        augment=config.data.augment,
        checkpoint=checkpoint,
    )
    if processes.is_main():
        files.save(graph, out / "float")
        files.save(found.simulation.quantized_graph(), out / "graph")
        torch.save(found.simulation.state_dict(), out / "simulation.pt")
        checkpoint.unlink(missing_ok=True)
    return {
        **processes.from_main(lambda: accuracies(found.simulation, splits, title="quantize")),
        "kernels": found.simulation.kernels,
        "processes": found.training.processes,
        "resumed_from": found.training.resumed_from,
        "notes": list(found.training.notes),
    }
