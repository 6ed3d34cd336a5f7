"""Where activations lie in the caller's arena: offsets known at build time, inputs overwritten in place where safe."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgekd.formats.c.functions import Kernel
from edgekd.graph.plan import Lifetime, place


@dataclass(eq=False)
class Buffer:
    """Bytes in the arena, or constants in the file; each is itself and no other.

    Attributes:
        constant: the name of the array of constants; "" for bytes in the arena.
        word: bytes of an element.
    """

    size: int
    constant: str = ""
    word: int = 1


@dataclass(frozen=True)
class Region:
    """Part of a buffer, as an argument of a call.

    Attributes:
        type: of the pointer, where it is not `int8_t *`.
    """

    buffer: Buffer
    offset: int = 0
    type: str = ""


@dataclass(frozen=True)
class InPlace:
    """What a call becomes where its output overwrites its input; a buffer of no other call is scratch for this one."""

    kernel: Kernel
    arguments: tuple[Region | str, ...]


@dataclass(frozen=True)
class Call:
    """One call of a function.

    Attributes:
        reads, writes: buffers of the arena, whatever the order of the arguments.
        overwrites: for each buffer that the output may overwrite, the call that does so.
        layer: that it belongs to, in words.
        checked: the function returns something else than 0 where the input is wrong.
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
    """Attributes:
    calls: in order, those that overwrite their input among them.
    offsets: of every buffer, in bytes.
    """

    calls: tuple[Call, ...]
    offsets: dict[Buffer, int]
    arena_bytes: int

    def offset(self, region: Region) -> int:
        """Bytes from the arena's start."""
        return self.offsets[region.buffer] + region.offset * region.buffer.word


def plan_arena(calls: Sequence[Call], inputs: Sequence[Buffer], outputs: Sequence[Buffer]) -> Plan:
    """The smallest of a few plans: overwriting wherever it is safe, only where sizes are equal, or nowhere.

    Args:
        inputs, outputs: buffers that are there before the first call, and after the last.
    """
    plans = [_plan(calls, inputs, outputs, shortest) for shortest in (0.0, 1.0, 2.0)]
    return min(plans, key=lambda plan: plan.arena_bytes)


def _plan(calls: Sequence[Call], inputs: Sequence[Buffer], outputs: Sequence[Buffer], shortest: float) -> Plan:
    """A plan that overwrites an input where the output is at least `shortest` times as long."""
    last = dict.fromkeys((*inputs, *(call.writes for call in calls)), -1)
    for i, call in enumerate(calls):
        last.update(dict.fromkeys(call.reads, i))
    last.update(dict.fromkeys(outputs, len(calls)))
    owner: dict[Buffer, Buffer] = {buffer: buffer for buffer in last}
    result = list[Call]()
    for i, call in enumerate(calls):
        free = _overwritten(call, i, last, shortest)
        if free is None:
            result.append(call)
            continue
        owner[call.writes], other = owner[free], call.overwrites[free]
        result.append(replace(call, kernel=other.kernel, arguments=other.arguments))
    lifetimes, keys = _lifetimes(result, owner, inputs, last)
    placement = place(lifetimes)
    offsets = {buffer: placement.offsets[key] for buffer, key in keys.items()}
    return Plan(tuple(result), offsets, placement.arena_bytes)


def _overwritten(call: Call, at: int, last: dict[Buffer, int], shortest: float) -> Buffer | None:
    """The longest of the inputs that nobody reads any more and that the output may overwrite."""
    free = [b for b in call.overwrites if last[b] == at and shortest * b.size <= call.writes.size <= b.size]
    return max(free, key=lambda buffer: buffer.size, default=None)


def _lifetimes(
    calls: Sequence[Call], owner: dict[Buffer, Buffer], inputs: Sequence[Buffer], last: dict[Buffer, int]
) -> tuple[list[Lifetime], dict[Buffer, str]]:
    """Of every buffer with those that overwrite it, and its name there."""
    first, until = dict.fromkeys(inputs, -1), dict[Buffer, int]()
    for i, call in enumerate(calls):
        first.setdefault(owner[call.writes], i)
    for buffer, whole in owner.items():
        until[whole] = max(until.get(whole, -1), last[buffer], first[whole])
    names = {buffer: f"{i:06}" for i, buffer in enumerate(first)}
    lifetimes = [Lifetime(name, buffer.size, first[buffer], until[buffer]) for buffer, name in names.items()]
    keys = {buffer: names[whole] for buffer, whole in owner.items()}
    for i, scratch in _scratch(calls, owner):
        keys[scratch] = f"scratch {len(keys)}"
        lifetimes.append(Lifetime(keys[scratch], scratch.size, i, i))
    return lifetimes, keys


def _scratch(calls: Sequence[Call], owner: dict[Buffer, Buffer]) -> Iterator[tuple[int, Buffer]]:
    """The buffers that a call alone uses."""
    for i, call in enumerate(calls):
        for argument in call.arguments:
            if isinstance(argument, Region) and not argument.buffer.constant and argument.buffer not in owner:
                yield i, argument.buffer
