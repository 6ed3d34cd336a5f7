"""The page of a search shows every trial, keeps its plots within their frames, and is self-contained."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from edgekd.tasks.classification import WORDS
from edgekd.tuning.page import Parameter, Study, Trial, history, page, values

RATE = Parameter("distill.learning_rate", "distill.learning_rate", log=True)
KIND = Parameter("distill.optimizer", "distill.optimizer", of_numbers=False)


def trial(number: int, value: float | None, state: str = "complete", **more: Any) -> Trial:
    values = {RATE.key: 0.01 * (number + 1), KIND.key: ("sgd", "adamw")[number % 2]}
    return Trial(number, state, value, 3, values, **more)


TRIALS = (
    trial(0, 90.0, configured=True), trial(1, 12.0, "pruned"), trial(2, 94.5), trial(3, None, "failed", error="nan"),
    trial(4, 93.0),
)  # fmt: skip


def study(trials: tuple[Trial, ...] = TRIALS, best: Trial | None = TRIALS[2], **changes: Any) -> Study:
    facts: dict[str, Any] = {
        "title": "rpi4 · <data> · study s", "storage": "sqlite:///…/tune.db", "seed": 0, "epochs": 3, "samples": 200,
        "words": WORDS,
        "parameters": (RATE, KIND), "importances": {"distill.learning_rate": 0.8, "distill.optimizer": 0.2},
        "settings": {RATE.key: 0.03}, "assignments": ("distill.learning_rate=0.03",),
    }  # fmt: skip
    return Study(trials=trials, best=best, **{**facts, **changes})


def test_the_page_says_what_was_best_and_what_the_config_had_reached() -> None:
    words = " ".join(page(study()).split())
    assert "Trial 2 reached 94.50 % of the 200 validation samples; as configured, the student reached 90.00 %" in words
    assert "5 trials of up to 3 epochs, 1 of them pruned, 1 failed" in words and "The test set was not opened" in words


def test_it_needs_no_network_and_escapes_what_a_user_wrote() -> None:
    html = page(study())
    assert "http://" not in html and "https://" not in html and "<script" not in html
    assert "&lt;data&gt;" in html and "<data>" not in html


def test_every_trial_with_a_score_is_a_dot_in_every_plot() -> None:
    plots = re.findall(r"<svg.*?</svg>", page(study()), re.S)
    assert [plot.count("<circle") for plot in plots] == [4, 0, 4, 4]


@pytest.mark.parametrize("trials", [TRIALS, TRIALS[:1], TRIALS[1:2]])
def test_the_plots_keep_to_their_frames(trials: tuple[Trial, ...]) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", page(study(trials)), re.S):
        root = ElementTree.fromstring(drawing)
        _, _, width, height = map(float, root.get("viewBox", "").split())
        for shape in [*root.iter("circle"), *root.iter("text")]:
            x, y = (float(shape.get(a) or shape.get(b) or -1) for a, b in (("cx", "x"), ("cy", "y")))
            assert 0 <= x <= width and 0 <= y <= height


def test_a_hopeless_trial_does_not_squeeze_the_good_ones_together() -> None:
    plot = ElementTree.fromstring(str(history([TRIALS[0], *TRIALS[1:3], TRIALS[4]], WORDS)))
    heights = [float(circle.get("cy") or 0) for circle in plot.iter("circle")]
    assert heights[1] == max(heights) and heights[0] - heights[2] > 15  # 4.5 points, beside one that is 82 below


def test_without_a_finished_trial_the_page_says_so() -> None:
    html = page(study((), None, importances={}))
    assert "No trial was trained to its end yet" in html and "<svg" not in html


def test_layers_that_were_tried_are_told_apart_on_their_axis() -> None:
    layers = Parameter("l", "l", of_numbers=False)
    tried = [Trial(i, "complete", 90.0 + i, 3, {"l": text}) for i, text in enumerate(('["a:b", "c:d"]', '["c:d"]'))]
    words = [text.text for text in ElementTree.fromstring(str(values(tried, layers, WORDS))).iter("text")]
    assert {"2 together", "c:d"} <= set(words)
