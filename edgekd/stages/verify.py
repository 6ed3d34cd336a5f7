"""The verify stage: every form of the network against the one before it, on the whole test set.

Between the integer reference and a runtime no output may differ; the trained simulation may differ from the reference
by as little as `verify` says. Where a gate fails, the first layer that diverges is looked for and named.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgekd import catalog
from edgekd.config import Config, Verify
from edgekd.errors import ModelError
from edgekd.figures import Boundary, Figure, LayerDifference
from edgekd.graph import cost, files, integer
from edgekd.graph.simulate import Simulation
from edgekd.graph.structure import KERNELS, Array, Graph, Kernels
from edgekd.nn import blueprint
from edgekd.nn.batches import normalise
from edgekd.nn.evaluate import accuracy, logits
from edgekd.nn.progress import progress
from edgekd.nn.splits import Splits

VERSION = 1

ROUNDING = {
    "xnnpack": "integer accumulation, float32 rescaling half to even, fixed-point ADD",
    "onnxruntime": "integer accumulation, float32 rescaling half to even, ADD by float32 fused multiply-adds (x86)",
}
BATCH = 256
DIAGNOSED = 16
"""Samples on which the first diverging layer is looked for."""


@dataclass(frozen=True)
class Answers:
    """What one form of the network says on the test set: logits (N, classes), or int8 codes (N, classes)."""

    name: str
    values: Array
    kernels: str = ""


def compare(
    found: Answers, y: Array, against: Answers | None, *, tolerance: Verify | None = None, exact: bool = False
) -> Boundary:
    """One row of the parity table.

    Args:
        exact: no output may differ; with `tolerance`, so few and so little as it says.
    """
    samples = f"{len(y):,} test samples"
    right = Figure(value=accuracy(found.values, y), unit="%", origin="measured-host", source=samples)
    if against is None:
        return Boundary(name=found.name, accuracy=right, kernels=found.kernels)
    same_class = found.values.argmax(axis=1) == against.values.argmax(axis=1)
    agreement = Figure(value=float(100 * same_class.mean()), unit="%", origin="measured-host", source=samples)
    row = Boundary(name=found.name, accuracy=right, against=against.name, agreement=agreement, kernels=found.kernels)
    if found.values.dtype != np.int8 or against.values.dtype != np.int8:
        return row
    steps = np.abs(found.values.astype(np.int16) - against.values)
    differing, largest = int((steps > 0).sum()), int(steps.max())
    passed = None
    if exact:
        passed = differing == 0
    if tolerance is not None:
        few = differing <= (1 - tolerance.simulation_identical) * steps.size
        passed = few and largest <= tolerance.simulation_steps
    return row.model_copy(
        update={
            "outputs": int(steps.size),
            "differing": differing,
            "largest_steps": largest,
            "exact": exact or tolerance is not None,
            "passed": passed,
        }
    )


def verify(
    floats: list[Answers],
    simulation: Simulation,
    graph: Graph,
    exported: Mapping[str, Path],
    splits: Splits,
    settings: Verify,
) -> list[Boundary]:
    """The boundaries in order: the float networks, the simulation, the references and the runtimes.

    Args:
        floats: logits of the teacher and of the students, on the test set.
        exported: format -> int8 file.
    """
    y = np.asarray(splits.test.y)
    rows: list[Boundary] = []
    before: Answers | None = None
    for found in floats:
        rows.append(compare(found, y, before))
        before = found
    codes = np.concatenate([integer.quantize(x, graph.quantization(graph.input)) for x in _inputs(splits)])
    references = {kind: _reference(graph, codes, kind) for kind in exported}
    trained_to = next((kind for kind in exported if KERNELS[kind] == simulation.kernels), next(iter(exported)))
    simulated = Answers("simulation", _simulated(simulation, splits), f"torch, trained to {simulation.kernels}")
    row = compare(simulated, y, references[trained_to], tolerance=settings)
    if not row.passed:
        row = row.model_copy(update={"first_difference": _first_in_simulation(simulation, graph, splits, codes)})
    rows.append(row)
    rows.append(_must_vary(compare(references[trained_to], y, before), references[trained_to].values))
    rows += [compare(references[kind], y, references[trained_to]) for kind in exported if kind != trained_to]
    for kind, path in exported.items():
        answers = Answers(kind, *_ran(kind, path, codes))
        row = compare(answers, y, references[kind], exact=True)
        if not row.passed:
            row = row.model_copy(
                update={"first_difference": _first_in_file(kind, graph, codes, answers, references[kind])}
            )
        rows.append(row)
    return rows


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves boundaries.json; `passed` says whether every gate held."""
    splits = Splits.load(read["data"])
    floats = []
    for name, stage in (("teacher", "teacher"), ("distilled", "distill"), ("pruned", "prune")):
        model, _ = blueprint.load(read[stage] / "model")
        floats.append(Answers(name, logits(model, splits.test, splits, title=f"verify: {name}"), "torch, float32"))
    rows = verify(
        floats,
        _simulation(read["quantize"], KERNELS[config.export.formats[0]]),
        files.load(read["quantize"] / "graph"),
        {kind: read["export"] / f"model.{kind}" for kind in config.export.formats},
        splits,
        config.verify,
    )
    text = json.dumps([row.model_dump(mode="json") for row in rows], indent=1)
    (out / "boundaries.json").write_text(text + "\n", encoding="utf-8")
    return {"passed": all(row.passed is not False for row in rows)}


