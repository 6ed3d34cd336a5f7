"""Tests of the reason why a stage runs again: one line that is the same in `edgekd explain` and in the build's log."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support import fakes
from support.faults import file, nothing

from edgekd.config.resolve import configure
from edgekd.errors import StoreError
from edgekd.pipeline import build, fingerprints
from edgekd.pipeline.explain import outcomes
from edgekd.pipeline.reasons import Difference, compare, compare_with_nearest, reason
from edgekd.pipeline.stage import Stage
from edgekd.pipeline.store import Recipe, Record
from edgekd.pipeline.versions import stage_version

KEPT = " (the store keeps the other: same settings, same work)"
LOSS = {"name": "logits", "temperature": 4}
MOBILE = {"student.model": "mobilenetv2"}
NPZ = {"data.name": "npz", "data.root": "sets"}
OWN = {"student.model": "mypkg.nets:Tiny"}


def table() -> tuple[Stage, ...]:
    """Return the fake pipeline, whose teacher may read all that the stages of the real pipeline read together."""
    data, teacher, *others = fakes.stages()
    read = (*teacher.settings, "student", "distill", "stored_views")
    prints = (fingerprints.teacher, fingerprints.student)
    return (
        replace(data, fingerprints=(fingerprints.data,)),
        replace(teacher, settings=read, fingerprints=prints),
        *others,
    )


def build_log(stages: tuple[Stage, ...], settings: dict[str, Any], **places: str) -> list[str]:
    """Run a build and return its log."""
    log: list[str] = []
    build.make(configure("rpi4", settings=settings), stages=stages, log=log.append, **places)
    return log


def explanations(stages: tuple[Stage, ...], settings: dict[str, Any], **places: str) -> dict[str, str]:
    """Return what a build would do with each stage, keyed by stage."""
    config = configure("rpi4", settings=settings)
    return {outcome.stage: outcome.says for outcome in outcomes(config, stages=stages, **places)}


def newer(stage: str) -> None:
    """Increase the version of a stage, as an update of edgekd does."""
    sys.modules[f"fakes_{stage}"].VERSION = 5  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Cause:
    """Two builds with a change in between, and the reason why a stage runs again in the second.

    Attributes:
        title: the name of the test case.
        reason: the expected reason.
        before, now: the settings of the first and the second build.
        files: the contents of files that exist before the first build, keyed by path.
        happens: the change between the two builds.
        stage: the stage that runs again.
    """

    title: str
    reason: str
    before: dict[str, Any] = field(default_factory=dict)
    now: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    happens: Callable[[], None] = nothing
    stage: str = "teacher"


CAUSES = (
    Cause("a number", f"prune.channel_multiple was 4, is 2{KEPT}", {"prune.channel_multiple": 4},
          {"prune.channel_multiple": 2}, stage="export"),
    Cause("a text", f'teacher.model was "resnet20", is "resnet32"{KEPT}', now={"teacher.model": "resnet32"}),
    Cause("a list", f'export.formats was ["tflite", "onnx"], is ["onnx"]{KEPT}', now={"export.formats": ["onnx"]},
          stage="export"),
    Cause("a setting that was not set", f"data.limit was not set, is 100{KEPT}", now={"data.limit": 100}, stage="data"),
    Cause("an option of a model", f"student.width was 0.25, is 0.35{KEPT}", {**MOBILE, "student.width": 0.25},
          {**MOBILE, "student.width": 0.35}),
    Cause("an option that is left out", f"student.width was 0.25, is left out{KEPT}",
          {**MOBILE, "student.width": 0.25}, MOBILE),
    Cause("an option of a loss", f"distill.losses[0].temperature was 4, is 3{KEPT}", {"distill.losses": [LOSS]},
          {"distill.losses": [{**LOSS, "temperature": 3}]}),
    Cause("an equal number of another type", f"distill.losses[0].temperature was 4, is 4.0{KEPT}",
          {"distill.losses": [LOSS]}, {"distill.losses": [{**LOSS, "temperature": 4.0}]}),
    Cause("another loss beside the first", f'distill.losses[1] was left out, is {{ name = "dkd", weight = 0.5 }}{KEPT}',
          {"distill.losses": [LOSS]}, {"distill.losses": [LOSS, {"name": "dkd", "weight": 0.5}]}),
    Cause("what follows from settings of other stages",
          f"stored_views, which follows from other settings, was 8, is 0{KEPT}", {"distill.epochs": 4},
          {"distill.epochs": 4, "prune.epochs": 1, "quantize.epochs": 1}),
    Cause("a setting and what follows from it", f"distill.views was 8, is 4{KEPT}", now={"distill.views": 4}),
    Cause("two settings", f'export.input_dtype was "int8", is "uint8", and 1 more difference{KEPT}', {"prune.steps": 5},
          {"prune.steps": 3, "export.input_dtype": "uint8"}, stage="export"),
    Cause("several settings", f"student.width was 0.25, is 0.35, and 2 more differences{KEPT}",
          {**MOBILE, "student.width": 0.25},
          {**MOBILE, "student.width": 0.35, "distill.seeds": 2, "distill.baseline": False}),
    Cause("a data set on disk", "data.root has other contents", NPZ, NPZ, {"sets/train.npz": "one"},
          file("sets/train.npz", "two"), stage="data"),
    Cause("a checkpoint", "teacher.checkpoint has other contents", {"teacher.checkpoint": "t.pt"},
          {"teacher.checkpoint": "t.pt"}, {"t.pt": "one"}, file("t.pt", "two")),
    Cause("a teacher's answers", "teacher.answers has other contents", {"teacher.answers": "t.npz"},
          {"teacher.answers": "t.npz"}, {"t.npz": "one"}, file("t.npz", "two")),
    Cause("a checkpoint where there was none", "student.checkpoint was not set, is set", {},
          {"student.checkpoint": "s.pt"}, {"s.pt": "one"}),
    Cause("no checkpoint where there was one", "student.checkpoint was set, is not set", {"student.checkpoint": "s.pt"},
          {}, {"s.pt": "one"}),
    Cause("the user's own module", "mypkg.nets:Tiny was changed", OWN, OWN,
          {"mypkg/nets.py": "from .parts import W\n\ndef Tiny(): ...", "mypkg/parts.py": "W = 1"},
          file("mypkg/parts.py", "W = 2")),
    Cause("a model of the user's own", f'student.model was "resnet8", is "mypkg.nets:Tiny"{KEPT}', {}, OWN,
          {"mypkg/nets.py": "def Tiny(): ..."}),
    Cause("a new version of edgekd's stage", "the stage's code is newer: version 5, was 1",
          happens=lambda: newer("teacher")),
    Cause("an earlier stage", "teacher is another: it runs again", now={"teacher.epochs": 3}, stage="export"),
    Cause("an earlier stage, which gives its own reason, beside a setting", "prune.channel_multiple was 4, is 2",
          {"prune.channel_multiple": 4}, {"prune.channel_multiple": 2, "teacher.epochs": 3}, stage="export"),
)  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.title.replace(" ", "-"))
def test_a_stage_that_runs_again_names_its_cause(cause: Cause) -> None:
    for name, content in cause.files.items():
        file(name, content)()
    stages = table()
    first = build_log(stages, cause.before)
    cause.happens()
    would = explanations(stages, cause.now)[cause.stage]
    log = build_log(stages, cause.now)
    assert f"{cause.stage:9} runs again: {cause.reason}" in log
    assert would == f"would run because {cause.reason.removesuffix(KEPT)}"
    assert not any("again" in line for line in first)
    assert sum(line.startswith(f"{cause.stage:9} runs again") for line in log) == 1


def test_before_the_first_build_no_stage_was_made_and_looking_leaves_nothing_behind(own_folder: Path) -> None:
    would = explanations(table(), {})
    assert {would[stage] for stage in ("data", "teacher", "export", "verify")} == {"would run: never made before"}
    assert list(own_folder.iterdir()) == []


def test_finished_work_is_reused_by_its_key_and_reports_are_never_kept() -> None:
    stages = table()
    build_log(stages, {})
    would = explanations(stages, {})
    for stage in ("data", "teacher", "export", "verify"):
        (folder,) = Path(".edgekd", stage).iterdir()
        assert would[stage].startswith(f"reused {folder.name[:8]} (finished ")
    assert would["report"] == "would run: its work is never kept"


def interrupted(stage: str, settings: dict[str, Any]) -> dict[str, str]:
    """Return what a build would do with each stage after a build that was interrupted half-way through `stage`."""
    stages = table()
    build_log(stages, {})

    def run(config: Any, read: Any, out: Path) -> None:
        (out / "training.ckpt").write_text("1")
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sys.modules[f"fakes_{stage}"], "run", run)
        build_log(stages, settings)
    return explanations(stages, settings)


def test_an_interrupted_training_would_go_on_and_what_follows_would_run() -> None:
    would = interrupted("teacher", {"teacher.epochs": 3})
    assert would["teacher"] == "would go on from unfinished work"
    assert would["export"] == "would run because teacher is another: it runs again"


def test_an_interrupted_stage_that_does_not_train_would_run_from_its_start() -> None:
    would = interrupted("export", {"teacher.epochs": 3})
    assert would["teacher"].startswith("reused ")
    assert would["export"] == "would run because teacher is another"


def test_another_store_knows_nothing_of_this_one() -> None:
    stages = table()
    build_log(stages, {}, store="one")
    assert explanations(stages, {"teacher.epochs": 3}, store="other")["teacher"] == "would run: never made before"
    assert explanations(stages, {"teacher.epochs": 3}, store="one")["teacher"].startswith("would run because")


def test_damaged_work_that_would_be_reused_is_an_error_and_other_damaged_work_is_none() -> None:
    stages = table()
    build_log(stages, {})
    (record,) = Path(".edgekd/teacher").glob("*/artifact.json")
    record.write_text("{")
    assert explanations(stages, {"teacher.epochs": 3})["teacher"] == "would run: never made before"
    with pytest.raises(StoreError, match=r"artifact\.json can't be read"):
        explanations(stages, {})


def finished(created: str, **settings: Any) -> Record:
    return Record(Recipe("distill", 1, settings), created)


def test_the_comparison_is_with_the_fewest_differences_then_the_most_recent() -> None:
    recipe = Recipe("distill", 1, {"seed": 0, "student": {"width": 1, "depth": 1}})
    records = [
        finished("2026-01-01T10:00:00+00:00", seed=0, student={"width": 2, "depth": 1}),
        finished("2026-01-01T09:30:00-02:00", seed=0, student={"width": 3, "depth": 1}),  # 11:30 UTC, the latest record
        finished("2026-01-02T10:00:00+00:00", seed=1, student={"width": 4, "depth": 1}),
    ]
    assert compare_with_nearest(recipe, records) == (Difference("setting", "student.width", 3, 1),)
    assert compare_with_nearest(recipe, []) == ()


def test_causes_come_before_their_consequences() -> None:
    finished_one = Recipe("distill", 1, {"seed": 0}, {"data": "a"}, {"nets:N": "b", "data.root": "c"})
    recipe = Recipe("distill", 2, {"seed": 1}, {"data": "A"}, {"nets:N": "B", "data.root": "C"})
    kinds = [difference.kind for difference in compare(recipe, finished_one)]
    assert kinds == ["version", "setting", "file", "code", "stage"]


def test_an_earlier_stage_is_counted_unless_it_runs_as_well_and_gives_its_own_reason() -> None:
    finished_one = Recipe("distill", 1, {"seed": 0}, {"data": "a"})
    differences = compare(Recipe("distill", 1, {"seed": 1}, {"data": "A"}), finished_one)
    assert reason(differences) == "seed was 0, is 1, and 1 more difference"
    assert reason(differences, running=["data"]) == "seed was 0, is 1"


def test_a_long_value_is_cut_so_that_a_reason_stays_one_line() -> None:
    line = reason(compare(Recipe("data", 1, {"data": {"mean": [0.5] * 99, "root": "a\nb"}}), Recipe("data", 1)))
    assert "\n" not in line and len(line) < 100 and "…" in line


def test_the_version_of_every_stage_can_be_read_without_importing_it() -> None:
    for stage in build.STAGES:
        assert stage_version(stage.module_name) == stage.load().VERSION


def test_the_record_of_finished_work_gives_back_its_recipe() -> None:
    stages = table()
    build_log(stages, {"distill.losses": [LOSS]})
    (record,) = Path(".edgekd/teacher").glob("*/artifact.json")
    assert json.loads(record.read_text())["key"] == record.parent.name
    _, store = build.folders(configure("rpi4"), None, None)
    assert [each.recipe.key for each in store.records("teacher")] == [record.parent.name]
