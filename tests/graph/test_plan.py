"""Tests the memory plan against a plan computed by hand, and that buffers that live at once never overlap."""

from hypothesis import given
from hypothesis import strategies as st
from support.networks import Everything
from torch import nn

from edgekd.graph import plan
from edgekd.graph.capture import capture
from edgekd.graph.plan import Lifetime


def test_a_chain_needs_its_two_largest_neighbours() -> None:
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 16))
    graph = capture(model, (64,))
    assert plan.peak_ram_bytes(graph) == 64 + 128  # 128 + 32 and 32 + 16 are less
    assert plan.peak_ram_bytes(graph, bytes_per_element=4) == 4 * (64 + 128)


def test_memory_peaks_at_the_operator_whose_neighbours_are_largest() -> None:
    model = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 128), nn.Linear(128, 96), nn.Linear(96, 8))
    assert plan.peak_operator(capture(model, (64,))).name == "2"  # 128 + 96 are more than 32 + 128 and 96 + 8


def test_a_shortcut_keeps_its_tensor_alive() -> None:
    class Shortcut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x: object) -> object:
            return x + self.b(self.a(x))  # type: ignore[operator, arg-type]

    assert plan.peak_ram_bytes(capture(Shortcut(), (64,))) == 3 * 64


def test_a_reshape_takes_no_memory() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    assert plan.peak_ram_bytes(capture(model, (1, 8, 8))) == 64 + 144


def test_a_padded_copy_is_counted_where_tflite_has_to_make_one() -> None:
    strided = capture(nn.Sequential(nn.Conv2d(4, 4, 3, stride=2, padding=1)), (4, 8, 8))
    names = [buffer.name for buffer in plan.lifetimes(strided)]
    assert "0 (padded input)" in names  # torch pads (1, 1), SAME would pad (0, 1)
    same = capture(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1)), (4, 8, 8))
    assert len(plan.lifetimes(same)) == 2


buffers = st.lists(
    st.tuples(st.integers(1, 1000), st.integers(0, 12), st.integers(0, 6)).map(lambda b: (b[0], b[1], b[1] + b[2])),
    max_size=15,
)


@given(buffers)
def test_buffers_that_live_at_once_never_overlap(drawn: list[tuple[int, int, int]]) -> None:
    lifetimes = [Lifetime(str(i), size, first, last) for i, (size, first, last) in enumerate(drawn)]
    placement = plan.place(lifetimes)
    for a in lifetimes:
        assert placement.offsets[a.name] % plan.ALIGNMENT == 0
        assert placement.offsets[a.name] + a.size <= placement.arena_bytes
        for b in lifetimes:
            if a.name < b.name and a.first <= b.last and b.first <= a.last:
                start_a, start_b = placement.offsets[a.name], placement.offsets[b.name]
                assert start_a + a.size <= start_b or start_b + b.size <= start_a


def test_the_arena_is_no_smaller_than_what_lives_at_once() -> None:
    lifetimes = plan.lifetimes(capture(Everything(), (3, 16, 16)))
    at_once = max(sum(b.size for b in lifetimes if b.first <= i <= b.last) for i in range(-1, 20))
    assert plan.place(lifetimes).arena_bytes >= at_once


def test_a_layer_norm_counts_the_real_values_that_it_computes_on() -> None:
    graph = capture(nn.Sequential(nn.LayerNorm(16)), (8, 16))
    assert plan.peak_ram_bytes(graph) == 2 * 128 + 2 * 4 * 128
