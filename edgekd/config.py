"""Every setting of a build, with its default: what `edgekd.toml` and `--set` may say.

Sections that name a catalog entry (`data.name`, `teacher.model`, `student.model`, `prune.criterion`, `distill.scheme`,
an entry of `distill.losses`) take that entry's options beside the name. An option whose name is a setting's goes into
`options`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PositiveInt,
)

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]


class Settings(BaseModel):
    """A frozen section that refuses unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Part(Settings):
    """A section that names a catalog entry; names it does not know are that entry's options."""

    model_config = ConfigDict(extra="allow")

    options: dict[str, Any] = {}

    def entry_options(self) -> dict[str, Any]:
        """The options for the entry: what stands beside its name, and `options`."""
        return {**(self.model_extra or {}), **self.options}


class Training(Settings):
    """The settings of one training.

    Attributes:
        epochs: passes over the training split.
        batch_size: samples of a step, over all processes together.
        learning_rate: its peak.
        schedule: after the warm-up it follows one "cosine" to zero, or stays "constant".
        warmup: share of the steps in which it rises from zero.
        precision: "bf16" trains in mixed precision; the integer arithmetic of `quantize` always runs in float32.
        clip_norm: gradients are scaled down to this norm; 0 leaves them.
    """

    epochs: PositiveInt = 30
    batch_size: PositiveInt = 64
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(0.1, gt=0)
    weight_decay: float = Field(5e-4, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1)
    clip_norm: float = Field(0.0, ge=0)
    precision: Literal["32", "bf16"] = "32"


class Augment(Settings):
    """Changes to training images alone.

    Attributes:
        shift: up to this many pixels in each direction, the border filled with zeros (pad and crop).
        flip: left to right, half of them.
    """

    shift: int = Field(0, ge=0)
    flip: bool = False


class Data(Part):
    """Attributes:
    name: of the catalog, or "package.module:factory".
    root: the folder or file that holds the data.
    validation: share of the training samples set aside, where the data set has no validation part of its own.
    limit: use only so many training samples (after validation is set aside); for a quick look.
    mean, std: per channel, of inputs scaled to [0, 1] where they are uint8; computed on the training split by default.
    """

    name: str = "digits"
    root: UserPath | None = None
    validation: float = Field(0.15, gt=0, lt=1)
    limit: PositiveInt | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    augment: Augment = Augment(shift=1)


class Source(Part):
    """One teacher: a torch model, or one of `file`, `call` and `answers`, from outside torch.

    Attributes:
        model: of the catalog, or "package.module:factory".
        checkpoint: a torch checkpoint; given one, nothing is trained. It is read with `weights_only`.
        file: a network in a file: .onnx, .tflite, .keras, or the folder of a SavedModel.
        call: "package.module:function", (N, ...) float32 in NumPy -> (N, classes).
        answers: an .npz of a teacher's outputs for the training samples, in the data set's order: `logits` or
            `probabilities` (N, classes), or `indices` and `probabilities` (N, k) of the k likeliest classes;
            `validation_...` and `test_...` for the other parts.
        gives: what `file` and `call` give; probabilities become their logarithms.
        input: what `file` and `call` take: normalised as torch models take it, or raw, as the data set has it.
    """

    model: str = "resnet20"
    checkpoint: UserPath | None = None
    file: UserPath | None = None
    call: str | None = Field(None, pattern=r"^[\w.]+:\w+$")
    answers: UserPath | None = None
    gives: Literal["logits", "probabilities"] = "logits"
    input: Literal["normalised", "raw"] = "normalised"

    @property
    def foreign(self) -> bool:
        """Whether it comes from outside torch."""
        return self.file is not None or self.call is not None or self.answers is not None

    @property
    def title(self) -> str:
        """What it is called in one line: its model, function or file."""
        outside = self.file or self.answers
        return outside.name if outside is not None else self.call or self.model


class Teacher(Training, Source):  # Source last: pydantic takes `extra` from the last base
    """The teacher; several answer as one, as `distill.combine` says.

    Attributes:
        members: networks of this model, trained from as many seeds.
        also: further teachers, each with the settings of one: [[teacher.also]].
        specialists: networks that tell apart classes which this one confuses, for as many clusters of classes
            (Hinton et al., 2015, section 5); 0: none.
    """

    members: PositiveInt = 1
    also: tuple[Source, ...] = ()
    specialists: int = Field(0, ge=0)


