"""Tests that a saved graph is loaded unchanged, and that a damaged file is an error."""

from pathlib import Path

import numpy as np
import pytest
from support.networks import Everything, lived_in, quantized

from edgekd.errors import ModelError
from edgekd.graph import files, reference
from edgekd.graph.capture import capture


def test_a_graph_comes_back_with_the_same_answers(tmp_path: Path) -> None:
    _, graph, (codes,) = quantized(lived_in(Everything(), (3, 16, 16)), (3, 16, 16), samples=8)
    files.save(graph, tmp_path / "graph")
    loaded = files.load(tmp_path / "graph")
    assert loaded.tensors == graph.tensors
    assert np.array_equal(reference.run(loaded, codes), reference.run(graph, codes))


def test_the_same_graph_gives_the_same_files(tmp_path: Path) -> None:
    graph = capture(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))
    for name in ("a", "b"):
        files.save(graph, tmp_path / name)
    for name in ("graph.json", "graph.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("name", ["graph.json", "graph.npz"])
def test_a_truncated_or_missing_file_is_a_model_error(tmp_path: Path, name: str) -> None:
    graph = capture(Everything(), (3, 16, 16))
    files.save(graph, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="no readable graph"):
        files.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelError):
        files.load(tmp_path)
