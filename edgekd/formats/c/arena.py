"""Plan the arena of a C file: the offset of each buffer, and the calls that overwrite their inputs in place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgekd.formats.c.functions import Kernel
from edgekd.graph.plan import Lifetime, place


@dataclass(eq=False)
class Buffer:
    """A buffer in the arena or an array of constants in the file, compared by identity.

    Attributes:
        size: length in bytes.
        constant: name of the array of constants; "" for a buffer in the arena.
        word: bytes of an element.
    """

    size: int
    constant: str = ""
    word: int = 1


@dataclass(frozen=True)
class Region:
    """A part of a buffer that is an argument of a call.

    Attributes:
        offset: start in the buffer, in elements.
        type: type of the pointer; "" for `int8_t *`.
    """

    buffer: Buffer
    offset: int = 0
    type: str = ""


@dataclass(frozen=True)
class InPlace:
    """The kernel and arguments of a call whose output overwrites its input; a buffer of this call alone is scratch."""

    kernel: Kernel
    arguments: tuple[Region | str, ...]


@dataclass(frozen=True)
class Call:
    """One call of a function.

    Attributes:
        reads, writes: buffers of the arena, independent of the order of the arguments.
        overwrites: for each buffer that the output may overwrite, the call that does so.
        layer: name and description of the layer, for a comment.
        checked: whether the function returns a status, which is not 0 for an invalid input.
    """

    kernel: Kernel
    arguments: tuple[Region | str, ...]
    reads: tuple[Buffer, ...]
    writes: Buffer
    overwrites: dict[Buffer, InPlace] = field(default_factory=dict)
    layer: str = ""
    checked: bool = False


@dataclass(frozen=True)
class Plan:
    """The calls of one inference and the offsets of their buffers.

    Attributes:
        calls: calls in order, with the in-place form where the output overwrites an input.
        offsets: offset of each buffer from the arena's start, in bytes.
        arena_bytes: size of the arena.
    """

    calls: tuple[Call, ...]
    offsets: dict[Buffer, int]
    arena_bytes: int

    def offset(self, region: Region) -> int:
        """Return a region's offset from the arena's start, in bytes."""
        return self.offsets[region.buffer] + region.offset * region.buffer.word


def plan_arena(calls: Sequence[Call], inputs: Sequence[Buffer], outputs: Sequence[Buffer]) -> Plan:
    """Return the smallest of three plans: overwrite inputs wherever it is safe, only at equal sizes, or never.

    Args:
        inputs, outputs: buffers that are live before the first call, and after the last one.
    """
    plans = [_plan(calls, inputs, outputs, min_ratio) for min_ratio in (0.0, 1.0, 2.0)]
    return min(plans, key=lambda plan: plan.arena_bytes)


def _plan(calls: Sequence[Call], inputs: Sequence[Buffer], outputs: Sequence[Buffer], min_ratio: float) -> Plan:
    """Return the plan that overwrites an input where the output is at least `min_ratio` times as long."""
    last_use = dict.fromkeys((*inputs, *(call.writes for call in calls)), -1)
    for i, call in enumerate(calls):
        last_use.update(dict.fromkeys(call.reads, i))
    last_use.update(dict.fromkeys(outputs, len(calls)))
    owner: dict[Buffer, Buffer] = {buffer: buffer for buffer in last_use}
    result = list[Call]()
    for i, call in enumerate(calls):
        target = _overwritable_input(call, i, last_use, min_ratio)
        if target is None:
            result.append(call)
            continue
        owner[call.writes], in_place = owner[target], call.overwrites[target]
        result.append(replace(call, kernel=in_place.kernel, arguments=in_place.arguments))
    lifetimes, keys = _lifetimes(result, owner, inputs, last_use)
    placement = place(lifetimes)
    offsets = {buffer: placement.offsets[key] for buffer, key in keys.items()}
    return Plan(tuple(result), offsets, placement.arena_bytes)


def _overwritable_input(call: Call, index: int, last_use: dict[Buffer, int], min_ratio: float) -> Buffer | None:
    """Return the longest input that no later call reads and that the output may overwrite."""
    candidates = [
        b for b in call.overwrites if last_use[b] == index and min_ratio * b.size <= call.writes.size <= b.size
    ]
    return max(candidates, key=lambda buffer: buffer.size, default=None)


def _lifetimes(
    calls: Sequence[Call], owner: dict[Buffer, Buffer], inputs: Sequence[Buffer], last_use: dict[Buffer, int]
) -> tuple[list[Lifetime], dict[Buffer, str]]:
    """Return the lifetimes of the memory blocks, and each buffer's block by name; in-place buffers share a block."""
    first, end = dict.fromkeys(inputs, -1), dict[Buffer, int]()
    for i, call in enumerate(calls):
        first.setdefault(owner[call.writes], i)
    for buffer, base in owner.items():
        end[base] = max(end.get(base, -1), last_use[buffer], first[base])
    names = {buffer: f"{i:06}" for i, buffer in enumerate(first)}
    lifetimes = [Lifetime(name, buffer.size, first[buffer], end[buffer]) for buffer, name in names.items()]
    keys = {buffer: names[base] for buffer, base in owner.items()}
    for i, scratch in _scratch(calls, owner):
        keys[scratch] = f"scratch {len(keys)}"
        lifetimes.append(Lifetime(keys[scratch], scratch.size, i, i))
    return lifetimes, keys


def _scratch(calls: Sequence[Call], owner: dict[Buffer, Buffer]) -> Iterator[tuple[int, Buffer]]:
    """Yield each scratch buffer with the index of the only call that uses it."""
    for i, call in enumerate(calls):
        for argument in call.arguments:
            if isinstance(argument, Region) and not argument.buffer.constant and argument.buffer not in owner:
                yield i, argument.buffer
