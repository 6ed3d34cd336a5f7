"""Every network of the catalog, in every runtime: how many codes differ from the integer reference in its mode.

python -m benchmarks.claims.exactness [--models NAME ...] [--trained FOLDER ...] [--inputs N] [--quick]

Every network is quantised by the ranges of its inputs, written as TFLite and ONNX, and run on at least 1,000 of them;
each layer's codes and the outputs are compared, and the simulation that training uses. Weights are random, with batch
norms that have seen inputs; --trained names folders with `model/` and `data/` (as benchmarks/peers leaves them), whose
test set is the input. Writes results/exactness.csv, a row for each network and runtime; exits with 1 on a mismatch.
"""

import argparse
import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, nn

from benchmarks.support.layer_comparison import BATCH, compare
from benchmarks.support.networks import LARGE_NETWORKS, NETWORKS, Network
from benchmarks.support.record import append
from edgekd.catalog.formats import FORMATS, format_module
from edgekd.catalog.runtimes import RUNTIMES, require
from edgekd.config import Quantize
from edgekd.data.batches import normalise
from edgekd.data.splits import Splits
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph, Kernels, Mode
from edgekd.nn import blueprint
from edgekd.quantization.islands import with_islands
from edgekd.quantization.simulate import Simulation
from edgekd.training.optimizer import optimizer_for

CALIBRATION = 256
STEP_ROUNDS = 5
QUICK_INPUTS, LARGE_INPUTS = 64, 16
TRAINING_KERNELS: dict[Mode, Kernels] = {
    "xnnpack": "xnnpack",
    "onnxruntime": "onnxruntime",
    "tflm": "tflm",
    "litert-reference": "tflm",
}
"""The kernels of the simulation for each mode of the reference; LiteRT's reference kernels are no training target."""

FILE_RUNTIMES = [name for name, row in RUNTIMES.items() if not FORMATS[row.format].int8_only]
"""C has a claim of its own (c_exactness.py)."""

DISTINCT = 0.5
"""The least share of distinct outputs among the inputs: a constant network would pass any comparison."""

IDENTICAL, STEPS = 0.9999, 1
"""The tolerances of the simulation: the share of identical outputs, and the largest difference in steps."""

WRITE_LIMIT_S, CAPTURE_LIMIT_S, STEP_LIMIT = 1.0, 10.0, 2.0


@dataclass(frozen=True)
class Subject:
    """A network with its inputs, and the kind of its weights."""

    name: str
    model: nn.Module
    calibration: Tensor
    inputs: Tensor
    weights: str

    @property
    def example(self) -> Any:
        """The example for `capture`: a shape, or a sample of tokens."""
        return tuple(self.inputs.shape[1:]) if self.inputs.is_floating_point() else self.inputs[0]


def subjects(arguments: argparse.Namespace) -> Iterator[Subject]:
    """Yield the networks of the command line."""
    for name, network in {**NETWORKS, **LARGE_NETWORKS}.items():
        if name in arguments.models:
            yield _untrained(name, network, LARGE_INPUTS if name in LARGE_NETWORKS else arguments.inputs)
    for folder in arguments.trained:
        splits = Splits.load(folder / "data")
        model, _ = blueprint.load(folder / "model")
        test, train = (normalise(part.x[: arguments.inputs], splits) for part in (splits.test, splits.train))
        yield Subject(folder.name, model.eval(), train[:CALIBRATION], test, "trained")


def _untrained(name: str, network: Network, count: int) -> Subject:
    calibration = network.inputs(min(CALIBRATION, count), seed=1)
    return Subject(name, network.with_statistics(), calibration, network.inputs(count, seed=2), "random, settled")


