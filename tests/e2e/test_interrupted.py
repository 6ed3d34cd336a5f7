"""Builds that are killed, interrupted or doubled: nothing is lost, and the files are those of a build left in peace."""

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
    """SIGKILL while the stage is at work: its scratch folder stays behind."""
    for _ in range(TRIES):
        process = commands.start(folder, *commands.BUILD)
        seen = commands.wait_for(process, lambda: under_way(folder, stage) != [])
        told = commands.kill(process)
        assert seen, told
        if under_way(folder, stage) and process.returncode == -signal.SIGKILL:
            return
        for finished in (folder / ".edgekd" / stage).glob("*"):
            subprocess.run(["rm", "-r", finished], check=True)  # it was quicker than we: once more
    pytest.fail(f"{stage} was never caught at work")


def test_a_build_killed_in_every_stage_ends_in_the_same_files(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    for stage in STAGES:
        kill_in(tmp_path, stage)
    done = commands.run(tmp_path, *commands.BUILD)
    assert done.returncode == 0, done.stderr
    for stage in commands.CACHED:
        assert f"{stage:9} reused" in done.stderr
    assert commands.files(tmp_path) == commands.files(finished)
    assert list((tmp_path / ".edgekd" / "work").iterdir()) == []


def stop_in_training(folder: Path, with_signal: signal.Signals, epochs: int) -> tuple[int, str]:
    """End a build when its teacher has trained some more epochs; (exit code, what it said) comes back."""
    states: set[int] = set()

    def trained() -> bool:
        for state in folder.glob(".edgekd/work/teacher-*/training.ckpt"):
            states.add(state.stat().st_mtime_ns)
        return len(states) > epochs

    process = commands.start(folder, *commands.BUILD)
    assert commands.wait_for(process, trained)
    told = commands.kill(process, with_signal)
    return process.returncode, told


def test_an_interrupted_training_goes_on_from_its_last_epoch(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    code, told = stop_in_training(tmp_path, signal.SIGINT, epochs=3)
    assert code == 130
    assert told.splitlines()[-1] == "interrupted; the same command goes on from here"
    assert "Traceback" not in told
    explained = commands.run(tmp_path, "explain", "--target", "rpi4")
    assert "\nteacher   would go on from unfinished work\n" in explained.stdout
    code, told = stop_in_training(tmp_path, signal.SIGKILL, epochs=3)
    assert code == -signal.SIGKILL
    done = commands.run(tmp_path, *commands.BUILD)
    assert done.returncode == 0, done.stderr
    (metrics,) = tmp_path.glob(".edgekd/teacher/*/metrics.json")
    found = json.loads(metrics.read_text())
    assert 6 <= found["resumed_from"] < len(found["losses"]) == 60
    assert commands.files(tmp_path) == commands.files(finished)


def test_two_builds_at_once_share_the_work(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    both = [commands.start(tmp_path, *commands.BUILD, "--out", f"build/{name}") for name in ("rpi4", "second")]
    said = [process.communicate(timeout=commands.PATIENCE)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    for stage in commands.CACHED:
        assert sum(text.count(f"{stage:9} ran") for text in said) == 1, f"{stage} was made twice"
        assert sum(text.count(f"{stage:9} reused") for text in said) == 1
    assert commands.files(tmp_path) == commands.files(finished)
    assert (tmp_path / "build/second/model.tflite").read_bytes() == commands.files(finished)["model.tflite"]
