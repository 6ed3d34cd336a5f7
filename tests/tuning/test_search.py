"""Search dimensions are parsed or derived from the losses, applied to a config, and written to a file."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Config, toml
from edgekd.config.resolve import configure
from edgekd.errors import ConfigError
from edgekd.tuning import space
from edgekd.tuning.space import Dimension, Range


def with_losses(*losses: dict[str, Any], **distill: Any) -> Config:
    return Config.model_validate({"distill": {"losses": losses, **distill}})


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("distill.learning_rate=0.01:0.3:log", Dimension("distill.learning_rate", Range(0.01, 0.3, log=True))),
        ("distill.momentum=0.5:0.95", Dimension("distill.momentum", Range(0.5, 0.95))),
        ("distill.epochs=5:20", Dimension("distill.epochs", Range(5, 20, whole=True))),
        ("distill.losses.0.temperature=1.0:20", Dimension("distill.losses.0.temperature", Range(1, 20))),
        ("distill.weight_decay=1e-5:1e-2:log", Dimension("distill.weight_decay", Range(1e-5, 1e-2, log=True))),
        ('distill.optimizer=["sgd", "adamw"]', Dimension("distill.optimizer", ("sgd", "adamw"))),
        (
            'distill.losses.attention.layers=[["a:b"], ["c:d", "e:f"]]',
            Dimension("distill.losses.attention.layers", (["a:b"], ["c:d", "e:f"])),
        ),
    ],
)
def test_a_search_is_read_as_it_is_written(text: str, dimension: Dimension) -> None:
    assert space.parse(text) == dimension


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("distill.learning_rate", "neither LOW:HIGH nor a list"),
        ("distill.learning_rate=0.1", "neither LOW:HIGH nor a list"),
        ('distill.optimizer=["sgd"]', "neither LOW:HIGH nor a list"),
        ("distill.learning_rate=0.3:0.1", "0.3 is not below 0.1"),
        ("distill.learning_rate=0:0.1:log", "starts above 0"),
        ("distill.learning_rate=low:high", "no two numbers"),
    ],
)
def test_what_is_no_search_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        space.parse(text)
    assert refused.value.remedy == space.EXAMPLE


def test_the_usual_space_is_the_learning_rate_and_what_the_losses_take() -> None:
    dimensions = space.default_dimensions(with_losses({"name": "logits"}, learning_rate=0.1), {})
    assert [dimension.key for dimension in dimensions] == [
        "distill.learning_rate", "distill.losses.logits.temperature", "distill.losses.logits.hard",
    ]  # fmt: skip
    assert dimensions[0].among == Range(0.01, pytest.approx(0.3), log=True)
    assert dimensions[1].among == Range(1, 20, log=True) and dimensions[2].among == Range(0, 0.9)


def test_weights_are_searched_relative_to_the_first_losss() -> None:
    config = with_losses({"name": "logits"}, {"name": "attention", "weight": 1000}, {"name": "attention", "weight": 0})
    ranges = {
        dimension.key: dimension.among for dimension in space.default_dimensions(config, {1: [["a:b", "c:d"], ["c:d"]]})
    }
    assert "distill.losses.logits.weight" not in ranges
    assert ranges["distill.losses.attention.weight"] == Range(100, 10_000, log=True)
    assert ranges["distill.losses.attention.layers"] == (["a:b", "c:d"], ["c:d"])


def test_two_losses_of_one_name_are_told_apart_by_their_place() -> None:
    config = with_losses({"name": "attention"}, {"name": "attention", "power": 4})
    assert "distill.losses.1.weight" in [dimension.key for dimension in space.default_dimensions(config, {})]
    with pytest.raises(ConfigError, match="more than one 'attention'"):
        space.overrides(config, {"distill.losses.attention.weight": 2})


def test_values_become_settings_and_leave_the_rest_of_a_loss_alone() -> None:
    config = with_losses({"name": "logits", "hard": 0.3}, {"name": "attention", "weight": 1000})
    values = {"distill.learning_rate": 0.05, "distill.losses.logits.temperature": 7.5, "distill.losses.1.weight": 300.0}
    assert space.overrides(config, values) == {
        "distill.learning_rate": 0.05,
        "distill.losses": [
            {"name": "logits", "weight": 1.0, "hard": 0.3, "temperature": 7.5},
            {"name": "attention", "weight": 300.0},
        ],
    }


def test_a_loss_that_the_config_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no 'attention'") as refused:
        space.overrides(with_losses({"name": "logits"}), {"distill.losses.attention.weight": 2})
    assert "among logits" in (refused.value.remedy or "")


def test_what_is_printed_can_be_typed(tmp_path: Path) -> None:
    values = {"distill.losses.attention.layers": ["a:b"], "distill.losses.logits.hard": 0.25, "distill.epochs": 7}
    base = configure("rpi4", settings=['distill.losses=[{name="logits"}, {name="attention", weight=1000}]'])
    settings = space.overrides(base, values)
    config = configure("rpi4", settings=space.assignments(settings))
    assert config.distill.epochs == 7
    assert [loss.entry_options() for loss in config.distill.losses] == [{"hard": 0.25}, {"layers": ["a:b"]}]


def test_the_file_holds_all_in_which_a_config_differs_from_its_target(tmp_path: Path) -> None:
    settings = ['data.name="cifar10"', f'data.root="{tmp_path}"', "data.augment.flip=true", "seed=3", "prune.keep=0.5"]
    config = configure("rpi4", settings=[*settings, 'distill.losses=[{name="logits", temperature=2.5}]'])
    differing = space.changes(config.model_dump(mode="json"), configure("rpi4").model_dump(mode="json"))
    (tmp_path / "tuned.toml").write_text(toml.document(differing))
    assert tomllib.loads((tmp_path / "tuned.toml").read_text())["data"] == {
        "name": "cifar10", "root": str(tmp_path), "augment": {"flip": True},
    }  # fmt: skip
    assert configure("rpi4", tmp_path / "tuned.toml") == config


def test_a_value_is_tried_as_it_is_printed() -> None:
    assert space.rounded(0.0123456) == 0.01235 and space.rounded(7) == 7 and space.rounded("sgd") == "sgd"


def test_a_value_at_the_end_of_its_range_is_noticed() -> None:
    logarithmic, shares = Dimension("a.b", Range(1, 100, log=True)), Dimension("a.c", Range(0, 0.9))
    assert [space.at_edge(logarithmic, value) for value in (1.2, 10, 90)] == [True, False, True]
    assert [space.at_edge(shares, value) for value in (0.0, 0.5, 0.89)] == [False, False, True]
    assert not space.at_edge(Dimension("a.d", ("x", "y")), "x")
