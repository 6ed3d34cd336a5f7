"""The verify stage: it compares every form of the network with the one before it, on the whole test set.

Between the integer reference and a runtime no output may differ. The trained simulation may differ from the reference
within the tolerances of the `verify` settings. Each runtime is compared with the reference in its own mode, layer by
layer too, and a layer that differs is named.
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
    """The outputs of one form of the network on the test set.

    Attributes:
        values: (N, *answer shape), real numbers or integer codes.
        kernels: the kernel set that computed them.
        scale: the quantisation of the codes; None for real numbers.
    """

    name: str
    values: Array
    kernels: str = ""
    scale: Quantization | None = None

    @property
    def real(self) -> Array:
        """The outputs in real numbers."""
        if self.scale is None:
            return self.values
        real: Array = (self.values.astype(np.float64) - self.scale.zero_point) * self.scale.scale
        return real


@dataclass(frozen=True)
class Gate:
    """A tolerance: the least share of identical outputs, and the largest difference in quantisation steps."""

    identical: float = 1.0
    steps: int = 0


EXACT = Gate()


def compare(answers: Answers, splits: Splits, against: Answers | None, gate: Gate | None = None) -> Boundary:
    """Return one row of the parity table. Without a gate the differences are counted, but not judged."""
    task, samples = splits.task, f"{len(splits.test):,} test samples"
    score = task.quantity(task.scoring.score(answers.real, np.asarray(splits.test.y)), samples)
    if against is None:
        return Boundary(name=answers.name, score=score, kernels=answers.kernels)
    agreement = host_quantity(task.scoring.agreement(answers.real, against.real), task.words.agreement_unit, samples)
    row = Boundary(name=answers.name, score=score, against=against.name, agreement=agreement, kernels=answers.kernels)
    if not (np.issubdtype(answers.values.dtype, np.integer) and np.issubdtype(against.values.dtype, np.integer)):
        return row
    steps = np.abs(answers.values.astype(np.int32) - against.values)
    differing, largest = int((steps > 0).sum()), int(steps.max())
    counts = {"outputs": int(steps.size), "differing": differing, "largest_steps": largest}
    if gate is not None:
        within_share = differing <= (1 - gate.identical) * steps.size
        counts |= {"exact": True, "passed": within_share and largest <= gate.steps}
    return row.model_copy(update=counts)


def verify(
    float_answers: list[Answers],
    simulation: Simulation,
    graph: Graph,
    files_of_formats: Mapping[str, Path],
    splits: Splits,
    settings: Verify,
) -> list[Boundary]:
    """Return the boundaries in order: the float networks, the simulation, the references and the runtimes.

    Each runtime chooses its own order of summation in float layers. A network with such layers is therefore compared
    within the tolerance that `settings` has for it.

    Args:
        float_answers: the outputs of the teacher and of the students on the test set.
        files_of_formats: the int8 file of each format.

    Raises:
        MissingExtraError: a runtime of `settings.runtimes` is not installed.
    """
    has_float_layers = any(isinstance(op, Dequantize) for op in graph.operators)
    gate = Gate(settings.float_identical, settings.float_steps) if has_float_layers else EXACT
    runtimes = {
        name: runtime.trained_to(simulation.kernels)
        for name, runtime in require_for(settings.runtimes, files_of_formats).items()
    }
    rows: list[Boundary] = []
    previous: Answers | None = None
    for answers in float_answers:
        rows.append(compare(answers, splits, previous))
        previous = answers
    codes = np.concatenate([reference.input_codes(graph, graph.input, x) for x in _inputs(splits)])
    modes = dict.fromkeys([simulation.kernels, *(runtime.kernels for runtime in runtimes.values())])
    references = {kernels: _reference(graph, codes, kernels) for kernels in modes}
    trained_reference = references[simulation.kernels]
    rows.append(_simulation_row(simulation, graph, splits, codes, trained_reference, settings))
    rows.append(_check_variation(compare(trained_reference, splits, previous), trained_reference.values))
    others = (other for other in references.values() if other is not trained_reference)
    rows += [compare(other, splits, trained_reference) for other in others]
    for name, runtime in runtimes.items():
        answers = Answers(name, *_run_file(runtime, files_of_formats[runtime.format], codes), _scale(graph))
        row = compare(answers, splits, references[runtime.kernels], gate)
        layer_rows = layers(runtime, graph, (codes[: settings.layer_samples],)) if settings.layer_samples else ()
        first_difference = next((layer for layer in layer_rows if layer.differing), None)
        passed = row.passed and (first_difference is None or gate is not EXACT)
        layer_results = {"layers": layer_rows, "first_difference": first_difference, "passed": passed}
        rows.append(row.model_copy(update=layer_results))
    return rows


def precheck(config: Config, data: Path) -> None:
    """Raise an error if a runtime is not installed, before anything trains."""
    require_for(config.verify.runtimes, config.export.formats)


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write boundaries.json to `out`. The metric `passed` is true where no boundary failed."""
    splits = Splits.load(folders["data"])
    float_answers = []
    teacher_answers = answers_on(folders["teacher"], splits, "test", config.distill.combine)
    if teacher_answers is not None:
        kernels = "torch, float32" if (folders["teacher"] / "model").is_dir() else ""
        float_answers.append(Answers(TEACHER.name, teacher_answers, kernels))
    for form in (DISTILLED, PRUNED):
        model, _ = blueprint.load(folders[form.stage] / "model")
        answers = answers_of(model, splits.test, splits, title=f"verify: {form.name}")
        float_answers.append(Answers(form.name, answers, "torch, float32"))
    rows = verify(
        float_answers,
        _simulation(folders["quantize"], kernels_for(config.quantize.kernels, config.export.formats)),
        files.load(folders["quantize"] / "graph"),
        {kind: folders["export"] / INT8.file(kind) for kind in config.export.formats},
        splits.in_units_of(folders["quantize"]),
        config.verify,
    )
    text = json.dumps([row.model_dump(mode="json") for row in rows], indent=1)
    (out / "boundaries.json").write_text(text + "\n", encoding="utf-8")
    return {"passed": all(row.passed is not False for row in rows)}


