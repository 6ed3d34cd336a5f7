"""Every operator of the graph has all its forms, and they agree; an operator without forms is refused by name."""

import typing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from support.networks import quantized
from support.operator_examples import EXAMPLES, MACS, REFUSED, shapes
from support.parity import RUNTIMES, assert_same

from edgekd.catalog.formats import FORMATS, format_module
from edgekd.errors import UnsupportedOperatorError
from edgekd.graph import cost, files, ops, plan, reference
from edgekd.graph.operators import training
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.graph.operators.training import TRAINING
from edgekd.graph.structure import Array, Graph, Kernels, Mode, Operator
from edgekd.quantization.int16 import with_int16_layers
from edgekd.quantization.islands import with_islands
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import run_graph

DEFINED = [kind for kind in vars(ops).values() if isinstance(kind, type) and kind.__module__ == ops.__name__]
OPERATORS = [kind for kind in DEFINED if issubclass(kind, Operator) and not kind.__subclasses__()]
KERNELS: tuple[Kernels, ...] = ("xnnpack", "tflm", "onnxruntime")
MODES: tuple[Mode, ...] = (*KERNELS, "litert-reference")
WRITING = {name: format_module(name) for name in FORMATS}
NO_KERNELS: dict[tuple[type[Operator], str], str] = {
    (ops.Dequantize, "c"): "stands beside layers in float, which C has no kernels for",
    (ops.Quantize, "c"): "stands beside layers in float, which C has no kernels for",
}
"""(operator, format) -> what the refusal says, for operators of which a format has no kernel at all."""

LAYERS = [kind for kind in OPERATORS if not kind.boundary and kind is not ops.Constant]
"""Those that a user can name in a setting."""

each = pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
each_layer = pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)


def missing_forms(kind: type[Operator]) -> list[str]:
    """Return a sentence for each form that an operator lacks, with the file that the form belongs in."""
    tables = [(family, family.REFERENCE) for family in reference.FAMILIES]
    tables += [(family, family.TRAINING) for family in training.FAMILIES]
    tables += [(family, family.WRITERS) for module in WRITING.values() for family in module.FAMILIES]
    homes = [family.__name__.rpartition(".")[2].removesuffix("_training") for family, table in tables if kind in table]
    family = homes[0] if homes else "FAMILY"
    x, x_training = (f"edgekd/graph/operators/{family}{end}.py" for end in ("", "_training"))
    lacks: list[str] = []
    if kind not in reference.REFERENCE:
        lacks.append(f"no integer reference: add it to REFERENCE in {x}")
    if kind not in TRAINING:
        lacks.append(f"no float form: add it to TRAINING in {x_training}")
    if kind.parameters and not (kind in TRAINING and TRAINING[kind].shipped):
        lacks.append(f"parameters, but no `shipped` form of them in {x_training}")
    for name, module in WRITING.items():
        if kind not in module.WRITERS and (kind, name) not in NO_KERNELS:
            file = f"edgekd/formats/{name}/{family}.py"
            lacks.append(f"no {name} form: add it to WRITERS in {file}, or to NO_KERNELS here")
    if kind not in EXAMPLES:
        lacks.append("no example: add a graph to EXAMPLES in tests/support/operator_examples.py")
    arrays = {name for name, hint in typing.get_type_hints(kind).items() if "ndarray" in str(hint)}
    for name in sorted(arrays - {*kind.parameters, *kind.arrays}):
        lacks.append(f"an array {name} that graph/files.py can't save: name it in `arrays` in its class")
    return [f"{kind.__name__} has {what}" for what in lacks]


@each
def test_an_operator_has_every_form(kind: type[Operator]) -> None:
    assert not missing_forms(kind), "\n".join(missing_forms(kind))


@dataclass(frozen=True)
class Fold(Operator):
    """An operator that nobody has written a form for."""

    parameters = ("weight",)

    weight: Array
    offset: Array | None = None


