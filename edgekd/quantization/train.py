"""The student's captured graph in integers: calibrated, and trained under the teacher.

What is trained is what is shipped: the simulation computes with the integer codes, int32 biases and rescaling of the
kernels that it will run under. Batch norm is folded before, so training sees the weights that ship. Without
training ("ptq"), what was calibrated is shipped in the same way.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgekd.config import Augment, Compute, Quantize
from edgekd.data.batches import Batch, Views, normalise
from edgekd.data.splits import Splits
from edgekd.distillation.run import Teacher
from edgekd.errors import ModelError
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph, Kernels
from edgekd.nn.outputs import answer
from edgekd.quantization import calibration, inputs
from edgekd.quantization.bias_correction import affordable, correct_biases
from edgekd.quantization.samples import BATCH, Samples, calibration_samples
from edgekd.quantization.simulate import Simulation
from edgekd.training import distributed
from edgekd.training.evaluate import scores
from edgekd.training.fit import FitResult, fit

CAPTURE_TOLERANCE = 1e-3
"""Largest difference between model and captured graph, as a share of the largest logit; float32 rounding is below."""


@dataclass(frozen=True)
class Quantized:
    """Attributes:
    simulation: trained, or calibrated alone.
    training: how that went; None without one.
    before: what `scores` says of the calibrated simulation before training; None where nobody asked.
    """

    simulation: Simulation
    training: FitResult | None = None
    before: dict[str, float] | None = None


def calibrated(graph: Graph, samples: Samples, settings: Quantize, kernels: Kernels = "xnnpack") -> Simulation:
    """The fake-quantised simulation of a float graph: ranges by its activations, biases corrected by them."""
    simulation = Simulation(graph, kernels).eval()
    simulation.calibrate(samples, settings.calibrate, settings.percentile)
    simulation.fake_quantized = True
    if settings.correct_bias:
        correct_biases(simulation, samples.first(affordable(simulation)))
    return simulation


def quantize(
    graph: Graph,
    splits: Splits,
    teacher: Teacher,
    loss: nn.Module,
    settings: Quantize,
    *,
    kernels: Kernels = "xnnpack",
    seed: int,
    compute: Compute,
    augment: Augment | None = None,
    views: Views | None = None,
    checkpoint: Path | None = None,
) -> Quantized:
    """Calibrate the float graph on training samples, then train it with the deployed arithmetic.

    Ranges follow the activations for the first `settings.observe` of the epochs and then stand still, so that the
    weights can settle on them. The state after the last epoch is used.

    Args:
        splits: normalised as the graph takes its inputs.
        teacher: it is given batches that are normalised so too.
        views: those that its answers are stored for.
    """
    simulation = calibrated(graph, calibration_samples(splits, settings.calibration, seed), settings, kernels)
    before = None
    if settings.baseline:
        before = distributed.from_main(lambda: scores(simulation, splits, title="quantize: before training"))

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
        views=views,
        checkpoint=checkpoint,
        title="quantize: training",
        on_epoch=observe,
    )
    simulation.observing = False
    return Quantized(simulation.eval(), training, before)


def captured(model: nn.Module, splits: Splits) -> Graph:
    """The model's float graph, proved to compute what the model computes on validation samples."""
    graph = capture(model, splits.example)
    x = normalise(splits.validation.x[:BATCH], splits)
    with torch.no_grad():
        wanted, found = model.eval()(x), Simulation(graph)(x)
    difference = float((wanted - found).abs().max() / wanted.abs().max().clamp_min(1e-6))
    if difference > CAPTURE_TOLERANCE:
        raise ModelError(
            f"the captured graph differs from the student by {difference:.2g} of its largest logit",
            "make its forward the same for every batch size and free of randomness in evaluation mode",
        )
    return graph


def normalisation(splits: Splits) -> inputs.Normalisation:
    """What training does to inputs."""
    return inputs.Normalisation(splits.scale, splits.mean, splits.std)


def sensor_view(graph: Graph, samples: Samples, settings: Quantize) -> tuple[inputs.View | None, str]:
    """How the graph can take its input as the sensor gives it, or None and why it had better not."""
    splits = samples.splits
    if len(graph.inputs) != 1 or graph.tensors[graph.input].kind == "index":
        return None, ""
    trained = normalisation(splits)
    if splits.train.x.dtype == np.uint8:
        return inputs.of_pixels(trained), ""
    raw = torch.from_numpy(samples.raw().astype(np.float32))
    seen = [("raw", raw), ("normalised", normalise(raw, splits))]
    found = calibration.ranges(lambda: seen, settings.calibrate, settings.percentile)
    view = inputs.of_samples(trained, *found["raw"])
    if inputs.resolves(view, trained, *found["normalised"]):
        return view, ""
    return None, (
        f"the input stays normalised: its channels differ too much for one step of raw values, {view.step:.3g}, "
        f"beside a standard deviation of {min(splits.std):.3g}"
    )
