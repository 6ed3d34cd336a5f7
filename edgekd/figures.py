"""The report's schema: figures that can't be printed without saying how they came about, and the rows they stand in.

`schema()` is the documentation of `report.json`: each field below is described there by the words that stand under it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Origin = Literal["counted", "measured", "measured-host", "emulated", "predicted", "given"]


class Record(BaseModel):
    """A frozen part of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Figure(Record):
    """A number with its origin, or the reason why there is none."""

    value: float | None = None
    """None where it is not known; then `remedy` says what would fill it."""

    unit: str
    """"%", "B", "ms", "MACs", "parameters", "x" (a ratio), "points", "steps", "outputs", "kappa" or "CKA"."""

    origin: Origin | None = None
    """counted: exactly, from a file or the graph. measured: on the target device. measured-host: on the machine that
    ran edgekd. emulated: instruction counts or outputs of an emulator. predicted: by a model or plan. given: set by the
    target or the user, as a limit is."""

    source: str = ""
    """Of what, by what: the script, kernel set, machine, model or plan behind it."""

    error: float | None = None
    """How far off it may be, in `unit`. An accuracy: one standard error of its test samples. A latency, which is the
    lowest median of its rounds: the distance to the highest. A ratio: the largest distance of a round from the median
    of the rounds. A prediction: its error bar."""

    remedy: str = ""
    """The command or setting that would fill an empty cell."""

    def model_post_init(self, _: Any) -> None:
        """A value has an origin, and an empty cell a way to fill it."""
        if self.value is not None and self.origin is None:
            raise ValueError("a figure with a value needs its origin")
        if self.value is None and not self.remedy:
            raise ValueError("a figure without a value needs the command that would fill it")


class StageRow(Record):
    """What one stage did: a row of the ledger."""

    stage: Literal["teacher", "distilled", "pruned", "int8"]

    accuracy: Figure
    """On the test set. For int8: of the integer reference, which the files reproduce."""

    change: Figure | None = None
    """Accuracy points against the row before; None in the first row."""

    size: Figure
    """Of the stage's file; of its float weights where no file could be written."""

    macs: Figure
    parameters: Figure

    peak_ram: Figure
    """Activations at their widest, by the memory plan: float32 ones before int8."""

    latency_ratio: Figure
    """Time of one inference against the distilled student in float."""

    paid: Literal["yes", "no", "partly", "unknown", "skipped"] | None = None
    """Whether the stage was worth it; None for the teacher, which everything else is measured against."""

    because: str
    """The same in words."""


class Spread(Record):
    """One quantity of several trainings that differ by their seed alone."""

    mean: Figure
    """Its `error` is one standard error of the mean over the seeds; of one seed's accuracy, of the test samples."""

    each: tuple[float, ...]
    """In the order of `seeds`; without those in which it is not defined (no mistakes, no consistency of mistakes)."""


class LayerSimilarity(Record):
    """How alike a layer of the student and one of the teacher represent the test samples."""

    student: str
    teacher: str

    distilled: Spread
    """Debiased linear CKA: 1 where they differ by a rotation and a scale, 0 on average where they are unrelated."""

    alone: Spread | None = None
    """The same layer of the student that had no teacher."""


FEW_MISTAKES = 5  # of a teacher in a class: from fewer nothing is said to be inherited


class ClassTransfer(Record):
    """What was passed on about one class, over the test samples whose label it is; means over the seeds."""

    name: str
    samples: int

    agreement: Figure
    """Share of these samples with the teacher's top-1 class."""

    agreement_alone: Figure | None = None

    mistakes: int
    """That the teacher makes here."""

    taken_for: str = ""
    """The wrong class that it gives most often."""

    repeated: Figure
    """Share of the teacher's mistakes to which the student gives the same wrong answer."""

    repeated_alone: Figure | None = None

    by_chance: Figure
    """The same for a student that gives its answers to the class's samples in any order; error: one standard
    deviation."""

    consistency: Figure
    """Error consistency with the teacher: kappa of being right and wrong on the same samples, 0 by chance."""

    inherited: bool
    """The student repeats more of the teacher's mistakes than the student alone (else than chance), by over two
    standard errors, in a class with at least five of them (FEW_MISTAKES)."""