def test_a_new_operator_is_told_which_forms_it_lacks_and_where_they_go() -> None:
    assert missing_forms(Fold) == [
        "Fold has no integer reference: add it to REFERENCE in edgekd/graph/operators/FAMILY.py",
        "Fold has no float form: add it to TRAINING in edgekd/graph/operators/FAMILY_training.py",
        "Fold has parameters, but no `shipped` form of them in edgekd/graph/operators/FAMILY_training.py",
        "Fold has no tflite form: add it to WRITERS in edgekd/formats/tflite/FAMILY.py, or to NO_KERNELS here",
        "Fold has no onnx form: add it to WRITERS in edgekd/formats/onnx/FAMILY.py, or to NO_KERNELS here",
        "Fold has no c form: add it to WRITERS in edgekd/formats/c/FAMILY.py, or to NO_KERNELS here",
        "Fold has no example: add a graph to EXAMPLES in tests/support/operator_examples.py",
        "Fold has an array offset that graph/files.py can't save: name it in `arrays` in its class",
    ]


def test_a_form_that_is_missing_is_sought_in_the_operators_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TRAINING, ops.Softmax)
    assert missing_forms(ops.Softmax) == [
        "Softmax has no float form: add it to TRAINING in edgekd/graph/operators/attention_training.py"
    ]


@each
def test_its_float_form_gives_the_shape_of_its_output(kind: type[Operator]) -> None:
    graph = EXAMPLES[kind]
    assert kind in map(type, graph.operators)
    _, int8, codes = quantized(graph, *shapes(graph))
    values = Simulation(graph)(*map(torch.from_numpy, real_inputs(int8, codes)))
    assert values.shape == (len(codes[0]), *graph.tensors[graph.output].shape)
    assert values.isfinite().all()


@each
@pytest.mark.parametrize("kernels", KERNELS)
def test_its_fake_quantised_form_is_the_reference(kind: type[Operator], kernels: Kernels) -> None:
    graph = EXAMPLES[kind]
    simulation, int8, codes = quantized(graph, *shapes(graph), kernels=kernels)
    assert_simulated(simulation, int8, codes)


def real_inputs(int8: Graph, codes: tuple[Array, ...]) -> list[Array]:
    """Return the real values that the codes stand for, and indices unchanged."""
    pairs = zip(codes, int8.inputs, strict=True)
    return [c if int8.tensors[n].kind == "index" else dequantize(c, int8.quantization(n)) for c, n in pairs]


def assert_simulated(simulation: Simulation, int8: Graph, codes: tuple[Array, ...]) -> None:
    """Assert that the simulation's codes equal the reference's, and that the reference's outputs are not constant."""
    with torch.no_grad():
        simulated = simulation.trace_codes(*map(torch.from_numpy, real_inputs(int8, codes)))
    expected = dict(reference.trace(int8, *codes, kernels=simulation.kernels))
    assert expected[int8.output].std() > 0, "a constant passes any comparison"
    layers = [op.output for op in int8.operators]
    assert_same([simulated[n].numpy() for n in layers], [expected[n] for n in layers], "simulation", layers)


@each
@pytest.mark.parametrize("mode", MODES)
def test_its_integer_reference_gives_codes_in_every_mode(kind: type[Operator], mode: Mode) -> None:
    graph = EXAMPLES[kind]
    _, int8, codes = quantized(graph, *shapes(graph), kernels="tflm" if mode == "litert-reference" else mode)
    output = reference.run(int8, *codes, kernels=mode)
    assert output.dtype == np.int8
    assert output.shape == (len(codes[0]), *graph.tensors[graph.output].shape)


