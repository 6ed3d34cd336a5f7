"""Latency is measured in fresh processes that take turns, and the error of a process names its file."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from support.exported import linear, write

from edgekd.devices import host, latency
from edgekd.devices.latency import Latency, measure, ratio
from edgekd.errors import EdgekdError, ModelError
from edgekd.runtimes.environment import child_environment


def times(*rounds: float, name: str = "a.tflite") -> Latency:
    return Latency(Path(name), "kernels", rounds)


def test_the_figure_is_the_lowest_round_and_the_error_the_way_to_the_highest() -> None:
    assert times(5.0, 4.0, 7.0).lowest_us == 4.0
    assert times(5.0, 4.0, 7.0).spread_us == 3.0


def test_a_ratio_is_the_median_of_the_rounds_not_the_ratio_of_the_best() -> None:
    value, error = ratio(times(2.0, 6.0, 4.0), times(4.0, 4.0, 4.0))
    assert (value, error) == (1.0, 0.5)


def test_files_take_turns_in_an_order_that_the_seed_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [Path(f"{letter}.tflite") for letter in "abcd"]

    def turns(seed: int) -> list[str]:
        stems: list[str] = []

        def once(file: Path, threads: int, seconds: float) -> tuple[float, str]:
            stems.append(file.stem)
            return float(len(stems)), "kernels"

        monkeypatch.setattr(latency, "time_once", once)
        latencies = measure(files, rounds=6, seconds=0.1, seed=seed)
        assert [time.file for time in latencies] == files and {len(time.rounds_us) for time in latencies} == {6}
        return stems

    order = turns(0)
    rounds = [tuple(order[start : start + 4]) for start in range(0, 24, 4)]
    assert all(sorted(each) == list("abcd") for each in rounds) and len(set(rounds)) > 1
    assert order == turns(0) != turns(1)


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_worker_times_a_file(kind: str, tmp_path: Path) -> None:
    (result,) = measure([write(linear(), tmp_path, kind)], rounds=1, seconds=0.01)
    assert 0 < result.lowest_us < 1e5 and "1 thread" in result.kernels


def test_a_worker_that_fails_names_the_file_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"TFL3 and nothing else")
    with pytest.raises(ModelError, match=r"timing broken\.tflite failed: broken\.tflite can't be read as TFLite"):
        measure([tmp_path / "broken.tflite"], rounds=1, seconds=0.01)


def test_a_worker_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(EdgekdError, match=r"timing slow\.tflite took longer"):
        latency.time_once(Path("slow.tflite"), 1, 0.001)


def test_a_module_in_the_working_directory_is_not_mistaken_for_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(linear(), tmp_path, "tflite")
    (tmp_path / "statistics.py").write_text("raise SystemExit('taken for the library')")
    monkeypatch.chdir(tmp_path)
    assert measure([path], rounds=1, seconds=0.01)


def test_the_worker_imports_neither_torch_nor_pydantic() -> None:
    code = (
        "import sys, edgekd.devices.worker, edgekd.runtimes.litert, edgekd.runtimes.onnxruntime;"
        "print([m for m in ('torch', 'pydantic', 'rich') if m in sys.modules])"
    )
    command = [sys.executable, "-P", "-c", code]
    process = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "[]"


def test_the_machine_is_described_without_naming_it() -> None:
    description = host.describe()
    assert set(description) == {"cpu", "cores", "memory_bytes", "system", "architecture"}
    assert description["cores"] >= 1 and description["cpu"]
    assert platform.node() not in str(description.values())


def test_an_arm_machine_without_a_cpu_name_gives_its_architecture(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nBogoMIPS\t: 108.00\n")
    assert host._cpu(tmp_path / "cpuinfo")
