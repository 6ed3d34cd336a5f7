"""Tests of targets: the shipped ones are complete, and a user's own is checked when it is read."""

from pathlib import Path

import pytest

from edgekd.config import targets
from edgekd.config.resolve import configure
from edgekd.errors import ConfigError

README = targets.folder() / "README.md"


@pytest.mark.parametrize("name", targets.names())
def test_a_shipped_target_is_a_whole_config(name: str) -> None:
    config = configure(name)
    assert config.device.name == name
    assert config.device.title
    assert config.device.architecture
    assert config.limits.size_bytes is not None
    assert config.limits.latency_ms is None, "nothing here can fill it yet"
    assert config.prune.channel_multiple in (4, 8)


@pytest.mark.parametrize("name", targets.names())
def test_targets_leave_data_teacher_and_student_alone(name: str) -> None:
    with_target, plain = configure(name), configure()
    assert (with_target.data, with_target.teacher, with_target.student, with_target.distill) == (
        plain.data,
        plain.teacher,
        plain.student,
        plain.distill,
    )


@pytest.mark.parametrize("name", targets.names())
def test_every_number_of_a_shipped_target_names_its_source(name: str) -> None:
    for line in (targets.folder() / f"{name}.toml").read_text().splitlines():
        setting, _, source = line.partition("#")
        if "=" in setting and any(character.isdigit() for character in setting.partition("=")[2]):
            assert source.strip() or "title" in setting, line


def test_the_readme_explains_every_field() -> None:
    text = README.read_text()
    config = configure()
    for field in (*type(config.device).model_fields, *type(config.limits).model_fields):
        assert f"| `{field}` |" in text, field


def test_the_three_targets_of_the_first_version_are_there() -> None:
    assert {"rpi4", "android", "cortex-m4"} <= set(targets.names())


def test_a_users_own_target_is_named_by_its_path() -> None:
    Path("boards").mkdir()
    Path("boards/mine.toml").write_text(
        '[device]\ntitle = "Mine"\n[limits]\nsize_bytes = "64 KiB"\n[settings.prune]\nchannel_multiple = 2\n'
    )
    config = configure("boards/mine.toml")
    assert (config.device.name, config.limits.size_bytes, config.prune.channel_multiple) == ("mine", 65536, 2)


@pytest.mark.parametrize(
    ("toml", "says", "remedy"),
    [
        ("[limit]\nsize_bytes = 1", "no table [limit]", "[limits]"),
        ("limits = 3", "limits must be a table", "[limits]"),
        ("[settings]\nprune = 3", "settings.prune must be a table", "[settings.prune]"),
        ("[settings.teacher]\nepochs = 3", "can't set teacher", "edgekd.toml"),
        ("[settings.prun]\nkeep = 0.3", "can't set prun", "[settings.prune]"),
        ("[limits]\naccuracy_drop = 1", "unknown setting limits.accuracy_drop (mine.toml)", "limits.score_drop"),
        ("[limits]\nsize = 1", "unknown setting limits.size (mine.toml)", "limits.size_bytes"),
        ("[device]\ncores = 0", "device.cores", "1"),
        ("[device]\nruntime = 'LiteRT (XNNPACK)'", "'litert', 'onnxruntime'", 'device.runtime = "litert"'),
        ("[device]\nruntime = 'TFLite Micro'", "'tflite-micro'", 'device.runtime = "tflite-micro"'),
        ("[device", "is not TOML", "mend"),
    ],
)
def test_what_is_wrong_with_a_target_is_said_by_name(toml: str, says: str, remedy: str) -> None:
    Path("mine.toml").write_text(toml)
    with pytest.raises(ConfigError) as raised:
        configure("mine.toml")
    assert says in raised.value.what
    assert remedy in (raised.value.remedy or "")