@each
@pytest.mark.parametrize("name", RUNTIMES)
def test_its_file_computes_what_the_reference_computes(kind: type[Operator], name: str) -> None:
    graph, runtime = EXAMPLES[kind], RUNTIMES[name]
    kernels = "tflm" if runtime.kernels == "litert-reference" else runtime.kernels
    _, int8, codes = quantized(graph, *shapes(graph), kernels=kernels)
    if refusal := NO_KERNELS.get((kind, runtime.format)):
        with pytest.raises(UnsupportedOperatorError, match=refusal):
            run_graph(runtime, int8, codes)
        return
    expected = reference.run_all(int8, *codes, kernels=runtime.kernels)
    assert_same(run_graph(runtime, int8, codes), expected, name)


@each
@pytest.mark.parametrize("name", [name for name, module in WRITING.items() if hasattr(module, "read")])
def test_its_file_is_read_again_as_what_was_written(kind: type[Operator], name: str, tmp_path: Path) -> None:
    graph = EXAMPLES[kind]
    _, int8, codes = quantized(graph, *shapes(graph))
    read_back = WRITING[name].read(WRITING[name].write(int8, tmp_path / f"graph.{name}"))
    assert read_back.inputs and [read_back.tensors[n].shape for n in read_back.inputs] == [
        int8.tensors[n].shape for n in int8.inputs
    ]
    assert_same(reference.run_all(read_back, *codes), reference.run_all(int8, *codes), f"{name}, read again")


@pytest.mark.parametrize("what", REFUSED)
def test_what_can_not_be_exact_is_refused_by_name(what: str, tmp_path: Path) -> None:
    refusal = REFUSED[what]
    write = format_module(refusal.format).write
    simulation = Simulation(refusal.graph)
    with pytest.raises(UnsupportedOperatorError) as caught:
        write(simulation.quantized_graph(), tmp_path / "graph")
    assert "layer layer (" in str(caught.value) and "nets.py:7" in str(caught.value)
    assert refusal.says in str(caught.value)
    assert caught.value.remedy


@each
def test_it_can_be_counted_and_planned(kind: type[Operator]) -> None:
    graph = EXAMPLES[kind]
    _, int8, _ = quantized(graph, *shapes(graph))
    op = next(op for op in int8.operators if isinstance(op, kind))
    row = next(row for row in cost.operators(int8) if row.name == op.name)
    assert row.macs == MACS.get(kind, 0)
    assert row.operator == cost.describe(op) != ""
    assert (row.parameters > 0) == bool(op.parameters)
    ends = [*graph.inputs, *graph.outputs]
    assert plan.peak_ram_bytes(int8) >= max(int8.tensors[name].elements for name in ends)


@each
def test_it_comes_back_from_disk_as_it_was(kind: type[Operator], tmp_path: Path) -> None:
    graph = EXAMPLES[kind]
    for number, saved in enumerate((graph, quantized(graph, *shapes(graph))[1])):
        files.save(saved, tmp_path / str(number))
        loaded = files.load(tmp_path / str(number))
        assert loaded.tensors == saved.tensors
        for one, other in zip(loaded.operators, saved.operators, strict=True):
            assert type(one) is type(other)
            np.testing.assert_equal(vars(one), vars(other))


@each_layer
def test_it_takes_16_bits_exactly_or_says_that_it_does_not(kind: type[Operator]) -> None:
    graph = EXAMPLES[kind]
    if not kind.int16:
        with pytest.raises(
            UnsupportedOperatorError, match=rf"layer layer \({kind.__name__}, nets.py:7\) has no kernel"
        ):
            with_int16_layers(graph, ["layer"])
        return
    wide = with_int16_layers(graph, ["layer"])
    assert_simulated(*quantized(wide, *shapes(graph)))


@each_layer
def test_it_can_be_kept_in_float(kind: type[Operator]) -> None:
    graph = EXAMPLES[kind]
    simulation, mixed, codes = quantized(with_islands(graph, ["layer"]), *shapes(graph))
    assert any(reference.real(inside, mixed) for inside in mixed.operators)
    assert_simulated(simulation, mixed, codes)