class Distillation(Record):
    """What a student took over from its teacher, against the same student trained on the labels alone."""

    scheme: str
    losses: tuple[str, ...]

    epochs: int
    """Of the student under the teacher. The teacher's own training is not counted."""

    baseline_epochs: int | None
    """Of the student alone; None where none was trained."""

    seeds: tuple[int, ...]
    """Of the trainings. The first is the config's: its student is shipped, whatever the others reach."""

    samples: int
    """Of the test set, from which all figures here are."""

    accuracy: Spread
    accuracy_alone: Spread | None = None

    gain: Figure | None = None
    """Points over the student alone, paired by seed; error: one standard error of the mean over several seeds."""

    unknown: str = ""
    """Why nothing below is known, where the teacher can't be asked about the test set."""

    accuracy_teacher: Figure | None = None

    agreement: Spread | None = None
    """Share of samples with the teacher's top-1 class."""

    agreement_alone: Spread | None = None

    calibration_bins: int
    """Of the expected calibration error: equally wide intervals of the top-1 probability."""

    calibration: Spread
    calibration_alone: Spread | None = None
    calibration_teacher: Figure | None = None

    repeated: Spread | None = None
    """Share of the teacher's mistakes to which the student gives the same wrong answer."""

    repeated_alone: Spread | None = None

    by_chance: Figure | None = None
    """The same for a student that gives its answers to each class's samples in any order."""

    consistency: Spread | None = None
    """Error consistency with the teacher: kappa of being right and wrong on the same samples, 0 by chance."""

    consistency_alone: Spread | None = None

    layers: tuple[LayerSimilarity, ...] = ()

    layers_unknown: str = ""
    """Why no layers were compared."""

    classes: tuple[ClassTransfer, ...] = ()


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

    accuracy: Figure

    against: str | None = None
    """The boundary it is compared with."""

    agreement: Figure | None = None
    """Share of samples with the same top-1 class, in percent."""

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

    latency: Figure

    ratio_to_float: Figure | None = None
    """Against the float file of the same format."""

    rounds_ms: tuple[float, ...] = ()
    """The median of each fresh process."""


class Measurements(Record):
    """`profile.json`: what the profile stage hands to the report."""

    operators: tuple[OperatorRow, ...]
    latencies: tuple[LatencyRow, ...]

    stage_latency: dict[str, Figure]
    """For teacher, distilled, pruned and int8: time of one inference against the distilled student in float."""

    device_latency: Figure
    """Of the int8 file on the target device."""

    machine: dict[str, Any]
    """That ran the host measurements."""


class LimitRow(Record):
    """One limit of the target."""

    limit: Literal["size", "peak RAM", "flash", "latency", "accuracy drop"]
    allowed: Figure
    reached: Figure

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


class Report(Record):
    """`report.json`, the truth from which the Markdown and HTML pages are made."""

    schema_version: Literal[1] = 1
    """Raised when a field changes its meaning or goes away."""

    edgekd_version: str

    created: str
    """UTC, ISO 8601."""

    command: str
    """What was typed; folders outside the working directory are shortened to their last part."""

    target: dict[str, Any]
    """The settings of `device`."""

    seed: int

    data: dict[str, Any]
    """name, samples of each split, classes and input_shape."""

    stages: tuple[StageRow, ...]
    """The ledger: teacher, distilled, pruned, int8."""

    distillation: Distillation | None = None
    """What the student took over from its teacher; None in the reports of earlier versions."""

    boundaries: tuple[Boundary, ...]
    """The proof that what was trained is what is shipped."""

    operators: tuple[OperatorRow, ...]
    latencies: tuple[LatencyRow, ...]
    limits: tuple[LimitRow, ...]
    files: tuple[FileRow, ...]

    notes: tuple[str, ...] = ()
    """Fallbacks and remarks, each opened by its stage."""

    training: dict[str, Any] = {}
    """For each stage that trains: processes, the epoch it was resumed from, and what else it recorded. For quantize:
    method; ptq: the accuracies before training; input: how it takes raw values; float_layers and their boundaries;
    sensitivity: layer -> decibels of the answers over the noise that rounding this layer alone makes."""

    machine: dict[str, Any] = {}
    """That ran the host measurements: CPU, cores, memory, operating system; no names."""

    versions: dict[str, str] = {}
    """Of Python and of the libraries behind the figures."""

    @property
    def missed(self) -> tuple[LimitRow, ...]:
        """The limits that are missed."""
        return tuple(row for row in self.limits if row.met is False)

    @property
    def parity(self) -> bool:
        """Every boundary that must agree does."""
        return all(row.passed is not False for row in self.boundaries)


def schema() -> dict[str, Any]:
    """The JSON schema of `report.json`, with every field described."""
    return Report.model_json_schema()
