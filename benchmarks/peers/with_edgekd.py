"""edgekd itself, by the functions of its stages, with normalised inputs like those of the peers' files."""

from pathlib import Path

from torch import nn

from benchmarks.peers.job import Conversion, Job, in_torch
from edgekd.catalog.formats import FORMATS
from edgekd.config import Compute
from edgekd.data.splits import Splits
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import network_teacher
from edgekd.formats.metadata import Preprocessing
from edgekd.quantization.prepare import prepared
from edgekd.quantization.samples import calibration_samples
from edgekd.quantization.train import calibrated, captured, normalisation, quantize
from edgekd.stages.export import export


def convert(job: Job) -> Conversion:
    """Capture, train ("qat") or calibrate alone ("ptq"), and write."""
    model, splits, kernels = job.student(), job.splits, FORMATS[job.format].kernels
    with job.clock.converting():
        graph = prepared(captured(model, splits), normalisation(splits)).graph
    if job.mode == "qat":
        with job.clock.training():
            simulation = quantize(
                graph, splits, network_teacher(job.student()), SoftTargets(), job.quantize,
                kernels=kernels, seed=job.seed, compute=Compute(), augment=job.augment,
            ).simulation  # fmt: skip
    else:
        with job.clock.converting():
            samples = calibration_samples(splits, job.quantize.calibration, job.seed)
            simulation = calibrated(graph, samples, job.quantize, kernels)
    with job.clock.converting():
        [file] = export(simulation.quantized_graph(), job.out, "model", (job.format,), splits, _inputs(splits))
    return Conversion(file, in_torch(simulation.eval(), 64), f"simulated in {kernels}'s arithmetic")


def write_float(model: nn.Module, splits: Splits, path: Path) -> None:
    """Write the float network with edgekd, for tools that start from a file."""
    graph, kind = captured(model, splits), path.suffix.removeprefix(".")
    export(graph, path.parent, path.stem, (kind,), splits, _inputs(splits))


def _inputs(splits: Splits) -> Preprocessing:
    return Preprocessing(splits.scale, splits.mean, splits.std)
