"""The summary at the end of a build: the ledger as a table, then what paid, parity, limits and files in words."""

import io
import textwrap
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from edgekd.report import distillation, sentences, units
from edgekd.results import Report, StageRow

WIDTH = 100
INDENT = 9
RIGHT = ("change", "size", "MACs", "peak RAM", "latency\nmeasured-host")


def summary(report: Report, folder: Path | None = None) -> str:
    """Return the summary as plain text of at most 100 columns.

    Args:
        folder: the folder of the build's files, as the summary shows it.
    """
    lines = [sentences.title(report), _table(report)]
    for row in report.stages:
        verdict = f"{row.paid}: {row.because}" if row.paid else row.because
        label = "paid?" if row is report.stages[0] else ""
        lines.append(_line(f"{label:{INDENT}}{row.stage}", verdict, indent=INDENT + 11))
    if report.distillation is not None and (transfer := distillation.in_short(report.task, report.distillation)):
        lines.append(_line("teacher", transfer))
    lines.append(_line("parity", sentences.parity(report)))
    if report.limits:
        lines.append(_line("limits", " · ".join(sentences.limit(row, report.task) for row in report.limits)))
    if report.emulated:
        lines.append(_line("emulated", sentences.emulated(report.emulated)))
    if device := sentences.device(report):
        lines.append(_line("device", device))
    lines.append(_line("files", _files(report, folder)))
    return "\n".join(lines) + "\n"


def _table(report: Report) -> str:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    table.add_column("stage", no_wrap=True)
    for heading in (report.task.score, *RIGHT):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.stages:
        table.add_row(*_cells(row))
    text = io.StringIO()
    Console(file=text, width=WIDTH, color_system=None, force_terminal=False).print(table, markup=False)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())


def _cells(row: StageRow) -> tuple[str, ...]:
    return (
        row.stage,
        units.text(row.score),
        units.change(row.change),
        units.text(row.size),
        units.text(row.macs),
        units.text(row.peak_ram),
        units.text(row.latency_ratio),
    )


def _files(report: Report, folder: Path | None) -> str:
    names = [row.path for row in report.files if not row.path.startswith("model_float")]
    names += ["report.json", "report.md", "report.html"]
    if folder is not None:
        names[0] = (folder / names[0]).as_posix()
    return "  ".join(names)


def _line(label: str, text: str, indent: int = INDENT) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=label.ljust(indent),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
