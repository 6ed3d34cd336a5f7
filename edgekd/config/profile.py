"""The measurement of the files on this machine."""

from pydantic import Field, PositiveInt

from edgekd.config.base import Settings


class Profile(Settings):
    """Attributes:
    rounds: the number of fresh processes that time each file; files take turns.
    seconds: the measuring time of each process.
    threads: the number of threads of the runtime.
    """

    rounds: PositiveInt = 5
    seconds: float = Field(0.2, gt=0)
    threads: PositiveInt = 1
