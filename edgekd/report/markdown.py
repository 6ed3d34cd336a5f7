"""The report as Markdown tables, for a pull request or a README."""

from collections.abc import Iterable, Sequence

from edgekd.report import classes, distillation, sentences, units
from edgekd.results import Boundary, Distillation, EmulatedRow, Quantity, Report

LEDGER = (">change", ">size", ">MACs", ">parameters", ">peak RAM", ">latency (measured-host)", "paid?")
BOUNDARIES = (">outputs that differ", ">largest, in steps", "gate", "kernels")


def markdown(report: Report) -> str:
    """Render the whole report as one Markdown page."""
    words = report.task
    parts = [
        f"# {_escape(sentences.title(report))}",
        f"`{report.command.replace('`', '')}` · {report.created} · edgekd {report.edgekd_version}",
        "## The ledger",
        table(
            ("stage", f">{words.score}", *LEDGER),
            (
                (
                    row.stage,
                    _with_error(row.score),
                    units.change(row.change),
                    units.text(row.size),
                    units.text(row.macs),
                    units.text(row.parameters),
                    units.text(row.peak_ram),
                    _with_error(row.latency_ratio),
                    f"**{row.paid}**: {_escape(row.because)}" if row.paid else _escape(row.because),
                )
                for row in report.stages
            ),
        ),
        f"{sentences.capital(words.score)} is of the test set, with one standard error. Latency is the time of one"
        " inference on this host against the distilled student in float, with the furthest round; it says nothing about"
        " the device.",
        *(_distillation(report, report.distillation) if report.distillation else ()),
        "## Parity",
        sentences.capital(_escape(sentences.parity(report))) + ".",
        table(
            ("boundary", f">{words.score}", "against", f">{words.agreement}", *BOUNDARIES),
            (_boundary(row) for row in report.boundaries),
        ),
    ]
    if runtime_rows := [row for row in report.boundaries if row.layers]:
        headings = ("layer", "operator", *(f">{sentences.boundary_name(row.name)}" for row in runtime_rows))
        parts += ["Codes that differ from the reference, layer by layer:", table(headings, _layers(runtime_rows))]
    if report.limits:
        parts += [
            "## Limits",
            table(
                ("limit", ">reached", ">allowed", "", "how it is known"),
                (
                    (
                        sentences.limit_name(row.limit, words),
                        units.text(row.reached),
                        units.text(row.allowed),
                        sentences.standing(row) + (f": {_escape(row.miss)}" if row.miss else ""),
                        _escape(_origin(row.reached)),
                    )
                    for row in report.limits
                ),
            ),
        ]
    parts += [
        "## Latency",
        table(
            ("file", "runtime", ">one inference", ">against float", "how it is known"),
            (
                (
                    f"`{row.file}`",
                    _escape(row.runtime),
                    _with_error(row.latency),
                    _with_error(row.ratio_to_float) if row.ratio_to_float else "",
                    _escape(row.latency.origin or row.latency.remedy),
                )
                for row in report.latencies
            ),
        ),
        *(_emulated(report.emulated) if report.emulated else ()),
        "## Operators of the int8 network",
        table(
            ("operator", "kind", "output", ">MACs", ">weights", ">output bytes"),
            (
                (
                    f"`{row.name}`",
                    row.operator,
                    " x ".join(map(str, row.output_shape)),
                    units.count(row.macs),
                    units.size(row.weight_bytes),
                    units.size(row.output_bytes),
                )
                for row in report.operators
            ),
        ),
        "## Files",
        table(
            ("file", ">bytes", "what", "sha256"),
            ((f"`{row.path}`", f"{row.size_bytes:,}", row.what, f"`{row.sha256[:16]}…`") for row in report.files),
        ),
    ]
    if report.notes:
        parts += ["## Notes", "\n".join(f"- {_escape(note)}" for note in report.notes)]
    parts += ["## Made with", _made_with(report)]
    return "\n\n".join(parts) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table; a heading that begins with ">" right-aligns its column."""
    head = "| " + " | ".join(heading.removeprefix(">") for heading in headings) + " |"
    rule = "|" + "|".join("---:" if heading.startswith(">") else "---" for heading in headings) + "|"
    return "\n".join([head, rule, *("| " + " | ".join(row) + " |" for row in rows)])


def _emulated(row: EmulatedRow) -> Iterable[str]:
    yield "## On an emulated core"
    yield f"{sentences.capital(_escape(sentences.emulated(row)))}."
    if row.over:
        yield f"**Over budget**: {_escape(row.over)}."
    yield f"{_escape(row.stack.source)}. An emulator counts instructions; it has no time to give."
    if row.functions:
        shown = ((f"`{each.name}`", units.text(each.instructions), str(each.bytes or "")) for each in row.functions)
        yield table(("function", ">one inference", ">bytes"), shown)


def _distillation(report: Report, record: Distillation) -> Iterable[str]:
    yield "## Distillation"
    yield " ".join(_escape(sentence) for sentence in distillation.sentences(report, record))
    yield table(distillation.COMPARISON, distillation.comparison(report.task, record))
    yield distillation.caption(record)
    if record.along_the_way:
        rows = ([_escape(cell) for cell in row] for row in distillation.along_the_way(record))
        yield table(distillation.along_the_way_headings(report.task), rows)
    if record.layers:
        yield table(distillation.LAYERS, ([_escape(cell) for cell in row] for row in distillation.layers(record)))
    elif record.layers_unknown:
        yield f"Layers were not compared: {_escape(record.layers_unknown)}."
    if record.classes:
        yield table(classes.HEADINGS, ([_escape(cell) for cell in row] for row in classes.rows(record.classes)))
        yield _escape(classes.left_out(record.classes) + classes.CAPTION)


def _boundary(row: Boundary) -> tuple[str, ...]:
    gate = {True: "passed", False: "FAILED", None: ""}[row.passed]
    layer = sentences.first_difference(row)
    return (
        sentences.boundary_name(row.name),
        units.text(row.score),
        sentences.boundary_name(row.against) if row.against else "",
        units.text(row.agreement),
        f"{row.differing:,} of {row.outputs:,}" if row.outputs is not None and row.differing is not None else "",
        str(row.largest_steps) if row.largest_steps is not None else "",
        gate + (f", {_escape(layer)}" if layer else ""),
        _escape(row.kernels),
    )


def _layers(runtime_rows: Sequence[Boundary]) -> Iterable[tuple[str, ...]]:
    for layer_rows in zip(*(row.layers for row in runtime_rows), strict=True):
        counts = (f"{layer.differing:,} of {layer.outputs:,}" for layer in layer_rows)
        yield (f"`{layer_rows[0].layer}`", layer_rows[0].operator, *counts)


def _made_with(report: Report) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    lines = [f"- host: {_escape(sentences.machine(report))}", f"- versions: {versions}"]
    processes = sentences.training(report)
    return "\n".join([*lines, f"- trained by: {processes}"] if processes else lines)


def _with_error(quantity: Quantity) -> str:
    if quantity.value is None or quantity.error is None:
        return units.text(quantity)
    sign = "+" if quantity.unit == "ms" else "± "  # a latency is the lowest of its rounds, so the others lie above it
    return f"{units.text(quantity)} ({sign}{units.amount(quantity.error, quantity.unit)})"


def _origin(quantity: Quantity) -> str:
    return f"{quantity.origin}: {quantity.source}" if quantity.value is not None else quantity.remedy


def _escape(text: str) -> str:
    """Escape a user's text, so that it opens neither a column nor an HTML tag."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
