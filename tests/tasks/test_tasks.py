"""Tasks are opened by name, and importing them is cheap enough for code that never trains."""

import subprocess
import sys
from pathlib import Path

import pytest

import edgekd
from edgekd import catalog
from edgekd.data.splits import open_task
from edgekd.errors import ConfigError
from edgekd.tasks.classification import CLASSIFICATION

NO_TASK = "no task"


@pytest.mark.parametrize("name", catalog.TASKS)
def test_every_task_of_the_catalog_is_called_as_its_row_is(name):
    assert open_task(name).name == name


def test_a_users_own_task_is_called_as_the_config_calls_it():
    mine = "edgekd.tasks.classification:CLASSIFICATION"
    assert open_task(mine).name == mine and open_task(mine).targets == CLASSIFICATION.targets


def test_what_is_no_task_is_refused():
    with pytest.raises(ConfigError, match="is a str"):
        open_task(f"{__name__}:NO_TASK")
    with pytest.raises(ConfigError, match="no task named 'clasification'") as caught:
        open_task("clasification")
    assert caught.value.remedy == "'classification'"


def test_who_needs_another_kind_of_answers_is_refused_by_name():
    CLASSIFICATION.require("logits", "scheme 'robust'", "another")
    with pytest.raises(ConfigError, match=r"scheme 'robust' is made for values, .* task 'classification' are logits"):
        CLASSIFICATION.require("values", "scheme 'robust'", "another")


def test_a_task_is_known_without_torch():
    script = "import sys, edgekd.tasks.classification; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(edgekd.__file__).parents[1]).returncode == 0