def _simulation(artifact: Path, kernels: Kernels) -> Simulation:
    """Load the simulation as it was trained, with float weights and ranges instead of the codes computed from them."""
    simulation = Simulation(files.load(artifact / "float"), kernels)
    simulation.load_state_dict(torch.load(artifact / "simulation.pt", weights_only=True))
    simulation.fake_quantized = True
    return simulation.eval()


def _inputs(splits: Splits) -> Iterator[Array]:
    """Yield the normalised test set in batches."""
    for start in range(0, len(splits.test), BATCH):
        yield normalise(splits.test.x[start : start + BATCH], splits).numpy()


@torch.no_grad()
def _simulation_codes(simulation: Simulation, splits: Splits) -> Array:
    parts = []
    with progress("verify: simulation", len(splits.test)) as advance:
        for x in _inputs(splits):
            parts.append(simulation.trace_codes(torch.from_numpy(x))[simulation.graph.output].numpy().astype(np.int32))
            advance(len(x), "")
    return np.concatenate(parts)


def _simulation_row(
    simulation: Simulation, graph: Graph, splits: Splits, codes: Array, expected: Answers, settings: Verify
) -> Boundary:
    """Compare the trained simulation with the reference in its mode; on failure, find the first layer that differs."""
    gate = Gate(settings.simulation_identical, settings.simulation_steps)
    codes_of_simulation, kernels = _simulation_codes(simulation, splits), f"torch, trained to {simulation.kernels}"
    row = compare(Answers("simulation", codes_of_simulation, kernels, _scale(graph)), splits, expected, gate)
    if row.passed:
        return row
    with torch.no_grad():
        traced = simulation.trace_codes(torch.from_numpy(next(_inputs(splits))))
    answers = {name: traced[name].numpy().astype(np.int32) for name in codes_of_operators(graph)}
    values = dict(reference.trace(graph, codes[:BATCH], kernels=simulation.kernels))
    first_difference = next((layer for layer in differences(graph, values, answers) if layer.differing), None)
    return row.model_copy(update={"first_difference": first_difference})


def _reference(graph: Graph, codes: Array, kernels: Mode) -> Answers:
    parts = []
    with progress(f"verify: integer reference ({kernels})", len(codes)) as advance:
        for start in range(0, len(codes), BATCH):
            parts.append(reference.run(graph, codes[start : start + BATCH], kernels=kernels))
            advance(len(parts[-1]), "")
    rule = f"NumPy, as {kernels}: {ROUNDINGS[kernels].rule}"
    return Answers(f"reference ({kernels})", np.concatenate(parts), rule, _scale(graph))


def _scale(graph: Graph) -> Quantization | None:
    return graph.tensors[graph.output].quantization


def _check_variation(row: Boundary, codes: Array) -> Boundary:
    """Fail a network whose output is the same for every sample, because it would pass any comparison."""
    varies = bool((codes != codes[0]).any())
    return row.model_copy(update={"exact": True, "passed": varies})


def _run_file(runtime: Runtime, path: Path, codes: Array) -> tuple[Array, str]:
    """Run a file on int8 input codes (N, *input shape); return its int8 codes in torch's order, and the kernel set."""
    session = Session(runtime, path)
    parts = []
    with progress(f"verify: {runtime.title}", len(codes)) as advance:
        for start in range(0, len(codes), BATCH):
            parts.append(session.run(codes[start : start + BATCH])[0])
            advance(len(parts[-1]), "")
    return np.concatenate(parts), session.kernels