class Student(Part):
    """Attributes:
    model: of the catalog, or "package.module:factory".
    checkpoint: a torch checkpoint to start from, read with `weights_only`; with `distill.epochs = 0` it stays as it is.
    """

    model: str = "resnet8"
    checkpoint: UserPath | None = None


class Loss(Part):
    """One term of the distillation loss."""

    name: str = "logits"
    weight: float = Field(1.0, ge=0)


class Scheme(Part):
    """How the teaching goes, by a name of the catalog; its options stand beside it."""

    name: str = "offline"


class Distill(Training):
    """Attributes:
    epochs: passes over the training split; 0 takes `student.checkpoint` as it is.
    scheme: how the teaching goes: a name, or {name = "...", option = ...}.
    losses: the terms, summed by weight.
    views: the teacher's answers are stored for so many augmentation views, and epoch e trains on view e % views. With
        fewer epochs than views, those of prune and quantize counted, and with 0, each epoch is augmented afresh and the
        teacher runs beside the student. Without augmentation one view is all there are.
    combine: how several teachers answer as one: the mean of their probabilities, plain, weighted by each one's
        confidence in the sample, or by its validation accuracy; or their geometric mean, the mean of their logits.
    baseline: also train the same student without the teacher, so that the ledger can say what the teacher was worth.
    clip_norm: as of any training; losses that look inside the networks begin with steep gradients.
    baseline_epochs: of that; as many as `epochs` by default. What the teacher itself cost is not counted.
    seeds: trainings of both, at seed, seed + 1, ...; the first one's student is shipped. Three or more tell a gain from
        luck.
    """

    scheme: Annotated[Scheme, BeforeValidator(lambda found: {"name": found} if isinstance(found, str) else found)] = (
        Scheme()
    )
    losses: tuple[Loss, ...] = (Loss(),)
    views: int = Field(8, ge=0)
    combine: Literal["mean", "confidence", "validation", "geometric"] = "mean"
    baseline: bool = True
    baseline_epochs: PositiveInt | None = None
    seeds: PositiveInt = 1
    epochs: int = Field(40, ge=0)
    clip_norm: float = Field(5.0, ge=0)


class Prune(Training, Part):
    """Attributes:
    criterion: of the catalog, or "package.module:function"; "none" leaves the student as it is.
    keep: the share that is to remain...
    of: ...of the student's MACs or of its parameters.
    until: "share" stops there; "limits" goes on until the int8 student fits the target's size and RAM, and not beyond.
    steps: cuts, each followed by `epochs` of recovery under the teacher.
    channel_multiple: channels that remain are rounded to it; the target says what its kernels like.
    """

    criterion: str = "magnitude"
    keep: float = Field(0.6, gt=0, le=1)
    of: Literal["macs", "parameters"] = "macs"
    until: Literal["share", "limits"] = "share"
    steps: PositiveInt = 2
    channel_multiple: PositiveInt = 1
    epochs: PositiveInt = 10
    learning_rate: float = Field(0.02, gt=0)


class Quantize(Training):
    """Attributes:
    kernels: whose rounding the student is calibrated and trained to: "xnnpack" (LiteRT), "tflm" (TFLite Micro) or
        "onnxruntime"; "auto" takes those of the first exported format.
    method: "qat" trains in the deployed arithmetic, from what calibration gives; "ptq" ships that as it is.
    calibration: training samples whose activations set the (first) ranges.
    calibrate: the values that codes cover: "minmax" all, "percentile" all but a few, "mse" for the least squared error.
    percentile: of an activation's values, in percent, lie below its highest code and above its lowest.
    equalise: make channels of consecutive layers equally strong before; the float network computes the same.
    correct_bias: take what rounding adds to a channel on average off its bias.
    baseline: with "qat", also measure what "ptq" would give.
    sensitivity: weigh the noise that each layer's rounding alone makes; it takes as many runs as there are layers.
    float_layers: operators kept in float, by name (edgekd check --layers) or pattern: "head.*".
    int16_layers: operators with 16-bit activations, named in the same way; only TFLite has kernels for them.
    observe: share of the training in which ranges still follow the activations; then they stand still.
    """

    kernels: Literal["auto", "xnnpack", "tflm", "onnxruntime"] = "auto"
    method: Literal["qat", "ptq"] = "qat"
    calibration: PositiveInt = 512
    calibrate: Literal["minmax", "percentile", "mse"] = "mse"
    percentile: float = Field(99.999, gt=50, le=100)
    equalise: bool = False
    correct_bias: bool = True
    baseline: bool = True
    sensitivity: bool = False
    float_layers: tuple[str, ...] = ()
    int16_layers: tuple[str, ...] = ()
    observe: float = Field(0.5, ge=0, le=1)
    epochs: PositiveInt = 8
    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)


