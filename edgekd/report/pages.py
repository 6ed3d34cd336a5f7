"""The report of a finished build, read back and written out anew from `report.json`."""

import importlib
from pathlib import Path

from pydantic import ValidationError

from edgekd.disk import writing
from edgekd.errors import StoreError
from edgekd.results import Report


def read(folder: Path) -> Report:
    """The report that lies in a build's folder."""
    file = folder / "report.json"
    if not file.is_file():
        raise StoreError(f"there is no {file}", "edgekd build makes it; --out names another folder")
    try:
        return Report.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} is no report of this version of edgekd", "edgekd build makes it anew") from error


def render(folder: Path) -> Report:
    """Write `report.md` and `report.html` anew from `report.json`."""
    report = read(folder)
    stage = importlib.import_module("edgekd.stages.report")
    for name, text in (("report.md", stage.markdown(report)), ("report.html", stage.html(report))):
        with writing(folder / name):
            (folder / name).write_text(text, encoding="utf-8")
    return report


def summary(report: Report, folder: Path) -> str:
    """What a build ends on; its files lie in `folder`."""
    text: str = importlib.import_module("edgekd.stages.report").summary(report, folder)
    return text
