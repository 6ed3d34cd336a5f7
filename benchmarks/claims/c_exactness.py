"""Counts for every network of the catalog the codes in which its C differs from the reference and TFLite Micro.

python -m benchmarks.claims.c_exactness [--models NAME ...] [--inputs N] [--quick]

Every network is quantised by the ranges of its inputs in both roundings, written as C and TFLite, compiled by this
machine's C compiler and run on at least 1,000 varied inputs. Each layer's codes and the outputs are compared with the
reference. The outputs in TFLite Micro's rounding are also compared with TFLite Micro. Weights are random, and batch
norms have the statistics of random inputs. The script compares the arena with the memory plan, and records the size of
the constants and of the TFLite file. It writes results/c_exactness.csv, a row for each network and rounding, and exits
with 1 on a mismatch.
"""

import argparse
import importlib.util
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.claims.exactness import CALIBRATION, DISTINCT, QUICK_INPUTS, seconds
from benchmarks.support.layer_comparison import BATCH, compare
from benchmarks.support.networks import NETWORKS, FromCatalog, Network
from benchmarks.support.record import append
from edgekd.catalog.runtimes import RUNTIMES, require
from edgekd.formats import c, tflite
from edgekd.graph import plan, reference
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph, Kernels
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.c import CRunner, read_macros
from edgekd.runtimes.parity import Session

ROUNDINGS: tuple[Kernels, ...] = ("tflm", "xnnpack")
SUBJECTS = {"mlp": Network((1, 8, 8), FromCatalog("mlp", (1, 8, 8))), **NETWORKS}
WRITE_LIMIT_S = 2.0


def show(name: str, network: Network, count: int, folder: Path, keep: bool) -> list[str]:
    """Append a row for each rounding, and return a line for each mark that is missed."""
    model, misses = network.lived_in(), list[str]()
    calibration, inputs = network.inputs(min(CALIBRATION, count), seed=1), network.inputs(count, seed=2)
    for kernels in ROUNDINGS:
        simulation, graph = _quantize(model, calibration, kernels)
        path, write_s = seconds(partial(c.write, graph, folder / "model.c", kernels=kernels))
        _, compile_s = seconds(partial(CRunner, path))
        comparison = compare(require("c").trained_to(kernels), simulation, graph, inputs, folder)
        macros = read_macros(path)
        row: dict[str, Any] = {
            "model": name,
            "weights": "random, settled",
            "rounding": kernels,
            "inputs": len(inputs),
            "distinct_outputs": len(comparison.distinct),
            "layers": len(comparison.layers),
            "layer_codes": sum(tally.codes for tally in comparison.layers.values()),
            "layer_codes_differing": sum(tally.differing for tally in comparison.layers.values()),
            "outputs": comparison.outputs.codes,
            "outputs_differing": comparison.outputs.differing,
            "tflm_outputs_differing": _against_tflm(graph, inputs, folder) if kernels == "tflm" else None,
            "arena_bytes": int(macros["ARENA_BYTES"]),
            "plan_bytes": plan.peak_ram_bytes(graph),
            "constant_bytes": int(macros["CONSTANT_BYTES"]),
            "tflite_bytes": len(tflite.serialize(graph)),
            "write_s": round(write_s, 3),
            "compile_s": round(compile_s, 2),
            "compiler": CRunner(path).kernels,
        }
        append("c_exactness", row, keep=keep)
        misses += [f"{name}, {kernels}: {what}" for what in failures(row)]
    return misses


def _quantize(model: nn.Module, calibration: Tensor, kernels: Kernels) -> tuple[Simulation, Graph]:
    example: Any = tuple(calibration.shape[1:]) if calibration.is_floating_point() else calibration[0]
    simulation = Simulation(capture(model, example), kernels).eval()
    simulation.calibrate(list(calibration.split(BATCH)))
    simulation.fake_quantized = True
    return simulation, simulation.quantized_graph()


def _against_tflm(graph: Graph, inputs: Tensor, folder: Path) -> int | None:
    """Count the outputs in which the C file and TFLite Micro differ; None if TFLite Micro is not installed."""
    runtime = RUNTIMES["tflite-micro"]
    if importlib.util.find_spec(runtime.package) is None:
        return None
    codes = reference.input_codes(graph, graph.input, inputs.numpy())
    session = Session(runtime, tflite.write(graph, folder / "model.tflite"))
    c_session = Session(RUNTIMES["c"], folder / "model.c")
    return sum(int((a != b).sum()) for a, b in zip(session.run(codes), c_session.run(codes), strict=True))


def failures(row: dict[str, Any]) -> list[str]:
    """Return a line for each mark that a row misses."""
    marks = {
        f"{row['layer_codes_differing']} codes of layers differ": row["layer_codes_differing"],
        f"{row['outputs_differing']} outputs differ": row["outputs_differing"],
        f"{row['tflm_outputs_differing']} outputs differ from TFLite Micro's": row["tflm_outputs_differing"],
        f"only {row['distinct_outputs']} outputs are distinct": row["distinct_outputs"] < DISTINCT * row["inputs"],
        f"the arena of {row['arena_bytes']} B is larger than planned": row["arena_bytes"] > row["plan_bytes"],
        f"written in {row['write_s']} s": row["write_s"] > WRITE_LIMIT_S,
    }
    return [mark for mark, is_missed in marks.items() if is_missed]


def main() -> None:
    """Measure each network in each rounding; exit with 1 if a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), metavar="NAME")
    parser.add_argument("--inputs", type=int, default=1024)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_INPUTS} inputs; no row is kept")
    settings = parser.parse_args()
    count = min(settings.inputs, QUICK_INPUTS) if settings.quick else settings.inputs
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        misses = [
            mark
            for name in settings.models
            for mark in show(name, SUBJECTS[name], count, Path(folder), keep=not settings.quick)
        ]
    if misses:
        sys.exit("\n".join(misses))


if __name__ == "__main__":
    main()
