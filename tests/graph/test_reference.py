"""Tests the integer reference against sums computed by hand."""

import numpy as np
import pytest

from edgekd.graph import reference
from edgekd.graph.operators.arithmetic import dequantize, fixed_point_add, quantize
from edgekd.graph.ops import Add, AveragePool2d, Conv2d, GlobalAveragePool, Linear, Pad
from edgekd.graph.structure import Graph, Operator, Quantization, Tensor, activation_range


def graph_of(op: Operator, *tensors: Tensor) -> Graph:
    return Graph(tensors[0].name, op.output, {t.name: t for t in tensors}, (op,))


def tensor(name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> Tensor:
    return Tensor(name, shape, Quantization(float(np.float32(scale)), zero_point))


def test_quantize_rounds_half_to_even_and_saturates() -> None:
    x = np.array([0.25, 0.75, 1.25, -0.25, 1000.0, -1000.0], np.float32)
    assert quantize(x, Quantization(0.5, 10)).tolist() == [10, 12, 12, 10, 127, -128]


def test_dequantize_gives_the_real_value_of_a_code() -> None:
    assert dequantize(np.array([12, 10], np.int8), Quantization(0.5, 10)).tolist() == [1.0, 0.0]


def test_a_linear_layer_by_hand() -> None:
    # acc = (20 - 4) * 3 + (2 - 4) * -5 + 7 = 65; 65 * (0.5 * 0.25) / 0.25 = 32.5 -> 32 (even); 32 - 10 = 22
    op = Linear(
        "fc", ("x",), "y", np.array([[3, -5]], np.int8), np.array([7], np.int32), weight_scale=np.float32([0.25])
    )
    graph = graph_of(op, tensor("x", (2,), 0.5, 4), tensor("y", (1,), 0.25, -10))
    assert reference.run(graph, np.array([[20, 2]], np.int8)).tolist() == [[22]]


def test_a_convolution_pads_with_the_zero_point() -> None:
    # Padding is real zero, which is the input's zero point, so it adds nothing.
    weight = np.ones((1, 1, 3, 3), np.int8)
    op = Conv2d(
        "c", ("x",), "y", weight, np.zeros(1, np.int32), padding=(1, 1, 1, 1), weight_scale=np.ones(1, np.float32)
    )
    graph = graph_of(op, tensor("x", (1, 2, 2), 1.0, 5), tensor("y", (1, 2, 2), 1.0, 0))
    codes = np.array([[[[6, 7], [8, 9]]]], np.int8)
    assert reference.run(graph, codes).tolist() == [[[[10, 10], [10, 10]]]]  # 1 + 2 + 3 + 4 everywhere


def test_a_grouped_convolution_keeps_its_groups_apart() -> None:
    weight = np.array([1, 2, 3, 4], np.int8).reshape(4, 1, 1, 1)
    op = Conv2d("c", ("x",), "y", weight, np.zeros(4, np.int32), groups=2, weight_scale=np.ones(4, np.float32))
    graph = graph_of(op, tensor("x", (2, 1, 1), 1.0, 0), tensor("y", (4, 1, 1), 1.0, 0))
    assert reference.run(graph, np.array([[[[10]], [[1]]]], np.int8)).ravel().tolist() == [10, 20, 3, 4]


@pytest.mark.parametrize(("kernels", "expected"), [("xnnpack", 1), ("onnxruntime", 0)])
def test_add_rounds_a_half_as_the_named_kernels_do(kernels: str, expected: int) -> None:
    # 1 * 0.5 + 0: XNNPACK's fixed point adds a half and shifts (up), onnxruntime rounds to even (down).
    op = Add("add", ("a", "b"), "y")
    graph = graph_of(op, tensor("a", (1,), 0.5, 0), tensor("b", (1,), 0.5, 0), tensor("y", (1,), 1.0, 0))
    inputs = [np.array([[1]], np.int8), np.array([[0]], np.int8)]
    assert reference.REFERENCE[Add](op, graph, inputs, kernels).tolist() == [[expected]]


def test_the_fixed_point_multipliers_have_21_bits() -> None:
    by_a, by_b, shift = fixed_point_add(Quantization(0.5, 0), Quantization(0.25, 0), Quantization(0.5, 0))
    assert (by_a, by_b, shift) == (2**20, 2**19, 20)


@pytest.mark.parametrize(("kernels", "expected"), [("xnnpack", [3, -3]), ("onnxruntime", [2, -2])])
def test_an_average_pool_rounds_a_half_as_the_named_kernels_do(kernels: str, expected: list[int]) -> None:
    # Means of 2.5 and -2.5: TFLite rounds them away from zero; onnxruntime to the even uint8 code, 128 + 2 and 128 - 2.
    op = AveragePool2d("pool", ("x",), "y", (1, 2), (1, 2))
    graph = graph_of(op, tensor("x", (1, 1, 4), 1.0, 0), tensor("y", (1, 1, 2), 1.0, 0))
    assert reference.run(graph, np.array([[[[2, 3, -2, -3]]]], np.int8), kernels=kernels).ravel().tolist() == expected


def test_a_global_average_takes_the_zero_point_off_every_element() -> None:
    op = GlobalAveragePool("gap", ("x",), "y")
    graph = graph_of(op, tensor("x", (1, 2, 2), 0.5, 10), tensor("y", (1,), 0.25, -3))
    codes = np.array([[[[10, 12], [14, 16]]]], np.int8)  # real 0, 1, 2, 3: mean 1.5 -> 6 steps of 0.25
    assert reference.run(graph, codes).tolist() == [[3]]


def test_a_pad_writes_the_zero_point() -> None:
    op = Pad("pad", ("x",), "y", ((1, 0), (0, 0), (0, 0)))
    graph = graph_of(op, tensor("x", (1, 1, 1), 1.0, -7), tensor("y", (2, 1, 1), 1.0, -7))
    assert reference.run(graph, np.array([[[[5]]]], np.int8)).ravel().tolist() == [-7, 5]


def test_relu6_ends_at_the_code_of_six() -> None:
    assert activation_range("relu6", Quantization(0.1, -100)) == (-100, -40)
    assert activation_range("relu6", Quantization(6 / 255, -128)) == (-128, 127)
    assert activation_range("relu", Quantization(0.1, -200)) == (-128, 127)
