"""The device, and the contract with it."""

from pydantic import ByteSize, Field, PositiveInt

from edgekd.config.base import RuntimeName, Settings


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
    runtime: RuntimeName = "litert"
