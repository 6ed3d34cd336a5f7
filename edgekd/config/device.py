"""The device and its limits."""

from pydantic import ByteSize, Field, PositiveInt

from edgekd.config.base import RuntimeName, Settings


class Limits(Settings):
    """What the device allows; a build that misses a limit exits 3. None: no limit.

    Attributes:
        size_bytes: the size of the int8 file.
        peak_ram_bytes: the memory of the activations at their peak, by the memory plan.
        flash_bytes: what the device stores of the model: the file, without the runtime's own code.
        latency_ms: the time of one inference on the device.
        score_drop: by how much the int8 student's score may be worse than the teacher's, on the test set: points where
            the score is in percent.
    """

    size_bytes: ByteSize | None = None
    peak_ram_bytes: ByteSize | None = None
    flash_bytes: ByteSize | None = None
    latency_ms: float | None = Field(None, gt=0)
    score_drop: float | None = Field(None, ge=0)


class Device(Settings):
    """What is known of the target's hardware; `targets/README.md` says where to find each field.

    Attributes:
        name: the target's name; files go to `build/NAME/`.
        title: the device's name in the report.
        architecture: the instruction set: "aarch64", "armv7e-m".
        core: the processor core.
        cores: the number of cores.
        clock_mhz: the highest clock.
        ram_bytes: the memory of the device.
        flash_bytes: the flash of a microcontroller.
        runtime: the runtime that runs the files on the device, by the same names as `verify.runtimes`.
    """

    name: str = "custom"
    title: str = ""
    architecture: str = ""
    core: str = ""
    cores: PositiveInt = 1
    clock_mhz: PositiveInt | None = None
    ram_bytes: ByteSize | None = None
    flash_bytes: ByteSize | None = None
    runtime: RuntimeName = "litert"
