"""Tests of builds of fake stages in other processes: killed, started twice, or under torchrun."""

import signal
from pathlib import Path

import pytest
from support.commands import PATIENCE
from support.fakes import build_files, make, stages, start, under_torchrun, wait_for

from edgekd.config.resolve import configure
from edgekd.pipeline import build


def test_a_build_killed_in_a_training_goes_on_at_its_last_epoch_and_ends_the_same(runs: Path, tmp_path: Path) -> None:
    killed = start(FAKE_STALL="teacher")
    wait_for(killed, "teacher stalls", runs)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not list(Path(".edgekd/teacher").glob("*")), "half-made work must not be seen"
    runs.unlink()
    make()
    lines = runs.read_text().splitlines()
    assert "data runs" not in lines
    assert [line for line in lines if "epoch" in line] == ["teacher epoch 2"]
    resumed = build_files()
    config = configure("rpi4")
    build.make(config, store=tmp_path / "fresh", out=tmp_path / "unbroken", stages=stages(), log=[].append)
    unbroken = {file.name: file.read_bytes() for file in (tmp_path / "unbroken").iterdir()}
    assert {n: b for n, b in resumed.items() if n.startswith("model")} == {
        n: b for n, b in unbroken.items() if n.startswith("model")
    }


def test_a_build_killed_while_it_exports_does_not_export_half_a_model(runs: Path) -> None:
    killed = start(FAKE_STALL="export")
    wait_for(killed, "export stalls", runs)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert list(Path("build/rpi4").iterdir()) == []
    make()
    assert "model.onnx" in build_files()


def test_two_builds_at_once_do_each_piece_of_work_once(runs: Path) -> None:
    both = [start(), start()]
    errors = [process.communicate(timeout=PATIENCE)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    lines = runs.read_text().splitlines()
    for name in ("data", "teacher", "export", "verify"):
        assert lines.count(f"{name} runs") == 1, name
    assert lines.count("report runs") == 2
    assert list(Path(".edgekd/work").iterdir()) == []


def test_a_second_build_says_that_it_waits(runs: Path) -> None:
    first = start(FAKE_STALL="teacher")
    wait_for(first, "teacher stalls", runs)
    second = start()
    assert second.stderr is not None
    lines = iter(second.stderr.readline, "")
    assert any("another build is making it: waiting" in line for line in lines)
    first.kill()
    first.communicate()
    second.communicate(timeout=PATIENCE)
    assert second.returncode == 0


@pytest.mark.slow
def test_under_torchrun_every_process_trains_and_one_does_the_rest(runs: Path) -> None:
    for expected in ((1, 2, 1, 1), (0, 0, 0, 1)):
        process = under_torchrun()
        assert process.returncode == 0, process.stderr
        lines = runs.read_text().splitlines()
        assert tuple(lines.count(f"{name} runs") for name in ("data", "teacher", "export", "report")) == expected
        assert process.stderr.count("data      ") == 1, "one process speaks"
        runs.unlink()


@pytest.mark.slow
def test_under_torchrun_a_failure_of_the_main_process_ends_all(runs: Path) -> None:
    Path("build").write_text("a file where a folder should be")
    process = under_torchrun()
    assert process.returncode != 0
    assert "a file stands where a folder should" in process.stderr
    assert not runs.exists()
