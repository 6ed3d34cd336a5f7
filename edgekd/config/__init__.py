"""Every setting of a build, with its default: what `edgekd.toml` and `--set` may say.

Sections that name a catalog entry (`data.name`, `teacher.model`, `student.model`, `prune.criterion`, `distill.scheme`,
an entry of `distill.losses`) take that entry's options beside the name. An option whose name is a setting's goes into
`options`.
"""

from pydantic import Field

from edgekd.config.base import Part, Settings
from edgekd.config.compute import Compute
from edgekd.config.data import Augment, Data
from edgekd.config.device import Device
from edgekd.config.distill import Distill, Loss, Scheme
from edgekd.config.export import Export
from edgekd.config.limits import Limits
from edgekd.config.profile import Profile
from edgekd.config.prune import Prune
from edgekd.config.quantize import Quantize
from edgekd.config.student import Student
from edgekd.config.teacher import Source, Teacher
from edgekd.config.training import Training
from edgekd.config.verify import Verify

__all__ = [
    "Augment", "Compute", "Config", "Data", "Device", "Distill", "Export", "Limits", "Loss", "Part", "Profile", "Prune",
    "Quantize", "Scheme", "Settings", "Source", "Student", "Teacher", "Training", "Verify",
]  # fmt: skip


class Config(Settings):
    """A whole build.

    Attributes:
        seed: the same seed gives the same files, byte for byte.
        task: what is learnt: of the catalog, or "package.module:TASK".
    """

    seed: int = Field(0, ge=0)
    task: str = "classification"
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
