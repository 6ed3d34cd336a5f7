"""Gives the rows of the report's tables; the text below a field is its description in the JSON schema."""

from typing import Any, Literal

from edgekd.results.quantity import Quantity, Record

FormName = Literal["teacher", "distilled", "pruned", "int8"]
"""The forms of the network, from the first to the one that is shipped."""


class StageRow(Record):
    """A row of the ledger: the results of one stage."""

    stage: FormName

    score: Quantity
    """The score on the test set. For int8 it is that of the integer reference, which the files reproduce."""

    change: Quantity | None = None
    """The signed difference of the score to the row before; None in the first row."""

    size: Quantity
    """The size of the stage's file, or of its float weights if no file could be written."""

    macs: Quantity
    parameters: Quantity

    peak_ram: Quantity
    """The peak memory of the activations by the memory plan; before int8 they are float32."""

    latency_ratio: Quantity
    """The ratio of the latency of one inference to that of the distilled student in float."""

    paid: Literal["yes", "no", "partly", "unknown", "skipped"] | None = None
    """Whether the stage paid; None for the teacher, which the others are compared with."""

    because: str
    """The reason in words."""


class LayerDifference(Record):
    """The differences of one layer between two boundaries."""

    layer: str
    operator: str
    differing: int
    outputs: int
    largest_steps: int


class Boundary(Record):
    """The comparison of one form of the network with the one before it, on the whole test set."""

    name: str
    """teacher, distilled, pruned, simulation, reference (kernels), or a runtime: litert, onnxruntime and so on."""

    score: Quantity

    against: str | None = None
    """The name of the boundary it is compared with."""

    agreement: Quantity | None = None
    """The agreement with that boundary's outputs by the task's definition: of classifiers the share with one top-1."""

    outputs: int | None = None
    """The number of integer outputs that were compared; None between float boundaries."""

    differing: int | None = None
    """The number of them that differ."""

    largest_steps: int | None = None
    """The largest difference, in quantisation steps."""

    exact: bool = False
    """Whether the boundary is part of the proof, so that no outputs (or, for the simulation, few) may differ."""

    passed: bool | None = None
    """Whether the differences are within the tolerance; None for a boundary without one."""

    kernels: str = ""
    """The named kernel set and rounding that produced it."""

    first_difference: LayerDifference | None = None
    """On failure, the first layer that differs."""

    layers: tuple[LayerDifference, ...] = ()
    """For a runtime: the comparison of every layer with the reference in the runtime's mode, on a few samples."""


class OperatorRow(Record):
    """The cost of one operator of the int8 graph."""

    name: str
    operator: str

    output_shape: tuple[int, ...]
    """The shape of the output for one sample."""

    macs: int
    parameters: int
    weight_bytes: int
    output_bytes: int


class LatencyRow(Record):
    """The latency of one file with one number of threads on one machine."""

    file: str
    runtime: str
    """The runtime with its version, kernel set and threads; for a device, where it would run."""

    latency: Quantity

    ratio_to_float: Quantity | None = None
    """The ratio to the float file of the same format."""

    rounds_ms: tuple[float, ...] = ()
    """The median of each round; every round is a new process."""


class FunctionRow(Record):
    """The costs of one function of the C code on an emulated core."""

    name: str

    instructions: Quantity
    """The instructions of one inference, without those of the functions that it calls."""

    bytes: int | None = None
    """The size of its code; None if the linker has no size for it."""


class EmulatedRow(Record):
    """The int8 network's C code on an emulated core of the target: outputs, instructions and memory, never a time."""

    file: str

    samples: int
    """The number of test samples that were run."""

    outputs: int
    """The number of integer outputs that were compared with the reference in the file's rounding."""

    differing: int

    instructions: Quantity
    """The instructions of one inference, on average over the samples."""

    instructions_per_mac: Quantity

    flash: Quantity
    """The flash for code, constants and initial values, including the functions of the compiler's libraries."""

    ram: Quantity
    """The RAM for variables, the arena and the largest size of the stack."""

    stack: Quantity

    over: str = ""
    """The message of the linker or of the check of the stack, if the limits' flash or RAM are too small."""

    functions: tuple[FunctionRow, ...] = ()
    """The functions in descending order of their instructions; empty if only the total is known."""


class Measurements(Record):
    """`profile.json`: the results of the profile stage for the report."""

    operators: tuple[OperatorRow, ...]
    latencies: tuple[LatencyRow, ...]

    stage_latency: dict[FormName, Quantity]
    """The ratio of each form's latency to that of the distilled student in float."""

    device_latency: Quantity
    """The latency of the int8 file on the target device."""

    emulated: EmulatedRow | None = None
    """The results on an emulated core; None if the target has no such core, no C was exported, or tools are missing."""

    not_emulated: str = ""
    """The reason why there are none, if the target has such a core and C was exported."""

    machine: dict[str, Any]
    """The machine that ran the host measurements."""


class LimitRow(Record):
    """One limit of the target."""

    limit: Literal["size", "peak RAM", "flash", "latency", "score drop"]
    allowed: Quantity
    reached: Quantity

    met: bool | None
    """Whether the limit is met; None if the quantity is not known."""

    miss: str = ""
    """The amount by which it is missed, in words."""


class FileRow(Record):
    """A file of the build."""

    path: str
    """The path relative to the report."""

    size_bytes: int
    sha256: str
    what: str