class Export(Settings):
    """Attributes:
    formats: files to write; the first one's kernels are those that the student is trained to.
    input: "raw" lets the int8 files take what the sensor gives (pixels); "normalised" leaves that to the caller.
    input_dtype: of TFLite's int8 file; "uint8" puts a QUANTIZE operator in front, which is exact.
    """

    formats: tuple[Literal["tflite", "onnx"], ...] = Field(("tflite", "onnx"), min_length=1)
    input: Literal["raw", "normalised"] = "raw"
    input_dtype: Literal["int8", "uint8"] = "int8"


class Verify(Settings):
    """Attributes:
    runtimes: that the int8 files are run in, as far as their format is exported; each against its own rounding.
    layer_samples: test samples on which every layer is compared too; 0 compares outputs alone.
    simulation_identical: share of the trained simulation's outputs that must equal the integer reference's.
    simulation_steps: no output of it may be further off than this, in quantisation steps.
    float_identical, float_steps: the same for the runtimes where layers are kept in float, whose sums each of them
        orders in its own way; without such layers no output may differ.
    """

    runtimes: tuple[Literal["litert", "onnxruntime", "tflite-micro", "litert-reference"], ...] = (
        "litert",
        "onnxruntime",
    )
    layer_samples: int = Field(64, ge=0)
    simulation_identical: float = Field(0.9999, ge=0, le=1)
    simulation_steps: int = Field(1, ge=0)
    float_identical: float = Field(0.95, ge=0, le=1)
    float_steps: int = Field(3, ge=0)


class Profile(Settings):
    """Attributes:
    rounds: fresh processes for each file; files take turns.
    seconds: measuring time of each process.
    threads: of the runtime.
    """

    rounds: PositiveInt = 5
    seconds: float = Field(0.2, gt=0)
    threads: PositiveInt = 1


class Limits(Settings):
    """The contract with the device; a build that misses one exits 3. None: no limit.

    Attributes:
        size_bytes: of the int8 file.
        peak_ram_bytes: activations at their widest, by the memory plan.
        flash_bytes: what the device stores: the file, as far as edgekd knows it.
        latency_ms: of one inference on the device.
        accuracy_drop: points that the int8 student may lose against the teacher, on the test set.
    """

    size_bytes: ByteSize | None = None
    peak_ram_bytes: ByteSize | None = None
    flash_bytes: ByteSize | None = None
    latency_ms: float | None = Field(None, gt=0)
    accuracy_drop: float | None = Field(None, ge=0)


class Compute(Settings):
    """Where trainings run; it is recorded with the results, and is no part of what they are reused by.

    Attributes:
        accelerator: Lightning Fabric's name of it.
        threads: of torch, in each process; 0 takes one for small inputs, and torch's choice for others.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = Field(0, ge=0)


class Device(Settings):
    """What is known of the target's hardware; `targets/README.md` explains each field."""

    name: str = "custom"
    title: str = ""
    architecture: str = ""
    core: str = ""
    cores: PositiveInt = 1
    clock_mhz: PositiveInt | None = None
    ram_bytes: ByteSize | None = None
    flash_bytes: ByteSize | None = None
    runtime: str = "LiteRT"


class Config(Settings):
    """A whole build."""

    seed: int = Field(0, ge=0)
    data: Data = Data()
    teacher: Teacher = Teacher()
    student: Student = Student()
    distill: Distill = Distill()
    prune: Prune = Prune()
    quantize: Quantize = Quantize()
    export: Export = Export()
    verify: Verify = Verify()
    profile: Profile = Profile()
    limits: Limits = Limits()
    compute: Compute = Compute()
    device: Device = Device()

    @property
    def stored_views(self) -> int:
        """Storing asks the teacher once a view, the loop once an epoch: what is stored never costs more."""
        recovery = self.prune.steps * self.prune.epochs if self.prune.criterion != "none" else 0
        tuning = self.quantize.epochs if self.quantize.method == "qat" else 0
        return self.distill.views if self.distill.views <= self.distill.epochs + recovery + tuning else 0
