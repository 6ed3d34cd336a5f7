"""The report as one HTML page that needs nothing but itself: no network, no script, light and dark."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edgekd.report import classes, distillation, plots, sentences, units
from edgekd.report.svg import Drawing
from edgekd.results import Quantity, Report


def html(report: Report) -> str:
    """The whole page. Everything that a user wrote is escaped by the template."""
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
        "how": _how,
        "boundary": sentences.boundary_name,
        "standing": sentences.standing,
        "first_difference": sentences.first_difference,
    }
    timed = [row for row in report.latencies if row.latency.value is not None]
    return environment.get_template("page.html").render(
        report=report,
        sentences=sentences,
        classes=classes,
        distillation=distillation,
        tiles=_tiles(report),
        ledger_plot=_inline(plots.score_against_size(report)),
        seeds_plot=_inline(plots.score_by_seed(report.distillation, report.task)) if report.distillation else "",
        way_plot=_way_plot(report),
        boundary_plot=_inline(plots.boundaries(report.boundaries, report.task)) if report.boundaries else "",
        operator_plot=_inline(plots.operator_cost(report.operators)) if report.operators else "",
        latency_plot=_inline(plots.latency(timed)) if timed else "",
    )


def _way_plot(report: Report) -> str:
    """Of a stream, the scheme that measures student and teacher window by window."""
    rows = report.distillation.along_the_way if report.distillation else ()
    both = [row for row in rows if row.score_teacher is not None]
    return _inline(plots.score_along_the_way(both, report.task)) if len(both) > 1 else ""


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    """(heading, figure, remark): what someone wants to know first."""
    teacher, int8 = report.stages[0], report.stages[-1]
    against = "the teacher's is not known"
    if teacher.score.value is not None:
        change = (int8.score.value or 0.0) - teacher.score.value
        signed = units.signed(change, report.task.difference)
        against = f"{signed} against the teacher's {units.text(teacher.score)}"
    weighed = "the teacher's is not known"
    if teacher.size.value is not None and int8.size.value:
        weighed = f"{teacher.size.value / int8.size.value:.1f}x smaller than the teacher's {units.text(teacher.size)}"
    ratio = next((row.ratio_to_float for row in report.latencies if row.ratio_to_float), None)
    tiles = [
        (f"int8 {report.task.score}", units.text(int8.score), against),
        ("int8 size", units.text(int8.size), weighed),
        ("int8 MACs", units.text(int8.macs), f"the teacher's: {units.text(teacher.macs)}"),
        ("int8 peak RAM", units.text(int8.peak_ram), "activations, by the memory plan"),
    ]
    if ratio is not None:
        tiles.append(("int8 against float", units.text(ratio), "of float's time; measured-host, not the device"))
    return tiles


def _inline(drawing: Drawing) -> Markup:
    """A drawing builds its text through ElementTree, which escapes it."""
    return Markup(str(drawing))


def _error(figure: Quantity | None) -> str:
    """± 0.6 points, or how far the slowest round of a latency lay."""
    if figure is None or figure.value is None or figure.error is None:
        return ""
    sign = "+" if figure.unit == "ms" else "±"
    return f"{sign} {units.amount(figure.error, figure.unit).removesuffix(' %').removesuffix('x')}"


def _how(figure: Quantity) -> str:
    """How a figure came about, or what would fill its cell."""
    if figure.value is None:
        return figure.remedy
    return f"{figure.origin}: {figure.source}" if figure.source else str(figure.origin)
