"""Builds that are killed, interrupted or run twice lose nothing, and write the files of an undisturbed build."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from support import commands

pytestmark = pytest.mark.e2e
STAGES = (*commands.CACHED, "profile", "report")
TRIES = 8  # for a kill to hit a stage that is over in a moment


def under_way(folder: Path, stage: str) -> list[Path]:
    return [path for path in (folder / ".edgekd" / "work").glob(f"*{stage}[-.]*") if path.is_dir()]


def kill_in(folder: Path, stage: str) -> None:
    """Kill a build with SIGKILL while the stage runs, so that its scratch folder stays behind."""
    for _ in range(TRIES):
        process = commands.start(folder, *commands.BUILD)
        started = commands.wait_for(process, lambda: under_way(folder, stage) != [])
        output = commands.kill(process)
        assert started, output
        if under_way(folder, stage) and process.returncode == -signal.SIGKILL:
            return
        for finished in (folder / ".edgekd" / stage).glob("*"):
            subprocess.run(["rm", "-r", finished], check=True)  # it was quicker than we: once more
    pytest.fail(f"{stage} was never caught at work")


def test_a_build_killed_in_every_stage_ends_in_the_same_files(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    for stage in STAGES:
        kill_in(tmp_path, stage)
    process = commands.run(tmp_path, *commands.BUILD)
    assert process.returncode == 0, process.stderr
    for stage in commands.CACHED:
        assert f"{stage:9} reused" in process.stderr
    assert commands.files(tmp_path) == commands.files(finished)
    assert list((tmp_path / ".edgekd" / "work").iterdir()) == []


def stop_in_training(folder: Path, with_signal: signal.Signals, epochs: int) -> tuple[int, str]:
    """End a build when its teacher has trained some more epochs, and return its exit code and its output."""
    states: set[int] = set()

    def trained() -> bool:
        for state in folder.glob(".edgekd/work/teacher-*/training.ckpt"):
            states.add(state.stat().st_mtime_ns)
        return len(states) > epochs

    process = commands.start(folder, *commands.BUILD)
    assert commands.wait_for(process, trained)
    output = commands.kill(process, with_signal)
    return process.returncode, output


def test_an_interrupted_training_goes_on_from_its_last_epoch(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    code, output = stop_in_training(tmp_path, signal.SIGINT, epochs=3)
    assert code == 130
    assert output.splitlines()[-1] == "interrupted; the same command goes on from here"
    assert "Traceback" not in output
    explanation = commands.run(tmp_path, "explain", "--target", "rpi4")
    assert "\nteacher   would go on from unfinished work\n" in explanation.stdout
    code, output = stop_in_training(tmp_path, signal.SIGKILL, epochs=3)
    assert code == -signal.SIGKILL
    process = commands.run(tmp_path, *commands.BUILD)
    assert process.returncode == 0, process.stderr
    (path,) = tmp_path.glob(".edgekd/teacher/*/metrics.json")
    metrics = json.loads(path.read_text())
    assert 6 <= metrics["resumed_from"] < len(metrics["losses"]) == 60
    assert commands.files(tmp_path) == commands.files(finished)


def test_two_builds_at_once_share_the_work(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    processes = [commands.start(tmp_path, *commands.BUILD, "--out", f"build/{name}") for name in ("rpi4", "second")]
    outputs = [process.communicate(timeout=commands.PATIENCE)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    for stage in commands.CACHED:
        assert sum(text.count(f"{stage:9} ran") for text in outputs) == 1, f"{stage} was made twice"
        assert sum(text.count(f"{stage:9} reused") for text in outputs) == 1
    assert commands.files(tmp_path) == commands.files(finished)
    assert (tmp_path / "build/second/model.tflite").read_bytes() == commands.files(finished)["model.tflite"]
