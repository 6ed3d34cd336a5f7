"""C files of complete networks equal the reference in both roundings, under sanitizers."""

from pathlib import Path

import numpy as np
import pytest
from support.c_networks import NAMES, ROUNDINGS, network
from support.c_programs import run_strictly
from support.networks import lived_in, quantized

from edgekd import catalog
from edgekd.formats import c
from edgekd.graph import plan, reference
from edgekd.graph.structure import Kernels
from edgekd.runtimes.c import read_macros
from edgekd.runtimes.parity import codes_of_operators


@pytest.mark.parametrize("kernels", ROUNDINGS)
@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_bit_exact_layer_by_layer_and_clean(name: str, kernels: Kernels, tmp_path: Path) -> None:
    graph, codes = network(name, kernels)
    expected = dict(reference.trace(graph, *codes, kernels=kernels))
    assert expected[graph.output].std() > 0, "a constant passes any comparison"
    layers = codes_of_operators(graph)
    for outputs in (graph.outputs, layers):
        answers = run_strictly(graph.until(*outputs), codes, kernels, tmp_path)
        for layer, answer in zip(outputs, answers, strict=True):
            assert np.array_equal(answer, expected[layer]), layer


@pytest.mark.parametrize("name", ["resnet8", "dscnn", "mobilenetv2", "gru", "text encoder"])
def test_the_arena_is_no_larger_than_the_memory_plan(name: str, tmp_path: Path) -> None:
    graph, _ = network(name, "tflm")
    arena = int(read_macros(c.write(graph, tmp_path / "net.c"))["ARENA_BYTES"])
    assert arena <= plan.peak_ram_bytes(graph)


def test_a_residual_block_needs_two_images_and_a_few_rows(tmp_path: Path) -> None:
    """Check the arena: the second convolution overwrites its input row by row, and the sum one of its operands."""
    graph, _ = network("resnet8", "tflm")
    image, row = 8 * 16 * 16, 8 * 16
    assert int(read_macros(c.write(graph, tmp_path / "net.c"))["ARENA_BYTES"]) == 2 * image + 2 * row


def test_a_recurrent_nets_weights_stand_once_however_many_steps(tmp_path: Path) -> None:
    sizes = []
    for steps in (4, 9):
        model = lived_in(catalog.load("model", "gru_keyword")(3, (steps, 5), hidden=8), (steps, 5))
        _, graph, _ = quantized(model, (steps, 5), samples=4, kernels="tflm")
        sizes.append(int(read_macros(c.write(graph, tmp_path / "net.c"))["CONSTANT_BYTES"]))
    assert sizes[0] == sizes[1]
