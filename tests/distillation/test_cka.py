"""Tests of centred kernel alignment against the formulas of its papers."""

from itertools import permutations

import numpy as np
import pytest

from edgekd.distillation.cka import LinearCKA, gram


def cka(one: np.ndarray, other: np.ndarray, batch: int | None = None, debiased: bool = True) -> float | None:
    alignment = LinearCKA(debiased=debiased)
    for start in range(0, len(one), batch or len(one)):
        part = slice(start, start + (batch or len(one)))
        alignment.add(gram(one[part]), gram(other[part]))
    return alignment.value


def test_biased_cka_is_the_papers_formula() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(20, 5)), random.normal(size=(20, 3))
    x_c, y_c = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(y_c.T @ x_c) ** 2 / (np.linalg.norm(x_c.T @ x_c) * np.linalg.norm(y_c.T @ y_c))
    assert cka(x, y, debiased=False) == pytest.approx(expected)


def test_debiased_hsic_is_the_mean_over_all_choices_of_four_samples() -> None:
    # Song et al.'s U-statistic, term by term, on a set so small that all can be listed.
    random = np.random.default_rng(2)
    k, other = (gram(random.normal(size=(5, 3))) for _ in range(2))
    terms = [k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q]) for i, j, q, r in permutations(range(5), 4)]
    alignment = LinearCKA()
    alignment.add(k, other)
    assert alignment.sums[0] == pytest.approx(np.mean(terms))


def test_cka_does_not_mind_rotation_and_scale() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(40, 6))
    rotation, _ = np.linalg.qr(random.normal(size=(6, 6)))
    assert cka(x, 3 * x @ rotation) == pytest.approx(1.0)
    assert cka(x, 3 * x @ rotation, batch=10) == pytest.approx(1.0)


def test_unrelated_wide_layers_are_near_zero_where_the_biased_value_is_near_one() -> None:
    random = np.random.default_rng(4)
    x, y = random.normal(size=(64, 1_000)), random.normal(size=(64, 1_000))
    biased, debiased = cka(x, y, debiased=False), cka(x, y, batch=32)
    assert biased is not None and biased > 0.9
    assert debiased is not None and abs(debiased) < 0.1


def test_a_layer_that_says_the_same_of_everything_has_no_cka() -> None:
    assert cka(np.ones((8, 3)), np.random.default_rng(5).normal(size=(8, 3)), debiased=False) is None
    assert cka(np.ones((3, 3)), np.ones((3, 3))) is None


def test_debiased_cka_does_not_mind_what_is_added_to_all_samples() -> None:
    random = np.random.default_rng(6)
    x, y = random.normal(size=(16, 5)), random.normal(size=(16, 4)) + random.normal(size=(16, 1))
    assert cka(x + 7.0, y - 3.0) == pytest.approx(cka(x, y))
