"""The arena's plan gives buffers that are live at once separate bytes and overwrites inputs at their last use."""

from edgekd.formats.c.arena import Buffer, Call, InPlace, Region, plan_arena
from edgekd.formats.c.functions import Kernel

COPY, OVERWRITE = Kernel("copy", {}), Kernel("overwrite", {})


def call(source: Buffer, target: Buffer, *scratch: Buffer) -> Call:
    """Return a call that may overwrite its input, with scratch buffers."""
    overwriting = InPlace(OVERWRITE, (Region(source), *map(Region, scratch)))
    return Call(COPY, (Region(source), Region(target)), (source,), target, {source: overwriting})


def test_a_chain_of_equal_sizes_overwrites_one_buffer() -> None:
    first, second, third = (Buffer(160) for _ in range(3))
    plan = plan_arena([call(first, second), call(second, third)], [first], [third])
    assert plan.arena_bytes == 160
    assert {plan.offsets[buffer] for buffer in (first, second, third)} == {0}
    assert [call.kernel for call in plan.calls] == [OVERWRITE, OVERWRITE]


def test_what_is_still_to_be_read_is_not_overwritten() -> None:
    first, second, third = (Buffer(160) for _ in range(3))
    plan = plan_arena([call(first, second), call(first, third)], [first], [second, third])
    assert plan.calls[0].kernel == COPY and plan.calls[1].kernel == OVERWRITE
    assert plan.arena_bytes == 320
    assert plan.offsets[first] == plan.offsets[third] != plan.offsets[second]


def test_an_output_is_not_overwritten() -> None:
    first, second = Buffer(160), Buffer(160)
    plan = plan_arena([call(first, second)], [first], [first, second])
    assert plan.calls[0].kernel == COPY and plan.arena_bytes == 320


def test_overwriting_that_needs_more_scratch_than_it_saves_is_not_done() -> None:
    first, second = Buffer(16), Buffer(16)
    plan = plan_arena([call(first, second, Buffer(4096))], [first], [second])
    assert plan.calls[0].kernel == COPY and plan.arena_bytes == 32


def test_scratch_lies_beside_what_lives_at_the_time() -> None:
    first, second, scratch = Buffer(160), Buffer(160), Buffer(32)
    plan = plan_arena([call(first, second, scratch)], [first], [second])
    assert plan.arena_bytes == 192
    assert plan.offsets[scratch] == 160
