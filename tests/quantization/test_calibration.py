"""Calibration takes ranges from batches by their extremes, by a percentile, or by the least error."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edgekd.graph.capture import capture
from edgekd.quantization.calibration import BINS, Histogram, least_error, ranges, within_percentile
from edgekd.quantization.scales import from_range
from edgekd.quantization.simulate import Simulation


def observed(*batches: tuple[str, Tensor]) -> Callable[[], Iterable[tuple[str, Tensor]]]:
    return lambda: batches


def error(x: np.ndarray, low: float, high: float) -> float:
    q = from_range(low, high)
    codes = np.clip(np.rint(x / q.scale) + q.zero_point, -128, 127)
    return float(np.square((codes - q.zero_point) * q.scale - x).mean())


def test_minmax_is_the_lowest_and_the_highest_of_all_batches() -> None:
    batches = observed(("a", torch.tensor([1.0, -2.0])), ("b", torch.tensor([5.0])), ("a", torch.tensor([[3.0, 0.5]])))
    assert ranges(batches) == {"a": (-2.0, 3.0), "b": (5.0, 5.0)}


def test_a_percentile_leaves_out_its_share_at_each_end() -> None:
    values = torch.arange(0.0, 1001.0)  # 10 of 1001 are 1 %
    low, high = ranges(observed(("a", values)), "percentile", percentile=99.0)["a"]
    bin_width = 1000 / BINS
    assert 10 - 1 <= low <= 10 + bin_width
    assert 990 - bin_width <= high <= 990 + 1
    assert ranges(observed(("a", values)), "percentile", percentile=100)["a"] == (0.0, 1000.0)


def test_a_percentile_by_hand() -> None:
    histogram = Histogram(0.0, 4.0, np.array([1.0, 8.0, 0.0, 1.0]))
    assert within_percentile(histogram, 90) == (1.0, 2.0)
    assert within_percentile(histogram, 95) == (0.0, 4.0)


def test_the_least_error_gives_up_an_outlier_for_finer_steps() -> None:
    body = np.random.default_rng(0).normal(0, 1, 100_000).astype(np.float32)
    values = np.append(body, np.float32(40.0))
    low, high = ranges(observed(("a", torch.from_numpy(values))), "mse")["a"]
    ends = [(low_end, high_end) for low_end in np.linspace(-5, -2, 10) for high_end in np.linspace(4, 40, 40)]
    assert high < 36
    assert error(values, low, high) < 0.9 * error(values, float(values.min()), 40.0)
    assert error(values, low, high) < 1.02 * min(error(values, *each) for each in ends)


def test_the_least_error_keeps_the_ends_of_even_values() -> None:
    values = torch.linspace(-3, 5, 100_000)
    low, high = ranges(observed(("a", values)), "mse")["a"]
    assert low == pytest.approx(-3, abs=0.1)
    assert high == pytest.approx(5, abs=0.1)


def test_the_ends_of_a_networks_outputs_are_kept() -> None:
    values = torch.cat([torch.randn(10_000), torch.tensor([50.0])])
    assert ranges(observed(("logits", values)), "mse", unclipped={"logits"})["logits"][1] == 50.0


def test_a_constant_is_its_own_range_by_every_method() -> None:
    for method in ("minmax", "percentile", "mse"):
        assert ranges(observed(("a", torch.full((8,), 2.5))), method)["a"] == (2.5, 2.5)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.floats(-4, 4), st.floats(0.01, 50))
def test_no_search_is_worse_than_the_ends_and_none_leaves_them(seed: int, mean: float, spread: float) -> None:
    x = np.random.default_rng(seed).standard_t(3, 4000) * spread + mean
    counts, edges = np.histogram(x, BINS)
    histogram = Histogram(float(edges[0]), float(edges[-1]), counts.astype(float))
    low, high = least_error(histogram)
    assert histogram.low <= low <= high <= histogram.high
    assert error(x, low, high) <= 1.02 * error(x, histogram.low, histogram.high)


def test_a_simulation_takes_its_ranges_from_batches_that_it_goes_through_twice() -> None:
    class Batches:
        times = 0

        def __iter__(self) -> Iterator[Tensor]:
            self.times += 1
            yield from torch.tensor([[[1.0, -4.0]], [[2.0, 3.0]]])

    model, batches = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)), Batches()
    simulation = Simulation(capture(model, (2,)))
    simulation.calibrate(batches, "mse")
    assert batches.times == 2
    q = simulation.quantization("input")
    assert q.scale * (127 - q.zero_point) == pytest.approx(3, abs=0.2)
    assert q.scale * (-128 - q.zero_point) == pytest.approx(-4, abs=0.2)
