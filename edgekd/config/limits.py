"""The contract with the device."""

from pydantic import ByteSize, Field

from edgekd.config.base import Settings


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