def seconds(action: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of an action, and its duration in seconds."""
    start = time.perf_counter()
    result = action()
    return result, time.perf_counter() - start


def step_ratio(model: nn.Module, graph: Graph, kernels: Kernels, calibration: Tensor) -> float:
    """Return the ratio of a training step of the simulation to one of the float network, by medians."""
    simulation = Simulation(graph, kernels)
    simulation.calibrate([calibration])
    simulation.fake_quantized = simulation.observing = True
    settings = Quantize()
    turns = [(network, optimizer_for(network, settings)) for network in (copy.deepcopy(model), simulation)]
    times: list[list[float]] = [[], []]
    for _ in range(STEP_ROUNDS + 1):
        for (network, optimizer), seconds_of_network in zip(turns, times, strict=True):
            step = partial(_step, network.train(), optimizer, calibration[: settings.batch_size])
            seconds_of_network.append(seconds(step)[1])
    float_s, simulated_s = (statistics.median(seconds_of_network[1:]) for seconds_of_network in times)
    return simulated_s / float_s


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    optimizer.zero_grad()
    network(x).square().mean().backward()
    optimizer.step()


SCALES = {"QuantizeLinear": 1, "DequantizeLinear": 1, "Resize": 2}
"""The index of the input with the scale, for each ONNX operator that has one."""


def float_tensors(file: bytes, form: str) -> int:
    """Count the float tensors in a file; in ONNX scales are not counted."""
    if form == "tflite":
        tensors = schema.ModelT.InitFromPackedBuf(file).subgraphs[0].tensors
        return sum(tensor.type == schema.TensorType.FLOAT32 for tensor in tensors)
    graph = onnx.load_from_string(file).graph
    scales = {node.input[SCALES[node.op_type]] for node in graph.node if node.op_type in SCALES}
    return sum(t.data_type == onnx.TensorProto.FLOAT and t.name not in scales for t in graph.initializer)


def show(subject: Subject, runtimes: list[str], folder: Path) -> list[str]:
    """Record a row for each runtime, and return the limits that are missed."""
    float_graph, capture_s = seconds(lambda: capture(subject.model, subject.example))
    graph, missed_limits = with_islands(float_graph), list[str]()
    ratios: dict[Kernels, float] = {}
    for name in runtimes:
        runtime = require(name)
        kernels = TRAINING_KERNELS[runtime.kernels]
        if kernels not in ratios:
            ratios[kernels] = step_ratio(subject.model, graph, kernels, subject.calibration)
        simulation = Simulation(graph, kernels).eval()
        simulation.calibrate(list(subject.calibration.split(BATCH)))
        simulation.fake_quantized = True
        int8 = simulation.quantized_graph()
        write = partial(format_module(runtime.format).write, int8, folder / f"timed.{runtime.format}")
        path, write_s = seconds(write)
        comparison = compare(runtime, simulation, int8, subject.inputs, folder)
        differing_layers = {layer: tally for layer, tally in comparison.layers.items() if tally.differing}
        row = {
            "model": subject.name,
            "weights": subject.weights,
            "runtime": name,
            "mode": runtime.kernels,
            "inputs": len(subject.inputs),
            "distinct_outputs": len(comparison.distinct),
            "layers": len(comparison.layers),
            "layers_differing": len(differing_layers),
            "layer_codes": sum(tally.codes for tally in comparison.layers.values()),
            "layer_codes_differing": sum(tally.differing for tally in differing_layers.values()),
            "layer_largest_steps": max((tally.steps for tally in differing_layers.values()), default=0),
            "first_layer_differing": next(iter(differing_layers), ""),
            "outputs": comparison.outputs.codes,
            "outputs_differing": comparison.outputs.differing,
            "simulation_identical": comparison.simulation.identical,
            "simulation_largest_steps": comparison.simulation.steps if comparison.simulation.codes else None,
            "float_tensors": float_tensors(path.read_bytes(), runtime.format),
            "size_bytes": path.stat().st_size,
            "capture_s": round(capture_s, 2),
            "write_s": round(write_s, 3),
            "qat_step_ratio": round(ratios[kernels], 2),
        }
        append("exactness", row)
        missed_limits += [f"{subject.name}, {name}: {what}" for what in failures(row)]
    return missed_limits


def failures(row: dict[str, Any]) -> list[str]:
    """Return the limits that a row misses."""
    identical, steps = row["simulation_identical"], row["simulation_largest_steps"]
    limits = {
        f"{row['layers_differing']} layers differ": row["layers_differing"],
        f"{row['outputs_differing']} outputs differ": row["outputs_differing"],
        f"only {row['distinct_outputs']} outputs are distinct": row["distinct_outputs"] < DISTINCT * row["inputs"],
        f"{identical} of the simulation's outputs are identical": identical is not None and identical < IDENTICAL,
        f"the simulation is {steps} steps off": steps is not None and steps > STEPS,
        f"written in {row['write_s']} s": row["write_s"] > WRITE_LIMIT_S,
        f"captured in {row['capture_s']} s": row["capture_s"] > CAPTURE_LIMIT_S,
        f"a QAT step takes {row['qat_step_ratio']} float steps": row["qat_step_ratio"] > STEP_LIMIT,
    }
    return [limit for limit, missed in limits.items() if missed]


def main() -> None:
    """Record a row for each network and runtime, and exit with 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", choices=[*NETWORKS, *LARGE_NETWORKS], metavar="NAME")
    parser.add_argument("--trained", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=FILE_RUNTIMES)
    parser.add_argument("--inputs", type=int, default=1024)
    parser.add_argument("--quick", action="store_true", help="64 inputs, and none of the networks for the clock")
    arguments = parser.parse_args()
    if arguments.models is None:
        arguments.models = [] if arguments.trained else [*NETWORKS, *([] if arguments.quick else LARGE_NETWORKS)]
    arguments.inputs = min(arguments.inputs, QUICK_INPUTS) if arguments.quick else arguments.inputs
    torch.set_num_threads(1)
    missed_limits = []
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects(arguments):
            missed_limits += show(subject, arguments.runtimes, Path(folder))
    if missed_limits:
        sys.exit("\n".join(missed_limits))


if __name__ == "__main__":
    main()
