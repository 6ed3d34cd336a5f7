"""Tests of the command line: one-line errors, exit codes, and no import of torch if it is not needed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import fakes
from support.commands import PATIENCE

import edgekd
from edgekd import cli
from edgekd.catalog.runtimes import RUNTIMES
from edgekd.errors import ConfigError, EdgekdError, MissingExtraError, OverBudgetError, ParityError, StoreError
from edgekd.pipeline import build, explain
from edgekd.report import pages

ROOT = Path(edgekd.__file__).parent.parent


def run(*arguments: str) -> int:
    """Run a command in this process and return its exit code."""
    with pytest.raises(SystemExit) as exit_info:
        cli.main(list(arguments))
    return int(exit_info.value.code or 0)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command line use the fake pipeline."""
    table = fakes.stages()
    make, outcomes = build.make, explain.outcomes
    monkeypatch.setattr(build, "make", lambda config, out, store: make(config, out, store, stages=table))
    monkeypatch.setattr(explain, "outcomes", lambda config, store: outcomes(config, store, stages=table))
    monkeypatch.setattr(pages, "summary", lambda report, folder: f"the table of {report.target['name']}\n")


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def make(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(build, "make", make)


@pytest.mark.usefixtures("fake")
def test_build_shows_progress_on_stderr_and_the_table_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", "--target", "rpi4") == 0
    captured = capsys.readouterr()
    assert captured.out == "the table of rpi4\n"
    assert "teacher   ran" in captured.err
    assert run("build", "--target", "rpi4") == 0
    assert "teacher   reused" in capsys.readouterr().err


@pytest.mark.usefixtures("fake")
def test_explain_shows_what_a_build_would_do_and_does_nothing(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", "--target", "rpi4", "--store", "kept") == 0
    runs.unlink()
    capsys.readouterr()
    assert run("explain", "--target", "rpi4", "--store", "kept", "--set", "teacher.model=resnet32") == 0
    data, *others = capsys.readouterr().out.splitlines()
    assert data.startswith("data      reused ")
    assert others == [
        'teacher   would run because teacher.model was "resnet20", is "resnet32"',
        "export    would run because teacher is another: it runs again",
        "verify    would run because teacher is another: it runs again",
        "report    would run: its work is never kept",
    ]
    assert not runs.exists()


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("verdict", "code", "says"), [("over", 3, "1 B over"), ("differs", 5, "outputs differ")])
def test_a_missed_contract_exits_by_its_code_after_the_table(
    verdict: str, code: int, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VERDICT", verdict)
    assert run("build", "--target", "rpi4") == code
    captured = capsys.readouterr()
    assert captured.out == "the table of rpi4\n"
    assert says in captured.err
    assert "  try: " in captured.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("wrong", "this"), 2),
        (OverBudgetError("wrong", "this"), 3),
        (MissingExtraError("wrong", "this"), 4),
        (ParityError("wrong", "this"), 5),
        (StoreError("wrong", "this"), 1),
        (EdgekdError("wrong", "this"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    error: EdgekdError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(monkeypatch, error)
    assert run("build", "--target", "rpi4") == code
    assert capsys.readouterr().err == "error: wrong\n  try: this\n"


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on from here\n"),
        (MemoryError(), 1, "error: this machine ran out of memory\n  try: "),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 1, "ran out of memory"),
        (OSError(28, "No space left on device", "/x/y"), 1, "error: no space left for /x/y\n  try: "),
        (FileNotFoundError(2, "No such file or directory", "/x/y"), 1, "error: /x/y: No such file or directory\n"),
        (KeyError("odd"), 1, "error: KeyError: 'odd'\n  this is a bug in edgekd: rerun with --debug\n"),
    ],
)
def test_nothing_escapes_as_a_traceback(
    error: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(monkeypatch, error)
    assert run("build", "--target", "rpi4") == code
    captured = capsys.readouterr().err
    assert says in captured
    assert "Traceback" not in captured


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raising(monkeypatch, KeyError("odd"))
    assert run("build", "--target", "rpi4", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_only_the_main_process_complains_of_a_config(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert run("build", "--target", "rpi5") == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["build", "check", "explain", "verify", "report", "tune"])
def test_a_missing_target_is_asked_for(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 2
    assert f"edgekd {command} --target rpi4" in capsys.readouterr().err


def test_targets_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("targets") == 0
    listed = capsys.readouterr().out
    for name in ("rpi4", "android", "cortex-m4"):
        assert name in listed
    assert run("targets", "cortex-m4") == 0
    assert "Cortex-M4F" in capsys.readouterr().out
    assert run("targets", "cortex-m5") == 2


def test_check_can_answer_for_all_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--all-targets") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["rp2040"].split()[-1] == "yes"
    assert lines["cortex-m0plus"].endswith("if pruned: size")
    assert run("check", "--all-targets", "--target", "rpi4") == 2


def test_init_writes_a_config_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("init") == 0
    Path("edgekd.toml").write_text("seed = 5\n")
    assert run("init") == 2
    assert "--force" in capsys.readouterr().err
    assert Path("edgekd.toml").read_text() == "seed = 5\n"
    assert run("init", "--force") == 0
    assert "# seed = 0" in Path("edgekd.toml").read_text()


def test_report_without_a_build_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", "--target", "rpi4") == 1
    assert "build/rpi4/report.json" in capsys.readouterr().err
    Path("build/rpi4").mkdir(parents=True)
    Path("build/rpi4/report.json").write_text("{}")
    assert run("report", "--target", "rpi4") == 1
    assert "no report of this version" in capsys.readouterr().err


def test_the_doctor_looks_at_runtimes_and_disk(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    captured = capsys.readouterr().out
    for what in ("python", "processor", "threads", "disk", "store", "LiteRT", "onnxruntime"):
        assert what in captured


def test_the_doctor_says_what_emulating_a_microcontroller_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgekd.devices.cortex_m.tools.missing_tools", lambda: "an emulator")
    assert run("doctor") == 0
    assert "can't be emulated without an emulator: apt-get install" in capsys.readouterr().out


def test_the_doctor_fails_where_a_runtime_does_not_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, row in RUNTIMES.items():
        monkeypatch.setitem(RUNTIMES, name, replace(row, package="no_such_runtime"))
    assert run("doctor") == 4
    captured = capsys.readouterr().out
    assert "fail  LiteRT       does not load: No module named 'no_such_runtime'" in captured
    assert "try: pip install" in captured
    assert "ok    TFLite Micro is not installed; pip install 'edgekd[tflm]' brings it" in captured


def test_a_mistyped_command_exits_2() -> None:
    assert run("biuld") == 2


def edgekd_in_a_process(*arguments: str, script: str = "from edgekd.cli import main; main()") -> Any:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


WITHOUT_TORCH = """
import sys
from edgekd.cli import main
try:
    main()
except SystemExit as exit_info:
    heavy = {'torch', 'numpy', 'onnx', 'rich', 'optuna', 'sqlalchemy'} & set(sys.modules)
    print('code', exit_info.code, 'heavy', *heavy)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--help", 0),
        ("--version", 0),
        ("build --help", 0),
        ("tune --help", 0),
        ("tune", 2),
        ("targets", 0),
        ("targets rpi4", 0),
        ("init", 0),
        ("explain --target rpi4", 0),
        ("explain", 2),
        ("explain --target rpi4 --set distill.epoch=3", 2),
        ("build", 2),
        ("build --target rpi5", 2),
        ("build --target rpi4 --set distill.epoch=3", 2),
        ("build --target rpi4 --set distill.epochs=many", 2),
        ("build --target rpi4 --config gone.toml", 2),
        ("check --target rpi4 --set student.model=resnet9", 2),
        ("check --target rpi4 --set student.widht=9", 2),
        ("check --target rpi4 --set student.model=nowhere.nets:Tiny", 2),
        ("verify --target rpi4 --set data.root=gone", 2),
    ],
)
def test_help_targets_and_config_errors_answer_without_torch(arguments: str, code: int) -> None:
    process = edgekd_in_a_process(*arguments.split(), script=WITHOUT_TORCH)
    assert process.stdout.splitlines()[-1] == f"code {code} heavy", process.stdout + process.stderr
    if code:
        assert process.stderr.startswith("error: ")
        assert "\n  try: " in process.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    process = subprocess.run(
        f"'{sys.executable}' -m edgekd targets cortex-m4 | true",
        shell=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.stderr == ""
