"""The C code of a Cortex-M target is run on its emulated core; any other build, and one without the tools, goes on."""

from pathlib import Path

import pytest
import torch
from support import small_training
from torch import nn

from edgekd.config import Config
from edgekd.config.resolve import configure
from edgekd.data.splits import Splits
from edgekd.devices import emulation
from edgekd.errors import MissingExtraError
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph
from edgekd.quantization.simulate import Simulation
from edgekd.stages import profile


@pytest.fixture
def splits() -> Splits:
    return small_training.stripes()


@pytest.fixture
def graph(splits: Splits) -> Graph:
    shape = tuple(splits.input_shape)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(torch.tensor(shape).prod()), 2))
    simulation = Simulation(capture(model.eval(), shape))
    with torch.no_grad():
        simulation.lows.fill_(-1.0)
        simulation.highs.fill_(1.0)
    return simulation.quantized_graph()


def config(target: str, *formats: str) -> Config:
    return configure(target, settings={"export.formats": list(formats)})


@pytest.mark.parametrize(
    ("target", "files"), [("rpi4", ("model.tflite", "model.c", "model.h")), ("cortex-m4", ("model.tflite",))]
)
def test_without_such_a_core_or_without_c_there_is_nothing_to_run(
    target: str, files: tuple[str, ...], graph: Graph, splits: Splits, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert profile.emulated_row(config(target, "tflite", "c"), graph, splits, tmp_path) == (None, "")


def test_a_missing_tool_is_a_note_with_the_line_to_type(
    graph: Graph, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MissingExtraError("emulating a Cortex-M4 needs an emulator", "apt-get install it")

    for name in ("model.tflite", "model.c", "model.h"):
        (tmp_path / name).touch()
    monkeypatch.setattr(emulation, "emulated_row", refuse)
    row, why = profile.emulated_row(config("cortex-m4", "tflite", "c"), graph, splits, tmp_path)
    assert row is None
    assert why.endswith("emulating a Cortex-M4 needs an emulator; apt-get install it")
