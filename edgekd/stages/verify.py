"""The verify stage: every form of the network against the one before it, on the whole test set.

Between the integer reference and a runtime no output may differ; the trained simulation may differ from the reference
by as little as `verify` says. Each runtime is held against the reference in its own mode, layer by layer too, and a
layer that diverges is named.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgekd.catalog.formats import kernels_for
from edgekd.catalog.forms import DISTILLED, INT8, PRUNED, TEACHER
from edgekd.catalog.runtimes import ROUNDINGS, Runtime, require_for
from edgekd.config import Config, Verify
from edgekd.data.batches import normalise
from edgekd.data.splits import Splits
from edgekd.distillation.teachers.load import answers_on
from edgekd.graph import files, reference
from edgekd.graph.ops import Dequantize
from edgekd.graph.structure import Array, Graph, Kernels, Mode, Quantization
from edgekd.nn import blueprint
from edgekd.quantization.simulate import Simulation
from edgekd.results import Boundary
from edgekd.runtimes.parity import Session, codes_of_operators, differences, layers
from edgekd.tasks.spread import host_quantity
from edgekd.training.evaluate import answers_of
from edgekd.training.progress import progress

VERSION = 4

BATCH = 256


@dataclass(frozen=True)
class Answers:
    """What one form of the network says on the test set.

    Attributes:
        values: (N, *answer shape), real numbers, or integer codes.
        scale: how codes become real numbers; None where they are real.
    """

    name: str
    values: Array
    kernels: str = ""
    scale: Quantization | None = None

    @property
    def real(self) -> Array:
        """The answers in real numbers."""
        if self.scale is None:
            return self.values
        real: Array = (self.values.astype(np.float64) - self.scale.zero_point) * self.scale.scale
        return real


@dataclass(frozen=True)
class Gate:
    """At least this share of outputs is identical, and none is further off than so many steps."""

    identical: float = 1.0
    steps: int = 0


EXACT = Gate()


def compare(found: Answers, splits: Splits, against: Answers | None, gate: Gate | None = None) -> Boundary:
    """One row of the parity table; without a gate it only counts."""
    task, samples = splits.task, f"{len(splits.test):,} test samples"
    score = task.quantity(task.scoring.score(found.real, np.asarray(splits.test.y)), samples)
    if against is None:
        return Boundary(name=found.name, score=score, kernels=found.kernels)
    agreement = host_quantity(task.scoring.agreement(found.real, against.real), task.words.agreement_unit, samples)
    row = Boundary(name=found.name, score=score, against=against.name, agreement=agreement, kernels=found.kernels)
    if not (np.issubdtype(found.values.dtype, np.integer) and np.issubdtype(against.values.dtype, np.integer)):
        return row
    steps = np.abs(found.values.astype(np.int32) - against.values)
    differing, largest = int((steps > 0).sum()), int(steps.max())
    counted = {"outputs": int(steps.size), "differing": differing, "largest_steps": largest}
    if gate is not None:
        few = differing <= (1 - gate.identical) * steps.size
        counted |= {"exact": True, "passed": few and largest <= gate.steps}
    return row.model_copy(update=counted)


def verify(
    floats: list[Answers],
    simulation: Simulation,
    graph: Graph,
    exported: Mapping[str, Path],
    splits: Splits,
    settings: Verify,
) -> list[Boundary]:
    """The boundaries in order: the float networks, the simulation, the references and the runtimes.

    Layers that are kept in float sum up in an order that each runtime chooses for itself: then the gate of the runtimes
    is the one that `settings` has for such networks.

    Args:
        floats: answers of the teacher and of the students, on the test set.
        exported: format -> int8 file.

    Raises:
        MissingExtraError: a runtime of `settings.runtimes` is not installed.
    """
    in_float = any(isinstance(op, Dequantize) for op in graph.operators)
    gate = Gate(settings.float_identical, settings.float_steps) if in_float else EXACT
    runtimes = {
        name: runtime.trained_to(simulation.kernels)
        for name, runtime in require_for(settings.runtimes, exported).items()
    }
    rows: list[Boundary] = []
    before: Answers | None = None
    for found in floats:
        rows.append(compare(found, splits, before))
        before = found
    codes = np.concatenate([reference.input_codes(graph, graph.input, x) for x in _inputs(splits)])
    modes = dict.fromkeys([simulation.kernels, *(runtime.kernels for runtime in runtimes.values())])
    references = {kernels: _reference(graph, codes, kernels) for kernels in modes}
    trained_to = references[simulation.kernels]
    rows.append(_simulation_row(simulation, graph, splits, codes, trained_to, settings))
    rows.append(_must_vary(compare(trained_to, splits, before), trained_to.values))
    rows += [compare(other, splits, trained_to) for other in references.values() if other is not trained_to]
    for name, runtime in runtimes.items():
        answers = Answers(name, *_ran(runtime, exported[runtime.format], codes), _scale(graph))
        row = compare(answers, splits, references[runtime.kernels], gate)
        examined = layers(runtime, graph, (codes[: settings.layer_samples],)) if settings.layer_samples else ()
        first = next((layer for layer in examined if layer.differing), None)
        passed = row.passed and (first is None or gate is not EXACT)
        rows.append(row.model_copy(update={"layers": examined, "first_difference": first, "passed": passed}))
    return rows


def precheck(config: Config, data: Path) -> None:
    """Refuse a runtime that is not installed, before anything trains."""
    require_for(config.verify.runtimes, config.export.formats)


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves boundaries.json; `passed` says whether every gate held."""
    splits = Splits.load(read["data"])
    floats = []
    told = answers_on(read["teacher"], splits, "test", config.distill.combine)
    if told is not None:
        floats.append(Answers(TEACHER.name, told, "torch, float32" if (read["teacher"] / "model").is_dir() else ""))
    for form in (DISTILLED, PRUNED):
        model, _ = blueprint.load(read[form.stage] / "model")
        answers = answers_of(model, splits.test, splits, title=f"verify: {form.name}")
        floats.append(Answers(form.name, answers, "torch, float32"))
    rows = verify(
        floats,
        _simulation(read["quantize"], kernels_for(config.quantize.kernels, config.export.formats)),
        files.load(read["quantize"] / "graph"),
        {kind: read["export"] / INT8.file(kind) for kind in config.export.formats},
        splits.in_units_of(read["quantize"]),
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
            parts.append(simulation.trace_codes(torch.from_numpy(x))[simulation.graph.output].numpy().astype(np.int32))
            advance(len(x), "")
    return np.concatenate(parts)


def _simulation_row(
    simulation: Simulation, graph: Graph, splits: Splits, codes: Array, expected: Answers, settings: Verify
) -> Boundary:
    """The trained simulation against the reference in its mode; where it fails, the first layer that does."""
    gate = Gate(settings.simulation_identical, settings.simulation_steps)
    codes_of_simulation, by = _simulated(simulation, splits), f"torch, trained to {simulation.kernels}"
    row = compare(Answers("simulation", codes_of_simulation, by, _scale(graph)), splits, expected, gate)
    if row.passed:
        return row
    with torch.no_grad():
        traced = simulation.trace_codes(torch.from_numpy(next(_inputs(splits))))
    found = {name: traced[name].numpy().astype(np.int32) for name in codes_of_operators(graph)}
    values = dict(reference.trace(graph, codes[:BATCH], kernels=simulation.kernels))
    first = next((layer for layer in differences(graph, values, found) if layer.differing), None)
    return row.model_copy(update={"first_difference": first})


def _reference(graph: Graph, codes: Array, kernels: Mode) -> Answers:
    parts = []
    with progress(f"verify: integer reference ({kernels})", len(codes)) as advance:
        for start in range(0, len(codes), BATCH):
            parts.append(reference.run(graph, codes[start : start + BATCH], kernels=kernels))
            advance(len(parts[-1]), "")
    by = f"NumPy, as {kernels}: {ROUNDINGS[kernels].rule}"
    return Answers(f"reference ({kernels})", np.concatenate(parts), by, _scale(graph))


def _scale(graph: Graph) -> Quantization | None:
    return graph.tensors[graph.output].quantization


def _must_vary(row: Boundary, codes: Array) -> Boundary:
    """A network that says the same to everything passes any comparison, so it fails here."""
    varies = bool((codes != codes[0]).any())
    return row.model_copy(update={"exact": True, "passed": varies})


def _ran(runtime: Runtime, path: Path, codes: Array) -> tuple[Array, str]:
    """(int8 codes in torch's order, kernels) of a file on int8 input codes (N, *input shape)."""
    session = Session(runtime, path)
    parts = []
    with progress(f"verify: {runtime.title}", len(codes)) as advance:
        for start in range(0, len(codes), BATCH):
            parts.append(session.run(codes[start : start + BATCH])[0])
            advance(len(parts[-1]), "")
    return np.concatenate(parts), session.kernels
