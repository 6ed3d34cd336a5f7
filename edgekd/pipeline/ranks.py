"""The processes that `torchrun` has started, known without importing torch."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekd.errors import TrainingError


@dataclass(frozen=True)
class Processes:
    """The rank of this process, and the number of all processes that torchrun has started."""

    rank: int = 0
    world: int = 1

    @property
    def main(self) -> bool:
        """Whether this is the main process, which decides, writes and reports."""
        return self.rank == 0

    def from_main(self, compute: Callable[[], Any]) -> Any:
        """Call `compute` in the main process once all have arrived, and return its result in each of them."""
        if self.world == 1:
            return compute()
        from edgekd.training import distributed

        try:
            return distributed.from_main(compute)
        except RuntimeError as error:
            if self.main:
                raise
            raise TrainingError(
                f"process {self.rank} of {self.world} lost the main process", "see what that one said"
            ) from error


ALONE = Processes()


def torchrun_processes() -> Processes:
    """Return the processes of this run: one, unless torchrun has started it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    return Processes(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
