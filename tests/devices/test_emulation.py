"""A C file on an emulated core gives the reference's outputs, and its figures have the origin "emulated"."""

from pathlib import Path

import pytest
from support.cortex_m import SKIP_WITHOUT
from support.networks import lived_in, quantized

from edgekd import catalog
from edgekd.config import Limits
from edgekd.devices.emulation import emulated_row
from edgekd.formats import c
from edgekd.graph import cost
from edgekd.graph.structure import Array, Graph
from edgekd.results import EmulatedRow

pytestmark = SKIP_WITHOUT


@pytest.fixture(scope="module")
def network() -> tuple[Graph, tuple[Array, ...]]:
    model = catalog.load("model", "resnet8")(5, input_shape=(3, 8, 8), width=4)
    return quantized(lived_in(model, (3, 8, 8)), (3, 8, 8), samples=3, kernels="tflm")[1:]


def row(network: tuple[Graph, tuple[Array, ...]], folder: Path, core: str, **limits: int) -> EmulatedRow:
    graph, codes = network
    source = c.write(graph, folder / "model.c", kernels="tflm")
    return emulated_row([source, source.with_suffix(".h")], core, Limits(**limits), graph, codes, "tflm")


@pytest.mark.parametrize("core", ["Cortex-M0+", "Cortex-M4", "Cortex-M55"])
def test_no_output_differs_and_every_figure_is_emulated(
    network: tuple[Graph, tuple[Array, ...]], core: str, tmp_path: Path
) -> None:
    result = row(network, tmp_path, core)
    assert (result.differing, result.outputs, result.samples, result.over) == (0, 15, 3, "")
    figures = (result.instructions, result.instructions_per_mac, result.flash, result.ram, result.stack)
    assert {figure.origin for figure in figures} == {"emulated"}
    assert all(core.removesuffix("+") in figure.source for figure in figures)


def test_instructions_are_those_of_the_functions_and_more_than_one_a_mac(
    network: tuple[Graph, tuple[Array, ...]], tmp_path: Path
) -> None:
    result = row(network, tmp_path, "Cortex-M4")
    assert result.instructions.value == pytest.approx(sum(each.instructions.value or 0 for each in result.functions))
    assert result.instructions_per_mac.value == pytest.approx((result.instructions.value or 0) / cost.macs(network[0]))
    assert (result.instructions_per_mac.value or 0) > 1


def test_code_over_the_limits_has_its_figures_all_the_same_and_says_by_how_much(
    network: tuple[Graph, tuple[Array, ...]], tmp_path: Path
) -> None:
    fits = row(network, tmp_path, "Cortex-M4")
    result = row(network, tmp_path, "Cortex-M4", flash_bytes=4096)
    assert "overflows by" in result.over and "of 4,096 B" in result.over
    assert result.flash == fits.flash
