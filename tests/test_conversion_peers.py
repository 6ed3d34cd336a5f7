"""The parts of the comparison with other tools that can be tested without them: its rows and its helpers."""

import ast
import csv
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from benchmarks.claims import conversion_peers as driver
from benchmarks.peers.files import End
from benchmarks.peers.folding import fold
from benchmarks.peers.plot import percent, plot
from benchmarks.peers.students import by_speaker
from benchmarks.peers.tools import TOOLS
from benchmarks.peers.worker import steps_between
from edgekd import catalog

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
ASKED = (
    "model", "tool", "mode", "accuracy", "identical_share", "max_steps", "size_bytes", "convert_s", "latency_ratio",
    "note",
)  # fmt: skip


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Return the rows of faked conversions: ours takes 10 us, others take 12 us, and NNCF is not installed."""

    def convert(run: Any, settings: dict[str, Any], again: bool) -> dict[str, Any]:
        if run.name == "nncf":
            return {"note": driver.reason("ModuleNotFoundError: No module named 'nncf'", run.tool)}
        numbers = dict.fromkeys(driver.COLUMNS, 1) | {"accuracy": 97.5, "accuracy_float": 98.0}
        return {**numbers, "file": str(run.out / f"model.{run.format}"), "note": "", "versions": {"it": "1.0"}}

    def time_files(files: list[Path]) -> dict[Path, Any]:
        return {
            file: driver.Latency(file, "", (10.0, 15.0) if "edgekd" in str(file) else (13.0, 12.0)) for file in files
        }

    monkeypatch.setattr(driver, "convert", convert)
    monkeypatch.setattr(driver, "time_files", time_files)
    return driver.compare("net", tmp_path, {}, driver.parser().parse_args([]))


def test_every_tool_is_a_file_with_a_convert_function() -> None:
    for tool in TOOLS.values():
        tree = ast.parse((BENCHMARKS / "peers" / f"{tool.module}.py").read_text())
        [convert] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "convert"]
        assert [argument.arg for argument in convert.args.args] == ["job"]
        assert ast.get_docstring(tree)


def test_a_row_has_the_columns_that_were_asked_for(rows: list[dict[str, Any]]) -> None:
    assert set(ASKED) <= set(rows[0])
    assert len({tuple(row) for row in rows}) == 1
    assert len({(row["tool"], row["mode"], row["format"]) for row in rows}) == len(rows)
    recorded = BENCHMARKS / "results" / "conversion_peers.csv"
    if recorded.exists():
        with recorded.open(encoding="utf-8") as stream:
            assert next(csv.reader(stream)) == ["date", *rows[0], "command", "machine", "versions"]


def test_latency_is_the_ratio_of_lowest_medians_to_our_file_of_that_format(rows: list[dict[str, Any]]) -> None:
    ratios = {(row["tool"], row["mode"], row["format"]): row["latency_ratio"] for row in rows}
    assert ratios["edgekd", "qat", "onnx"] == 1.0
    assert ratios["tensorflow", "ptq", "tflite"] == 1.2


def test_a_row_that_cannot_run_says_what_to_install(rows: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if row["tool"] == "nncf")
    assert "pip install 'edgekd[peers]'" in row["note"]
    assert (row["accuracy"], row["latency_ratio"]) == ("", "")


def test_a_row_that_failed_names_the_error_and_not_what_was_printed_after_it() -> None:
    log = "loading\nTraceback (most recent call last):\nValueError: no such operator\nDone. Bye\n"
    assert driver.reason(log, driver.TOOLS["nncf"]) == "did not run: ValueError: no such operator"
    assert driver.reason("", driver.TOOLS["nncf"]) == "did not run: it said nothing"


def test_the_driver_stays_small_because_its_peak_memory_is_inherited() -> None:
    program = (
        "import benchmarks.claims.conversion_peers, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_the_plot_has_a_line_for_each_row_and_a_dash_for_what_is_unknown(rows: list[dict[str, Any]]) -> None:
    texts = [element.text for element in ElementTree.fromstring(str(plot([_as_read(row) for row in rows]))).iter()]
    for row in rows:
        assert f"{row['tool']}, {row['mode']}, {row['format']}" in texts
    assert texts.count("–") == 2 * 4  # NNCF's two rows have no answer to the four questions
    assert "1.20x" in texts and "+0.50" in texts


def test_almost_all_is_not_drawn_as_all() -> None:
    assert (percent(99.9999), percent(100.0)) == ("99.99 %", "100.00 %")


def test_outputs_are_compared_in_steps() -> None:
    simulated = np.array([[0.0, 1.0, 25.5]])
    assert steps_between(np.array([[0.0, 1.5, 24.5]]), simulated, 0.5).tolist() == [[0, 1, 2]]
    # A float output has no step of its own: 25.5 / 255 stands for it, and less than half of one is none.
    assert steps_between(np.array([[0.04, 1.06, 25.5]]), simulated, None).tolist() == [[0, 1, 0]]


def test_a_file_takes_codes_in_its_own_order_and_saturates() -> None:
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    end = End((2, 2, 3), np.dtype(np.int8), 0.05, -128)
    codes = end.encode(x)
    assert codes.shape == (1, 2, 2, 3)
    assert codes[0, 0, 0].tolist() == [-128, -48, 32]  # the three channels of the first pixel: 0, 4 and 8
    assert codes.max() == 92
    assert end.encode(x + 100).max() == 127
    np.testing.assert_allclose(end.decode(codes)[0, 0, 0], [0.0, 4.0, 8.0], rtol=1e-6)
    assert End((3, 2, 2), np.dtype(np.float32), None, 0).encode(x) is x


def test_folding_leaves_no_batch_norm_and_computes_the_same() -> None:
    model = catalog.load("model", "mobilenetv2")(classes=4, input_shape=(1, 8, 8), width=0.1)
    x = torch.randn(8, 1, 8, 8)
    with torch.no_grad():
        model.train()(x)  # running statistics that are not those of a fresh layer
        expected = model.eval()(x)
        logits = fold(model)(x)
    assert not [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_no_voice_is_heard_in_two_parts(tmp_path: Path) -> None:
    speaker = np.array(["anna", "ben", "cem", "dora", "eli", "fay", "", "", "", ""] * 5)
    number = np.unique(speaker, return_inverse=True)[1]
    x = np.where(speaker == "", -1, number)[:, None, None] * np.ones((1, 2, 3))
    np.savez(tmp_path / "all.npz", x=x.astype(np.float16), y=number % 2, speaker=speaker, classes=["a", "b"])
    with np.load(by_speaker(tmp_path / "all.npz", tmp_path / "split.npz")) as split:
        assert split["x_train"].shape[1:] == (1, 2, 3)
        voices = [set(split[f"x_{part}"][:, 0, 0, 0]) - {-1.0} for part in ("train", "val", "test")]
        assert sum(len(split[f"y_{part}"]) for part in ("train", "val", "test")) == len(speaker)
    assert not (voices[0] & voices[1] or voices[0] & voices[2] or voices[1] & voices[2])
    assert voices[0] and voices[2]


def _as_read(row: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in row.items()}