def _simulation(artifact: Path, kernels: Kernels) -> Simulation:
    """The simulation as it was trained: float weights and ranges, not the codes that were made of them."""
    simulation = Simulation(files.load(artifact / "float"), kernels)
    simulation.load_state_dict(torch.load(artifact / "simulation.pt", weights_only=True))
    simulation.fake_quantized = True
    return simulation.eval()


def _inputs(splits: Splits) -> Iterator[Array]:
    """The test set, normalised, in batches."""
    for start in range(0, len(splits.test), BATCH):
        yield normalise(splits.test.x[start : start + BATCH], splits).numpy()


@torch.no_grad()
def _simulated(simulation: Simulation, splits: Splits) -> Array:
    parts = []
    with progress("verify: simulation", len(splits.test)) as advance:
        for x in _inputs(splits):
            parts.append(simulation.trace_codes(torch.from_numpy(x))[simulation.graph.output].numpy().astype(np.int8))
            advance(len(x), "")
    return np.concatenate(parts)


def _reference(graph: Graph, codes: Array, kind: str) -> Answers:
    kernels = KERNELS[kind]
    parts = []
    with progress(f"verify: integer reference ({kind})", len(codes)) as advance:
        for start in range(0, len(codes), BATCH):
            parts.append(integer.run(graph, codes[start : start + BATCH], kernels=kernels))
            advance(len(parts[-1]), "")
    return Answers(f"reference ({kind})", np.concatenate(parts), f"NumPy, as {kernels}: {ROUNDING[kernels]}")


def _must_vary(row: Boundary, codes: Array) -> Boundary:
    """A network that says the same to everything passes any comparison, so it fails here."""
    varies = bool((codes != codes[0]).any())
    return row.model_copy(update={"exact": True, "passed": varies})


def _ran(kind: str, path: Path, codes: Array) -> tuple[Array, str]:
    """(int8 codes in torch's order, kernels) of a file on int8 input codes (N, *input shape)."""
    runner = catalog.load("runner", kind)(path)
    parts = []
    with progress(f"verify: {kind}", len(codes)) as advance:
        for start in range(0, len(codes), BATCH):
            parts.append(_as_int8(runner.run(_as_file_takes(codes[start : start + BATCH], kind))))
            advance(len(parts[-1]), "")
    return np.concatenate(parts), runner.kernels


def _as_file_takes(codes: Array, kind: str) -> Array:
    """TFLite takes channels last, ONNX uint8."""
    if kind == "onnx":
        return (codes.astype(np.int16) + 128).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(codes, 1, -1)) if codes.ndim == 4 else codes


def _as_int8(codes: Array) -> Array:
    return (codes.astype(np.int16) - 128).astype(np.int8) if codes.dtype == np.uint8 else codes


def _first_in_file(
    kind: str, graph: Graph, codes: Array, answers: Answers, reference: Answers
) -> LayerDifference | None:
    """The first layer at which the runtime leaves the reference: the graph up to each is written and run by itself."""
    differs = np.flatnonzero((answers.values != reference.values).any(axis=1))[:DIAGNOSED]
    values = dict(integer.trace(graph, codes[differs], kernels=KERNELS[kind]))
    with tempfile.TemporaryDirectory() as folder:

        def layer(name: str) -> Array:
            path = catalog.load("exporter", kind)(graph.until(name), Path(folder) / f"part.{kind}")
            found, _ = _ran(kind, path, codes[differs])
            return np.moveaxis(found, -1, 1) if kind == "tflite" and found.ndim == 4 else found

        return _first(graph, values, layer)


def _first_in_simulation(simulation: Simulation, graph: Graph, splits: Splits, codes: Array) -> LayerDifference | None:
    values = dict(integer.trace(graph, codes[:BATCH], kernels=simulation.kernels))
    with torch.no_grad():
        found = simulation.trace_codes(torch.from_numpy(next(_inputs(splits))))
    return _first(graph, values, lambda name: found[name].numpy().astype(np.int8))


def _first(graph: Graph, values: Mapping[str, Array], layer: Callable[[str], Array]) -> LayerDifference | None:
    for op in graph.operators:
        try:
            steps = np.abs(layer(op.output).astype(np.int16) - values[op.output])
        except ModelError:  # a part that is no network of its own says nothing
            continue
        if steps.any():
            return LayerDifference(
                layer=op.name,
                operator=cost.describe(op),
                differing=int((steps > 0).sum()),
                outputs=int(steps.size),
                largest_steps=int(steps.max()),
            )
    return None
