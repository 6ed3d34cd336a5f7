"""The processes that `torchrun` started, as far as they can be known without importing torch."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekd.errors import TrainingError


@dataclass(frozen=True)
class Processes:
    """The processes that torchrun started, as far as they can be known without torch."""

    rank: int = 0
    world: int = 1

    @property
    def main(self) -> bool:
        """The main process decides, writes and reports."""
        return self.rank == 0

    def from_main(self, compute: Callable[[], Any]) -> Any:
        """What `compute` gives in the main process once all have come, in each of them; the others wait for it."""
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
    """The processes of this run: one, unless torchrun started it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    return Processes(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
