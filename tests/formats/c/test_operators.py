"""Every operator's C kernel equals the reference in both roundings, under sanitizers; other layers are refused."""

from pathlib import Path

import numpy as np
import pytest
from support.c_programs import run_strictly
from support.networks import quantized
from support.operator_examples import EXAMPLES, shapes, single, with_weights

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats import c
from edgekd.graph import ops, reference
from edgekd.graph.structure import Graph, Kernels, Operator
from edgekd.quantization.int16 import with_int16_layers

WITH_KERNELS = [kind for kind in EXAMPLES if not kind.boundary]
VARIANTS: dict[str, Graph] = {
    "a depthwise convolution with a multiplier": single(
        ops.Conv2d, (3, 5, 5), to=(6, 5, 5), **with_weights(6, 1, 3, 3), groups=3, padding=(1, 1, 1, 1)
    ),
    "a depthwise convolution that overwrites its input at a stride": single(
        ops.Conv2d, (3, 6, 6), to=(3, 3, 3), **with_weights(3, 1, 3, 3), groups=3, padding=(1, 0, 1, 0), stride=(2, 2)
    ),
    "a convolution in groups": single(ops.Conv2d, (4, 5, 5), to=(6, 3, 3), **with_weights(6, 2, 3, 3), groups=2),
    "a convolution of rows that grow fewer": single(
        ops.Conv2d, (4, 9, 5), to=(3, 7, 5), **with_weights(3, 4, 5, 3), padding=(2, 0, 1, 1), dilation=(1, 1)
    ),
    "a dilated convolution": single(
        ops.Conv2d, (2, 9, 9), to=(2, 9, 9), **with_weights(2, 2, 3, 3), padding=(2, 2, 2, 2), dilation=(2, 2)
    ),
    "a sum with a number for each channel": single(ops.Add, (6, 4, 4), (6, 1, 1)),
    "a difference that is repeated on both sides": single(ops.Sub, (6, 1, 4), (1, 5, 4), to=(6, 5, 4)),
    "a square": Graph(
        ("input_0",), ("layer",), single(ops.Mul, (3, 4)).tensors, (ops.Mul("layer", ("input_0", "input_0"), "layer"),)
    ),
    "a mean over the channels": single(ops.Mean, (6, 4, 5), to=(4, 5), axes=(0,)),
    "an average that leaves padding out": single(
        ops.AveragePool2d, (2, 5, 5), to=(2, 3, 3), kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1)
    ),
    "products of several matrices": single(ops.MatMul, (2, 3, 4, 5), (2, 3, 5, 6), to=(2, 3, 4, 6)),
    "positions of two axes": single(ops.Take, (2, 3, 4), to=(2, 4, 3), positions=(None, (0, 0, 2, 1), (3, 1, 0))),
}


@pytest.mark.parametrize("kernels", ["tflm", "xnnpack"])
@pytest.mark.parametrize("case", [*WITH_KERNELS, *VARIANTS], ids=lambda case: getattr(case, "__name__", case))
def test_a_kernel_gives_the_references_codes(case: type[Operator] | str, kernels: Kernels, tmp_path: Path) -> None:
    graph = VARIANTS[case] if isinstance(case, str) else EXAMPLES[case]
    _, int8, codes = quantized(graph, *shapes(graph), kernels=kernels)
    expected = reference.run_all(int8, *codes, kernels=kernels)
    assert expected[0].std() > 0, "a constant passes any comparison"
    (answer,) = run_strictly(int8, codes, kernels, tmp_path)
    assert np.array_equal(answer, expected[0])


def test_layers_in_float_are_refused_by_name(tmp_path: Path) -> None:
    graph = EXAMPLES[ops.Dequantize]
    _, mixed, _ = quantized(graph, *shapes(graph))
    with pytest.raises(UnsupportedOperatorError, match=r"layer real .*stands beside layers in float") as refusal:
        c.write(mixed, tmp_path / "net.c")
    assert "quantize.float_layers" in str(refusal.value.remedy)


def test_layers_of_16_bits_are_refused_by_name(tmp_path: Path) -> None:
    graph = EXAMPLES[ops.Linear]
    _, wide, _ = quantized(with_int16_layers(graph, ["layer"]), *shapes(graph))
    with pytest.raises(UnsupportedOperatorError, match="16-bit codes") as refusal:
        c.write(wide, tmp_path / "net.c")
    assert "quantize.int16_layers" in str(refusal.value.remedy)


def test_float_graphs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOperatorError, match="integer kernels alone"):
        c.write(EXAMPLES[ops.Linear], tmp_path / "net.c")
