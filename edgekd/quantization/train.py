"""Quantises the student's captured graph: calibration, then quantisation-aware training under the teacher.

Training computes what is exported: the simulation has the integer codes, int32 biases and rescaling of the kernels that
the file will run under. Batch norm is folded before, so training sees the exported weights. Without training ("ptq")
the calibrated simulation is exported.
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
    """A quantised graph and how it was trained.

    Attributes:
        simulation: the simulation after training, or after calibration where there is no training.
        training: the result of the training; None where there is none.
        before: the `scores` of the calibrated simulation before training; None without `settings.baseline`.
    """

    simulation: Simulation
    training: FitResult | None = None
    before: dict[str, float] | None = None


def calibrated(graph: Graph, samples: Samples, settings: Quantize, kernels: Kernels = "xnnpack") -> Simulation:
    """The fake-quantised simulation of a float graph, with calibrated ranges and corrected biases."""
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

    Ranges follow the activations for the share `settings.observe` of the epochs and are fixed from then on, so that the
    weights can adapt to them. The state after the last epoch is used.

    Args:
        splits: the data, whose normalisation is that of the graph's inputs.
        teacher: its batches have the same normalisation.
        views: the augmented views for which the teacher's answers are stored.
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
    """The model's float graph, after a check that it computes what the model computes on validation samples.

    Raises:
        ModelError: the outputs differ by more than CAPTURE_TOLERANCE.
    """
    graph = capture(model, splits.example)
    x = normalise(splits.validation.x[:BATCH], splits)
    with torch.no_grad():
        expected, actual = model.eval()(x), Simulation(graph)(x)
    difference = float((expected - actual).abs().max() / expected.abs().max().clamp_min(1e-6))
    if difference > CAPTURE_TOLERANCE:
        raise ModelError(
            f"the captured graph differs from the student by {difference:.2g} of its largest logit",
            "make its forward the same for every batch size and free of randomness in evaluation mode",
        )
    return graph


def normalisation(splits: Splits) -> inputs.Normalisation:
    """The normalisation of inputs in training."""
    return inputs.Normalisation(splits.scale, splits.mean, splits.std)


def sensor_view(graph: Graph, samples: Samples, settings: Quantize) -> tuple[inputs.View | None, str]:
    """The view of raw sensor values for the graph's input and "", or None and the reason why it stays normalised."""
    splits = samples.splits
    if len(graph.inputs) != 1 or graph.tensors[graph.input].kind == "index":
        return None, ""
    training = normalisation(splits)
    if splits.train.x.dtype == np.uint8:
        return inputs.of_pixels(training), ""
    raw = torch.from_numpy(samples.raw().astype(np.float32))
    observations = [("raw", raw), ("normalised", normalise(raw, splits))]
    ranges = calibration.ranges(lambda: observations, settings.calibrate, settings.percentile)
    view = inputs.of_samples(training, *ranges["raw"])
    if inputs.resolves(view, training, *ranges["normalised"]):
        return view, ""
    return None, (
        f"the input stays normalised: its channels differ too much for one step of raw values, {view.step:.3g}, "
        f"beside a standard deviation of {min(splits.std):.3g}"
    )
