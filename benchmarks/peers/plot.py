"""Draws results/conversion_peers.svg from the CSV's newest rows: a line for each file, a column for each question."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.support.paths import RESULTS
from edgekd.report.svg import Drawing, text_width

WIDTH, LINE, NAMES, GAP = 900.0, 18.0, 250.0, 22.0
STYLE = """
svg { background: #ffffff; font: 12px system-ui, sans-serif; }
text { fill: #1f2933; } .tick, .label { fill: #667380; } .strong { font-weight: 600; }
.bar { fill: #9fb3c8; } .ours { fill: #1f7a8c; } .mark { stroke: #1f2933; stroke-width: 1; }
"""
Row = dict[str, str]


@dataclass(frozen=True)
class Question:
    """A column of the plot: its heading, a row's value (None if unknown), its format, and the value at full width."""

    heading: str
    value: Callable[[Row], float | None]
    words: Callable[[float], str]
    full: float
    mark: float | None = None


def newest(path: Path = RESULTS / "conversion_peers.csv") -> list[Row]:
    """Return the last row of each model, tool, mode and format, in the order of their first rows."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return list({(row["model"], row["tool"], row["mode"], row["format"]): row for row in rows}.values())


def draw(path: Path = RESULTS / "conversion_peers.svg") -> None:
    """Draw the plot of the newest rows, and write it."""
    path.write_text(str(plot(newest())) + "\n", encoding="utf-8")


def plot(rows: list[Row]) -> Drawing:
    """Draw a group of lines for each model."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    drawing = Drawing(WIDTH, 34 + LINE * (len(rows) + 1.6 * len(models)), "What each tool makes of the same students")
    ElementTree.SubElement(drawing.root, "style").text = STYLE
    drawing.root.set("xmlns", "http://www.w3.org/2000/svg")
    questions = _questions({(row["model"], row["format"]): row for row in rows if _is_reference_row(row)})
    column = (WIDTH - NAMES - GAP * len(questions)) / len(questions)
    for number, question in enumerate(questions):
        drawing.text(NAMES + GAP + number * (column + GAP), 18, question.heading, "label")
    top = 34.0
    for model in models:
        drawing.text(6, top + LINE, model, "strong")
        top += 1.6 * LINE
        for row in (row for row in rows if row["model"] == model):
            drawing.text(14, top + 13, f"{row['tool']}, {row['mode']}, {row['format']}", "name")
            for number, question in enumerate(questions):
                _answer(drawing, question, row, NAMES + GAP + number * (column + GAP), top, column)
            top += LINE
    return drawing


def _answer(drawing: Drawing, question: Question, row: Row, left: float, top: float, column: float) -> None:
    value = question.value(row)
    if value is None:
        drawing.text(left, top + 13, "–", "tick")
        return
    room = column - text_width(question.words(question.full)) - 8
    length = room * min(max(value, 0.0), question.full) / question.full
    hint = f"{row['tool']}, {row['mode']}, {row['format']}: {question.heading} {question.words(value)}"
    drawing.rectangle(left, top + 3, max(length, 1.0), LINE - 6, "ours" if row["tool"] == "edgekd" else "bar", hint)
    if question.mark is not None:
        at = left + room * question.mark / question.full
        drawing.line(at, top, at, top + LINE, "mark")
    drawing.text(left + max(length, 1.0) + 6, top + 13, question.words(value), "tick")


def _questions(edgekd_rows: dict[tuple[str, str], Row]) -> tuple[Question, ...]:
    def size(row: Row) -> float | None:
        own, its = edgekd_rows.get((row["model"], row["format"]), {}).get("size_bytes"), row["size_bytes"]
        return float(its) / float(own) if own and its else None

    def lost(row: Row) -> float | None:
        return float(row["accuracy_float"]) - float(row["accuracy"]) if row["accuracy"] else None

    def identical(row: Row) -> float | None:
        return 100 * float(row["identical_share"]) if row["identical_share"] else None

    def latency(row: Row) -> float | None:
        return float(row["latency_ratio"]) if row["latency_ratio"] else None

    return (
        Question("points lost", lost, lambda value: f"{value:+.2f}", 3.0),
        Question("same as simulated", identical, percent, 100.0),
        Question("bytes, to ours", size, lambda value: f"{value:.2f}x", 2.0, mark=1.0),
        Question("latency, to ours", latency, lambda value: f"{value:.2f}x", 2.0, mark=1.0),
    )


def percent(value: float) -> str:
    """Format a percentage that is truncated, not rounded, so that only all of them are 100 %."""
    return f"{int(value * 100) / 100:.2f} %"


def _is_reference_row(row: Row) -> bool:
    return row["tool"] == "edgekd" and row["mode"] == "qat"
