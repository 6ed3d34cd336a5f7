"""The rows of the report's tables, each field described by the words that stand under it."""

from typing import Any, Literal

from edgekd.results.quantity import Quantity, Record

FormName = Literal["teacher", "distilled", "pruned", "int8"]
"""The forms of the network, from the first to the one that is shipped."""


class StageRow(Record):
    """What one stage did: a row of the ledger."""

    stage: FormName

    score: Quantity
    """On the test set. For int8: of the integer reference, which the files reproduce."""

    change: Quantity | None = None
    """Of the score against the row before, with its sign; None in the first row."""

    size: Quantity
    """Of the stage's file; of its float weights where no file could be written."""

    macs: Quantity
    parameters: Quantity

    peak_ram: Quantity
    """Activations at their widest, by the memory plan: float32 ones before int8."""

    latency_ratio: Quantity
    """Time of one inference against the distilled student in float."""

    paid: Literal["yes", "no", "partly", "unknown", "skipped"] | None = None
    """Whether the stage was worth it; None for the teacher, which everything else is measured against."""

    because: str
    """The same in words."""


class LayerDifference(Record):
    """One layer in two boundaries."""

    layer: str
    operator: str
    differing: int
    outputs: int
    largest_steps: int


class Boundary(Record):
    """One form of the network against the one before it, on the whole test set."""

    name: str
    """teacher, distilled, pruned, simulation, reference (kernels), or a runtime: litert, onnxruntime and so on."""

    score: Quantity

    against: str | None = None
    """The boundary it is compared with."""

    agreement: Quantity | None = None
    """With that boundary's answers, as the task has it: of classifiers the share of samples with one top-1 class."""

    outputs: int | None = None
    """How many integer outputs were compared; None between float boundaries."""

    differing: int | None = None
    """How many of them differ."""

    largest_steps: int | None = None
    """The largest difference, in quantisation steps."""

    exact: bool = False
    """This boundary is part of the proof: the gate asks for no (or, for the simulation, few) differences."""

    passed: bool | None = None
    """What the gate said; None where it asks for nothing."""

    kernels: str = ""
    """The named kernel set and rounding that produced it."""

    first_difference: LayerDifference | None = None
    """On failure, the first layer that diverges."""

    layers: tuple[LayerDifference, ...] = ()
    """Of a runtime: every layer against the reference in the runtime's mode, on a few samples."""


class OperatorRow(Record):
    """What one operator of the int8 graph costs."""

    name: str
    operator: str

    output_shape: tuple[int, ...]
    """Of one sample."""

    macs: int
    parameters: int
    weight_bytes: int
    output_bytes: int


class LatencyRow(Record):
    """One file, one thread count, on one machine."""

    file: str
    runtime: str
    """The runtime with its version, kernel set and threads; for a device, where it would run."""

    latency: Quantity

    ratio_to_float: Quantity | None = None
    """Against the float file of the same format."""

    rounds_ms: tuple[float, ...] = ()
    """The median of each fresh process."""


class FunctionRow(Record):
    """One function of the C code on an emulated core."""

    name: str

    instructions: Quantity
    """Of one inference, without those of the functions that it calls."""

    bytes: int | None = None
    """Of its code; None where the linker has no size for it."""


class EmulatedRow(Record):
    """The int8 network's C code on an emulated core of the target: outputs, instructions and memory, never a time."""

    file: str

    samples: int
    """Of the test set, that were run."""

    outputs: int
    """Integer outputs that were compared with the reference in the file's rounding."""

    differing: int

    instructions: Quantity
    """Of one inference, on average over the samples."""

    instructions_per_mac: Quantity

    flash: Quantity
    """Code, constants and initial values, with what they need of the compiler's libraries."""

    ram: Quantity
    """Variables, arena, and the stack at its high-water mark."""

    stack: Quantity

    over: str = ""
    """What the linker or the stack said, where the limits' flash and RAM are too small."""

    functions: tuple[FunctionRow, ...] = ()
    """In descending order of their instructions; empty where only the total is known."""


class Measurements(Record):
    """`profile.json`: what the profile stage hands to the report."""

    operators: tuple[OperatorRow, ...]
    latencies: tuple[LatencyRow, ...]

    stage_latency: dict[FormName, Quantity]
    """For teacher, distilled, pruned and int8: time of one inference against the distilled student in float."""

    device_latency: Quantity
    """Of the int8 file on the target device."""

    emulated: EmulatedRow | None = None
    """None where the target has no core that is emulated, no C was exported, or the tools are missing."""

    not_emulated: str = ""
    """Why, where the target has such a core and C was exported."""

    machine: dict[str, Any]
    """That ran the host measurements."""


class LimitRow(Record):
    """One limit of the target."""

    limit: Literal["size", "peak RAM", "flash", "latency", "score drop"]
    allowed: Quantity
    reached: Quantity

    met: bool | None
    """None where the figure is not known."""

    miss: str = ""
    """By how much it is missed, in words."""


class FileRow(Record):
    """A file of the build."""

    path: str
    """Relative to the report."""

    size_bytes: int
    sha256: str
    what: str
