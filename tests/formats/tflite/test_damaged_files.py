"""Damaged files, read in a process of its own within 10 s each and 1 GiB: each is an error in one line, or a graph."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import damaged_tflite
from support.foreign_files import ForeignFile
from support.foreign_networks import NETWORKS

from edgekd.runtimes.environment import child_environment

NETWORK = ("reshape with an open batch", "split and add", "embedding", "pad before a convolution")
QUICK, LONG = 200, 1000


def outcomes(network: str, first: int, count: int, folder: Path) -> list[str]:
    """What became of the mutations of a network; fails where the process ended otherwise than by itself."""
    file = ForeignFile()
    path = folder / "source.tflite"
    path.write_bytes(file.bytes(*NETWORKS[network](file)))
    child = (sys.executable, damaged_tflite.__file__, str(path), str(first), str(count))
    done = subprocess.run(child, env=child_environment(), capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"mutation {first + len(lines)} of {network}: {done.returncode} {done.stderr[-300:]}"
    assert len(lines) == count
    return [line.partition(" ")[2] for line in lines]


def judge(found: list[str]) -> None:
    """Many errors, some graphs, and no error that is empty."""
    assert all(found)
    assert found.count("graph") < len(found) / 2
    assert len(set(found)) > len(found) / 10


@pytest.mark.parametrize("network", NETWORK)
def test_damaged_files_are_errors_or_graphs(network: str, tmp_path: Path) -> None:
    judge(outcomes(network, 0, QUICK // len(NETWORK), tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("network", NETWORK)
def test_a_thousand_damaged_files_are_errors_or_graphs(network: str, tmp_path: Path) -> None:
    judge(outcomes(network, QUICK, LONG, tmp_path))
