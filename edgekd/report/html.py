"""The report as one self-contained HTML page, without network access or scripts, in light and dark."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edgekd.report import classes, distillation, plots, sentences, units
from edgekd.report.svg import Drawing
from edgekd.results import Quantity, Report


def html(report: Report) -> str:
    """Render the whole page. The template escapes everything that a user wrote."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": units.text,
        "change": units.change,
        "size": units.size,
        "count": units.count,
        "error": _error,
        "how": _origin,
        "boundary": sentences.boundary_name,
        "standing": sentences.standing,
        "first_difference": sentences.first_difference,
    }
    latencies = [row for row in report.latencies if row.latency.value is not None]
    return environment.get_template("page.html").render(
        report=report,
        sentences=sentences,
        classes=classes,
        distillation=distillation,
        tiles=_tiles(report),
        ledger_plot=_inline(plots.score_against_size(report)),
        seeds_plot=_inline(plots.score_by_seed(report.distillation, report.task)) if report.distillation else "",
        way_plot=_stream_plot(report),
        boundary_plot=_inline(plots.boundaries(report.boundaries, report.task)) if report.boundaries else "",
        operator_plot=_inline(plots.operator_cost(report.operators)) if report.operators else "",
        latency_plot=_inline(plots.latency(latencies)) if latencies else "",
    )


def _stream_plot(report: Report) -> str:
    """Plot the scores in each window of a stream, where the scheme has measured student and teacher there."""
    rows = report.distillation.along_the_way if report.distillation else ()
    windows = [row for row in rows if row.score_teacher is not None]
    return _inline(plots.score_along_the_way(windows, report.task)) if len(windows) > 1 else ""


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    """Return the main results as (heading, value, remark)."""
    teacher, int8 = report.stages[0], report.stages[-1]
    score_change = "the teacher's is not known"
    if teacher.score.value is not None:
        change = (int8.score.value or 0.0) - teacher.score.value
        signed = units.signed(change, report.task.difference)
        score_change = f"{signed} against the teacher's {units.text(teacher.score)}"
    size_change = "the teacher's is not known"
    if teacher.size.value is not None and int8.size.value:
        size_change = (
            f"{teacher.size.value / int8.size.value:.1f}x smaller than the teacher's {units.text(teacher.size)}"
        )
    ratio = next((row.ratio_to_float for row in report.latencies if row.ratio_to_float), None)
    tiles = [
        (f"int8 {report.task.score}", units.text(int8.score), score_change),
        ("int8 size", units.text(int8.size), size_change),
        ("int8 MACs", units.text(int8.macs), f"the teacher's: {units.text(teacher.macs)}"),
        ("int8 peak RAM", units.text(int8.peak_ram), "activations, by the memory plan"),
    ]
    if ratio is not None:
        tiles.append(("int8 against float", units.text(ratio), "of float's time; measured-host, not the device"))
    return tiles


def _inline(drawing: Drawing) -> Markup:
    """Mark a drawing's text as safe: ElementTree has escaped it."""
    return Markup(str(drawing))


def _error(quantity: Quantity | None) -> str:
    """Format an error as ± 0.6 points, or a latency's distance to its slowest round as + 0.2 ms."""
    if quantity is None or quantity.value is None or quantity.error is None:
        return ""
    sign = "+" if quantity.unit == "ms" else "±"
    return f"{sign} {units.amount(quantity.error, quantity.unit).removesuffix(' %').removesuffix('x')}"


def _origin(quantity: Quantity) -> str:
    """Say how a quantity is known, or which command would fill its cell."""
    if quantity.value is None:
        return quantity.remedy
    return f"{quantity.origin}: {quantity.source}" if quantity.source else str(quantity.origin)
