"""What is known of the device."""

from pydantic import ByteSize, PositiveInt

from edgekd.config.base import RuntimeName, Settings


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
