"""Where trainings run."""

from typing import Literal

from pydantic import Field

from edgekd.config.base import Settings


class Compute(Settings):
    """Where trainings run; it is recorded with the results, and is no part of what they are reused by.

    Attributes:
        accelerator: lightning Fabric's name of the hardware.
        threads: threads of torch in each process; 0 takes one for small inputs, and torch's own choice for others.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = Field(0, ge=0)
