"""Tests of mistakes in a config and their error messages, and of which settings override which."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Config
from edgekd.config.mistakes import sections
from edgekd.config.resolve import configure, parse_setting
from edgekd.config.template import template
from edgekd.errors import ConfigError


def test_later_sources_overrule_earlier_ones() -> None:
    assert configure().prune.channel_multiple == 1
    assert configure("rpi4").prune.channel_multiple == 8
    Path("edgekd.toml").write_text("[prune]\nchannel_multiple = 2\nkeep = 0.5\n[quantize]\nepochs = 3\n")
    from_file = configure("rpi4")
    assert (from_file.prune.channel_multiple, from_file.prune.keep, from_file.quantize.epochs) == (2, 0.5, 3)
    typed = configure("rpi4", settings=["prune.keep=0.25"])
    assert (typed.prune.channel_multiple, typed.prune.keep) == (2, 0.25)


def test_a_named_file_takes_the_place_of_the_one_in_the_folder() -> None:
    Path("edgekd.toml").write_text("seed = 1\n")
    Path("other.toml").write_text("[distill]\nepochs = 2\n")
    config = configure(config="other.toml")
    assert (config.seed, config.distill.epochs) == (0, 2)


def test_two_settings_of_one_section_do_not_wipe_each_other_out() -> None:
    config = configure(settings=["data.augment.shift=0", "data.augment.flip=true", "data.validation=0.2"])
    assert (config.data.augment.shift, config.data.augment.flip, config.data.validation) == (0, True, 0.2)


def test_one_setting_of_a_table_leaves_the_defaults_of_its_others() -> None:
    assert configure(settings=["data.augment.flip=true"]).data.augment.shift == Config().data.augment.shift


def test_options_of_an_entry_stand_beside_its_name() -> None:
    config = configure(settings=["distill.losses=[{name = 'logits', temperature = 2.0, weight = 0.5}]"])
    assert config.distill.losses[0].entry_options() == {"temperature": 2.0}
    assert config.distill.losses[0].weight == 0.5


def test_the_python_form_takes_values_as_they_are(tmp_path: Path) -> None:
    config = configure("rpi4", settings={"data.name": "npz", "data.root": tmp_path, "limits.size_bytes": "1 kB"})
    assert config.data.root == tmp_path
    assert config.limits.size_bytes == 1000


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert configure(settings=["data.name=npz", "data.root=~"]).data.root == tmp_path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=3", 3),
        ("a.b=3.5", 3.5),
        ("a.b = true", True),
        ('a.b="3"', "3"),
        ("a.b=mnist", "mnist"),
        ("a.b=/data/mnist", "/data/mnist"),
        ("a.b=mypkg.nets:Tiny", "mypkg.nets:Tiny"),
        ("a.b=", ""),
        ("a.b=x=y", "x=y"),
        ("a.b=[1, 2]", [1, 2]),
        ("a.b=1\nc = 2", "1\nc = 2"),
    ],
)
def test_a_value_is_toml_where_it_can_be_and_text_where_not(text: str, value: Any) -> None:
    assert parse_setting(text) == ("a.b", value)


# (what is wrong, edgekd.toml, --set, target, parts of the error, part of the remedy)
BAD: list[tuple[str, str, list[str], str | None, list[str], str]] = [
    ("no TOML", "[prune\nkeep = 1", [], None, ["edgekd.toml is not TOML", "line 1"], "mend"),
    ("no quotes", "[data]\nname = digits", [], None, ["edgekd.toml is not TOML", "line 2"], "quotes"),
    ("twice", "seed = 1\nseed = 2", [], None, ["edgekd.toml is not TOML"], "mend"),
    ("misspelt section", "[quantise]\nepochs = 1", [], None, ["unknown setting quantise", "edgekd.toml"], "quantize"),
    ("misspelt setting", "[quantize]\nepoch = 1", [], None, ["quantize.epoch", "edgekd.toml"], "quantize.epochs"),
    ("misspelt --set", "", ["distill.learningrate=1"], None, ["distill.learningrate", "--set"], "learning_rate"),
    ("inner setting", "", ["data.augment.shfit=1"], None, ["data.augment.shfit"], "data.augment.shift"),
    ("no section", "", ["epochs=3"], None, ["unknown setting epochs"], ".epochs"),
    ("wrong section", "", ["export.criterion=taylor"], None, ["export.criterion"], "prune.criterion"),
    (
        "a loss's own",
        "",
        ["distill.temprature=3"],
        None,
        ["unknown setting distill.temprature"],
        '"logits", temperature',
    ),
    ("nonsense", "", ["zzz.qqq=3"], None, ["unknown setting zzz"], "one of seed, task, data"),
    ("no value", "", ["seed"], None, ["'seed' is not key=value"], "--set distill.epochs=20"),
    ("no key", "", ["=3"], None, ["is not key=value"], "--set"),
    ("half a key", "", ["distill.=3"], None, ["is not key=value"], "--set"),
    ("text for a number", "", ["distill.epochs=many"], None, ["distill.epochs", "integer", "'many'"], "40"),
    ("zero epochs", "", ["teacher.epochs=0"], None, ["teacher.epochs", "greater than 0"], "30"),
    ("negative rate", "", ["quantize.learning_rate=-1"], None, ["quantize.learning_rate", "not -1"], "0.0005"),
    ("infinite rate", "", ["quantize.learning_rate=inf"], None, ["quantize.learning_rate", "finite"], "0.0005"),
    ("keep of 2", "", ["prune.keep=2"], None, ["prune.keep", "less than or equal to 1"], "0.6"),
    ("unknown choice", "", ["distill.optimizer=adam"], None, ["distill.optimizer", "'adam'"], '"adamw"'),
    ("unknown format", "", ['export.formats=["tflit"]'], None, ["export.formats.0"], '"tflite"'),
    ("no format", "", ["export.formats=[]"], None, ["export.formats", "empty"], "['tflite', 'onnx']"),
    ("value for a table", "prune = 3", [], None, ["prune must be a table"], "[prune]"),
    ("table for a value", "[seed]\nx = 1", [], None, ["seed"], "0"),
    ("bad size", "", ["limits.size_bytes=lots"], None, ["limits.size_bytes"], "512 KiB"),
    (
        "the limit's old name",
        "",
        ["limits.accuracy_drop=1"],
        None,
        ["setting limits.accuracy_drop"],
        "limits.score_drop",
    ),
    ("unknown task", "", ["task=clasification"], None, ["no task named 'clasification'", "--set"], "'classification'"),
    ("unknown model", "", ["student.model=resnet9"], None, ["student.model", "no model named 'resnet9'"], "'resnet8'"),
    ("unknown data set", "", ["data.name=digit"], None, ["data.name", "'digit'"], "'digits'"),
    ("unknown loss", "", ["distill.losses=[{name='logit'}]"], None, ["distill.losses[0].name"], "'logits'"),
    ("unknown criterion", "", ["prune.criterion=magnitud"], None, ["prune.criterion"], "'magnitude'"),
    ("unknown option", "", ["prune.criterion=magnitude", "prune.nrom=1"], None, ["prune.nrom"], "prune.norm"),
    ("no such module", "", ["student.model=nowhere.nets:Tiny"], None, ["nowhere.nets"], "nowhere"),
    ("no data", "", ["data.name=idx", "data.root=gone"], None, ["data.root", "gone"], "--set data.root"),
    ("no checkpoint", "", ["teacher.checkpoint=gone.pt"], None, ["teacher.checkpoint", "gone.pt"], "--set"),
    ("folder as checkpoint", "", ["teacher.checkpoint=."], None, ["is a folder"], "FILE"),
    ("unknown target", "", [], "rpi5", ["'rpi5'", "cortex-m4"], "rpi4"),
    ("no target file", "", [], "boards/mine.toml", ["boards/mine.toml"], "rpi4"),
]


@pytest.mark.parametrize(("name", "toml", "settings", "target", "says", "remedy"), BAD, ids=[row[0] for row in BAD])
def test_what_is_wrong_is_said_by_name_with_a_remedy(
    name: str, toml: str, settings: list[str], target: str | None, says: list[str], remedy: str
) -> None:
    if toml:
        Path("edgekd.toml").write_text(toml)
    with pytest.raises(ConfigError) as raised:
        configure(target, settings=settings)
    for part in says:
        assert part in raised.value.what
    assert remedy in (raised.value.remedy or "")
    assert "\n" not in raised.value.what
    assert raised.value.exit_code == 2


def test_a_config_that_is_not_there_and_one_that_is_no_text() -> None:
    with pytest.raises(ConfigError, match=r"there is no file gone\.toml"):
        configure(config="gone.toml")
    with pytest.raises(ConfigError, match="can't be read"):
        configure(config=".")
    Path("binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        configure(config="binary.toml")


def test_the_written_template_is_all_defaults() -> None:
    Path("edgekd.toml").write_text(template())
    assert configure() == Config()


def test_every_line_of_the_template_may_be_taken_in() -> None:
    lines = []
    for line in template().splitlines():
        setting = line.removeprefix("# ")
        is_setting = (
            line.startswith("# ") and " = " in setting.partition("#")[0] and setting.split(" = ")[0].isidentifier()
        )
        has_value = is_setting and not setting.split(" = ", 1)[1].strip().startswith("#")
        lines.append(setting if has_value else "" if is_setting else line)
    text = "\n".join(lines)
    assert f"epochs = {Config().distill.epochs}" in text
    assert "shift = 1" in text
    parsed = tomllib.loads(text)
    assert set(parsed) == {"seed", "task", *sections()} - {"device"}
    Path("edgekd.toml").write_text(text)
    assert configure() == Config()


def test_the_template_explains_what_it_names() -> None:
    lines = [line for line in template().splitlines() if "temperature" not in line and " = " in line]
    explained = [line for line in lines if line.count("#") == 2]
    assert len(explained) > 0.8 * len(lines)
