"""The four forms in which a build exports the network, from the teacher to int8, with their stages and files."""

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
        name: the name of its row in the ledger.
        stage: the stage that produced the network.
        folder, stem: the folder of its files below that of the export, and their stem; "" is delivered to the user.
        what: the description of its file in the report's list; if it is "", the format has one.
    """

    name: "FormName"
    stage: str
    folder: str
    stem: str
    what: str = ""

    def file(self, format_name: str) -> str:
        """Return the path of its file in a format, relative to the folder of the export."""
        name = f"{self.stem}.{format_name}"
        return f"{self.folder}/{name}" if self.folder else name


TEACHER = Form("teacher", "teacher", "stages", "teacher")
DISTILLED = Form("distilled", "distill", "stages", "distill")
PRUNED = Form("pruned", "prune", "", "model_float", "the pruned student in float, as a baseline")
INT8 = Form("int8", "quantize", "", "model")

FORMS = (TEACHER, DISTILLED, PRUNED, INT8)
"""The forms in the order of the ledger."""

STUDENT = "student.pt"
"""The file of the pruned student in torch, which the export stage writes beside those of the formats."""


def exported_formats(export: Path) -> tuple[str, ...]:
    """Return the formats whose int8 file is in the folder of an export."""
    return tuple(name for name in FORMATS if (export / INT8.file(name)).is_file())


def delivered_files() -> dict[str, str]:
    """Return the descriptions of all files that a build may deliver, keyed by the file's name."""
    files = {INT8.file(name): row.int8_file for name, row in FORMATS.items()}
    files |= {INT8.file(suffix): what for row in FORMATS.values() for suffix, what in row.companions.items()}
    files |= {PRUNED.file(name): PRUNED.what for name, row in FORMATS.items() if not row.int8_only}
    return {**files, STUDENT: "the pruned student in torch, before int8; student.checkpoint takes it"}
