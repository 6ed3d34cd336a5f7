"""Outputs of foreign models are converted into logits and probabilities of all classes."""

import numpy as np

from edgekd.tasks.classification.answers import look_like_probabilities, of_all_classes


def test_logits_that_look_like_probabilities_are_noticed():
    assert look_like_probabilities(np.array([[0.25, 0.75], [1, 0]]))
    assert not look_like_probabilities(np.array([[0.25, 0.75], [2, 0]]))
    assert not look_like_probabilities(np.array([[-0.25, 1.25], [1, 0]]))


def test_the_rest_of_the_mass_is_spread_evenly_over_the_other_classes():
    probabilities = of_all_classes(np.array([[3, 1]]), np.array([[0.5, 0.2]]), 5, "it")
    np.testing.assert_allclose(probabilities, [[0.1, 0.2, 0.1, 0.5, 0.1]])
    complete = of_all_classes(np.array([[1, 0]]), np.array([[0.6, 0.4]]), 2, "it")
    np.testing.assert_allclose(complete, [[0.4, 0.6]])
