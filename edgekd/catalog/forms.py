"""The four forms in which a build exports the network, from the teacher to int8: the stage that made it, its files."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.catalog.formats import FORMATS

if TYPE_CHECKING:
    from edgekd.results import FormName


@dataclass(frozen=True)
class Form:
    """One form of the network.

    Attributes:
        name: of its row in the ledger.
        stage: that made the network.
        folder, stem: of its files, below the folder of the export; forms in the folder "" are handed to the user.
        what: its file in the report's list; "" leaves that to the format.
    """

    name: "FormName"
    stage: str
    folder: str
    stem: str
    what: str = ""

    def file(self, format_name: str) -> str:
        """Its file in a format, relative to the folder of the export."""
        name = f"{self.stem}.{format_name}"
        return f"{self.folder}/{name}" if self.folder else name


TEACHER = Form("teacher", "teacher", "stages", "teacher")
DISTILLED = Form("distilled", "distill", "stages", "distill")
PRUNED = Form("pruned", "prune", "", "model_float", "the pruned student in float, as a baseline")
INT8 = Form("int8", "quantize", "", "model")

FORMS = (TEACHER, DISTILLED, PRUNED, INT8)
"""In the order of the ledger."""

STUDENT = "student.pt"
"""The pruned student in torch, which the export stage leaves beside the files of the formats."""


def exported_formats(export: Path) -> tuple[str, ...]:
    """The formats whose int8 file lies in the folder of an export."""
    return tuple(name for name in FORMATS if (export / INT8.file(name)).is_file())


def delivered_files() -> dict[str, str]:
    """File -> what it is, of everything that a build may hand to the user, in every format of the table."""
    files = {INT8.file(name): row.int8_file for name, row in FORMATS.items()}
    files |= {INT8.file(suffix): what for row in FORMATS.values() for suffix, what in row.companions.items()}
    files |= {PRUNED.file(name): PRUNED.what for name, row in FORMATS.items() if not row.int8_only}
    return {**files, STUDENT: "the pruned student in torch, before int8; student.checkpoint takes it"}
