"""Tests that a damaged file, read in another process within 10 s and 1 GiB, gives a graph or an error in one line."""

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


def mutation_outcomes(network: str, first: int, count: int, folder: Path) -> list[str]:
    """Return the outcome of reading each mutation of a network; fail if the process did not exit normally."""
    file = ForeignFile()
    path = folder / "source.tflite"
    path.write_bytes(file.bytes(*NETWORKS[network](file)))
    child = (sys.executable, damaged_tflite.__file__, str(path), str(first), str(count))
    process = subprocess.run(child, env=child_environment(), capture_output=True, text=True, check=False)
    lines = process.stdout.splitlines()
    assert process.returncode == 0, (
        f"mutation {first + len(lines)} of {network}: {process.returncode} {process.stderr[-300:]}"
    )
    assert len(lines) == count
    return [line.partition(" ")[2] for line in lines]


def check_outcomes(outcomes: list[str]) -> None:
    """Check that most outcomes are errors, that these differ, and that none is empty."""
    assert all(outcomes)
    assert outcomes.count("graph") < len(outcomes) / 2
    assert len(set(outcomes)) > len(outcomes) / 10


@pytest.mark.parametrize("network", NETWORK)
def test_damaged_files_are_errors_or_graphs(network: str, tmp_path: Path) -> None:
    check_outcomes(mutation_outcomes(network, 0, QUICK // len(NETWORK), tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("network", NETWORK)
def test_a_thousand_damaged_files_are_errors_or_graphs(network: str, tmp_path: Path) -> None:
    check_outcomes(mutation_outcomes(network, QUICK, LONG, tmp_path))
