"""The report of a finished build, read from `report.json` and rendered again, for the command line."""

from pathlib import Path

from pydantic import ValidationError

from edgekd.disk import writing
from edgekd.errors import StoreError
from edgekd.results import Report


def read(folder: Path) -> Report:
    """Read the report in a build's folder; StoreError if there is none of this version."""
    file = folder / "report.json"
    if not file.is_file():
        raise StoreError(f"there is no {file}", "edgekd build makes it; --out names another folder")
    try:
        return Report.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} is no report of this version of edgekd", "edgekd build makes it anew") from error


def render(folder: Path) -> Report:
    """Render `report.md` and `report.html` again from `report.json`, and return the report."""
    from edgekd.report.html import html
    from edgekd.report.markdown import markdown

    report = read(folder)
    for name, text in (("report.md", markdown(report)), ("report.html", html(report))):
        with writing(folder / name):
            (folder / name).write_text(text, encoding="utf-8")
    return report


def summary(report: Report, folder: Path) -> str:
    """Return the summary that the terminal shows at the end of a build whose files lie in `folder`."""
    from edgekd.report import terminal

    return terminal.summary(report, folder)
