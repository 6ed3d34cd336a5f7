"""The pipeline on fake stages: what is reused, who may read what, and how a build ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import fakes
from support.fakes import build_files, make

from edgekd.config import Config
from edgekd.config.resolve import configure
from edgekd.errors import ConfigError, OverBudgetError, ParityError, StoreError
from edgekd.pipeline import build
from edgekd.pipeline.reverify import verify_files
from edgekd.pipeline.scope import UndeclaredSettingError, scoped
from edgekd.pipeline.stage import recipe
from edgekd.pipeline.store import Store


def test_a_build_leaves_its_files_and_its_report() -> None:
    log: list[str] = []
    report = make(log=log)
    assert report.target["name"] == "rpi4"
    assert set(build_files()) == {"model.tflite", "model.onnx", "report.json", "report.md", "report.html"}
    assert any(line.startswith("teacher") and "ran" in line and "98.50 %" in line for line in log)
    assert "          note: it was easy" in log


def test_the_same_build_again_reuses_everything_but_the_report(runs: Path) -> None:
    make()
    runs.unlink()
    log: list[str] = []
    make(log=log)
    assert runs.read_text().splitlines() == ["report runs"]
    assert sum("reused" in line for line in log) == 4


def test_two_targets_share_one_teacher(runs: Path) -> None:
    make("rpi4")
    runs.unlink()
    log: list[str] = []
    make("cortex-m4", log=log)
    assert "teacher runs" not in runs.read_text()
    assert "export runs" in runs.read_text()
    assert any(line.startswith("teacher") and "reused" in line for line in log)


def test_a_changed_setting_remakes_what_may_read_it_and_what_follows(runs: Path) -> None:
    make()
    runs.unlink()
    make(teacher__model="resnet32")
    assert runs.read_text().split(" runs\n")[0] == "teacher"
    runs.unlink()
    make(teacher__model="resnet32", distill__epochs=7)
    assert "teacher" not in runs.read_text()


def test_where_a_stage_runs_is_no_part_of_its_key() -> None:
    stage = fakes.stages()[0]
    assert (
        recipe(stage, configure(settings={"compute.threads": 2}), {}).key
        == recipe(stage, configure(settings={"compute.threads": 0}), {}).key
    )


def test_a_stage_that_reads_what_it_does_not_declare_is_stopped() -> None:
    with pytest.raises(UndeclaredSettingError, match=r"'curious' reads distill, which its row in pipeline.STAGES"):
        make(table=(fakes.stage(fakes.curious, settings=("data",)),))


def test_a_stage_sees_the_settings_that_it_declares_and_no_other_of_that_section() -> None:
    view = scoped(Config(), "prune", ("distill.losses", "prune"))
    assert view.prune.keep == Config().prune.keep
    assert view.distill.losses[0].name == "logits"
    assert view.seed == 0
    assert view.compute.threads == 0
    with pytest.raises(UndeclaredSettingError, match=r"reads distill\.epochs"):
        _ = view.distill.epochs


def test_limits_count_for_pruning_only_where_it_prunes_to_them() -> None:
    prune = next(stage for stage in build.STAGES if stage.name == "prune")
    assert "limits.size_bytes" not in prune.declares(configure(settings={"prune.until": "share"}))
    assert "limits.size_bytes" in prune.declares(configure(settings={"prune.until": "limits"}))


def test_the_table_reads_only_what_comes_before() -> None:
    earlier_stages: set[str] = set()
    for stage in build.STAGES:
        assert set(stage.reads) <= earlier_stages, stage.name
        earlier_stages.add(stage.name)


def test_a_full_disk_is_reported_and_the_work_so_far_kept() -> None:
    table = (*fakes.stages()[:2], fakes.stage(fakes.full))
    with pytest.raises(StoreError, match="no space left"):
        make(table=table)
    assert len(list(Path(".edgekd/teacher").iterdir())) == 1


def test_an_output_folder_that_cannot_be_written_is_refused_before_anything_runs(runs: Path) -> None:
    Path("build").write_text("a file")
    with pytest.raises(StoreError, match="build"):
        make()
    assert not runs.exists()


def test_a_part_that_cannot_be_imported_is_refused_before_anything_runs(runs: Path) -> None:
    Path("broken_nets.py").write_text("import no_such_library\n\ndef tiny():\n    pass\n")
    with pytest.raises(ConfigError, match="no_such_library"):
        make(student__model="broken_nets:tiny")
    assert not runs.exists()


def test_files_of_a_format_that_is_no_longer_asked_for_go_away() -> None:
    make()
    make(export__formats=["tflite"])
    assert "model.onnx" not in build_files()


@pytest.mark.parametrize(("verdict", "error"), [("over", OverBudgetError), ("differs", ParityError)])
def test_a_build_that_fails_its_contract_keeps_its_files(
    monkeypatch: pytest.MonkeyPatch, verdict: str, error: type[Exception]
) -> None:
    monkeypatch.setenv("FAKE_VERDICT", verdict)
    report = make()
    with pytest.raises(error, match="size 2 B is 1 B over" if verdict == "over" else "litert"):
        build.judge(report)
    assert {"model.tflite", "report.json"} <= set(build_files())


def test_work_of_other_versions_is_reused_and_mentioned_once() -> None:
    make()
    for record in Path(".edgekd").glob("*/*/artifact.json"):
        changed = json.loads(record.read_text())
        changed["versions"]["numpy"] = "1.0"
        record.write_text(json.dumps(changed))
    log: list[str] = []
    make(log=log)
    notes = [line for line in log if line.startswith("note")]
    assert len(notes) == 1
    assert "data, teacher, export, verify" in notes[0]
    assert "numpy 1.0, now" in notes[0]


def test_damaged_work_stops_the_build_by_name() -> None:
    make()
    next(Path(".edgekd/teacher").rglob("weights.txt")).write_text("")
    with pytest.raises(StoreError, match=r"weights\.txt has 0 bytes"):
        make()


def test_verify_passes_on_the_files_of_the_build() -> None:
    make()
    assert verify_files(configure("rpi4"), stages=fakes.stages())[0].passed


@pytest.mark.parametrize(
    ("content", "says"), [("tampered", "is not the file that was built"), ("garbage", "this is no model")]
)
def test_verify_finds_a_changed_file(content: str, says: str) -> None:
    make()
    Path("build/rpi4/model.tflite").write_text(content)
    with pytest.raises(ParityError, match=says):
        verify_files(configure("rpi4"), stages=fakes.stages())
    assert list(Path(".edgekd/work").iterdir()) == []


def test_verify_without_a_build_names_the_command() -> None:
    with pytest.raises(StoreError) as raised:
        verify_files(configure("rpi4"), stages=fakes.stages())
    assert "edgekd build --target rpi4" in (raised.value.remedy or "")


def test_verify_of_a_missing_file_names_it() -> None:
    make()
    Path("build/rpi4/model.onnx").unlink()
    with pytest.raises(StoreError, match=r"model\.onnx is not there"):
        verify_files(configure("rpi4"), stages=fakes.stages())


def data_key(**settings: Any) -> str:
    config = configure(settings={key.replace("__", "."): value for key, value in settings.items()})
    return recipe(build.STAGES[0], config, {}).key


def test_a_data_set_changed_on_disk_changes_the_key_and_one_that_moved_does_not(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "train.npz").write_bytes(b"one")
    before = data_key(data__name="npz", data__root="here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert data_key(data__name="npz", data__root="there") == before
    (tmp_path / "there" / "train.npz").write_bytes(b"two")
    assert data_key(data__name="npz", data__root="there") != before


def test_the_source_of_a_users_own_factory_is_in_the_key_with_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "mysets").mkdir()
    (tmp_path / "mysets" / "__init__.py").write_text("")
    (tmp_path / "mysets" / "read.py").write_text("SIZE = 1\n")
    (tmp_path / "mysets" / "sets.py").write_text("from .read import SIZE\n\ndef waves():\n    return SIZE\n")
    before = data_key(data__name="mysets.sets:waves")
    assert data_key(data__name="mysets.sets:waves") == before
    (tmp_path / "mysets" / "read.py").write_text("SIZE = 2\n")
    assert data_key(data__name="mysets.sets:waves") != before


def test_store_and_output_move_where_they_are_told(tmp_path: Path) -> None:
    config = configure("rpi4")
    build.make(config, out=tmp_path / "o", store=tmp_path / "s", stages=fakes.stages(), log=[].append)
    assert (tmp_path / "o" / "model.tflite").is_file()
    assert Store(tmp_path / "s").root.is_dir()
    assert not Path(".edgekd").exists()
