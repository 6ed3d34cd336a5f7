"""The report's plots: score against size, by seed and at each boundary; cost of operators; latency of files."""

import math
from collections.abc import Callable, Sequence

from edgekd.report import units
from edgekd.report.sentences import boundary_name, capital
from edgekd.report.svg import Drawing, log_ticks, shorten, text_width, ticks
from edgekd.results import (
    AlongTheWay,
    Boundary,
    Distillation,
    LatencyRow,
    OperatorRow,
    Quantity,
    Report,
    StageRow,
    TaskWords,
)  # fmt: skip

WIDTH = 720.0
ROW = 24.0
FLOAT = ("teacher", "distilled", "pruned")  # boundaries that compute in float; the others compute with integers

Scale = Callable[[float], float]


def score_against_size(report: Report) -> Drawing:
    """Plot the ledger as a path; each stage is a point whose bar is one standard error of the test set."""
    words = report.task
    rows = [row for row in report.stages if row.score.value is not None and row.size.value is not None]
    left, right, top, bottom = 62.0, WIDTH - 24.0, 34.0, 344.0
    drawing = Drawing(WIDTH, 400, f"{capital(words.score)} against size of each stage")
    worst = _worst_score(report)
    low, high = _axis(words, [*_ends([row.score for row in rows]), *([] if worst is None else [worst])], 0.22)
    sizes = [_number(row.size.value) for row in rows]
    x = _logarithmic(min(sizes) / 1.9, max(sizes) * 1.9, left, right)
    y = _linear(low, high, bottom, top)
    for tick in _ticks(words, low, high):
        drawing.line(left, y(tick), right, y(tick), "grid")
        drawing.text(left - 8, y(tick) + 4, f"{tick:g} {words.unit}", "tick", "end")
    for tick in log_ticks(min(sizes) / 1.9, max(sizes) * 1.9):
        drawing.line(x(tick), bottom, x(tick), bottom + 5, "axis")
        drawing.text(x(tick), bottom + 20, units.size(tick), "tick", "middle")
    drawing.line(left, bottom, right, bottom, "axis")
    drawing.text((left + right) / 2, bottom + 44, "size of the file (logarithmic)", "label", "middle")
    drawing.text(left, top - 16, f"{words.score} on the test set", "label")
    if worst is not None:
        drawing.line(left, y(worst), right, y(worst), "limit")
    points = [(x(_number(row.size.value)), y(_number(row.score.value))) for row in rows]
    drawing.path(points, "trail")
    for index, (row, (px, py)) in enumerate(zip(rows, points, strict=True)):
        _stage_point(drawing, row, words, px, py, y, above=index % 2 == 0)
    return drawing


def score_by_seed(distillation: Distillation, words: TaskWords) -> Drawing:
    """Plot a dot for each training, with the teacher and without; the vertical line is their mean."""
    groups = [
        ("under the teacher", distillation.score, "distilled"),
        ("the same student alone", distillation.score_alone, "alone"),
    ]
    rows = [(name, group, kind) for name, group, kind in groups if group is not None]
    teacher = distillation.score_teacher.value if distillation.score_teacher else None
    left, right, top = 190.0, WIDTH - 90.0, 30.0
    bottom = top + 30.0 * len(rows)
    drawing = Drawing(WIDTH, bottom + 52, f"{capital(words.score)} of each training")
    ends = [value for _, group, _ in rows for value in group.each] + ([] if teacher is None else [teacher])
    low, high = _axis(words, ends, 0.15)
    x = _linear(low, high, left, right)
    for tick in _ticks(words, low, high, 5):
        drawing.line(x(tick), top, x(tick), bottom, "grid")
        drawing.text(x(tick), bottom + 18, f"{tick:g} {words.unit}", "tick", "middle")
    drawing.text((left + right) / 2, bottom + 42, f"{words.score} on the test set", "label", "middle")
    if teacher is not None:
        drawing.line(x(teacher), top - 8, x(teacher), bottom, "trail")
        drawing.text(x(teacher), top - 14, "teacher", "tick", "middle")
    for index, (name, group, kind) in enumerate(rows):
        middle = top + 30.0 * (index + 0.5)
        drawing.text(left - 12, middle + 4, name, "name", "end")
        drawing.line(x(_number(group.mean.value)), middle - 10, x(_number(group.mean.value)), middle + 10, "mean")
        for seed, value in zip(distillation.seeds, group.each, strict=True):
            drawing.circle(x(value), middle, 5, f"point {kind}", f"seed {seed}: {units.in_full(value, words.unit)}")
        drawing.text(right + 12, middle + 4, units.text(group.mean), "tick")
    return drawing


def score_along_the_way(rows: Sequence[AlongTheWay], words: TaskWords) -> Drawing:
    """Plot the scores of student and teacher in each window of a stream; a drift shows as a dip."""
    left, right, top, bottom = 62.0, WIDTH - 90.0, 34.0, 244.0
    drawing = Drawing(WIDTH, 290, f"{capital(words.score)} in each window of the stream")
    lines = [
        ("teacher", [_number(row.score_teacher.value if row.score_teacher else None) for row in rows]),
        ("distilled", [_number(row.score.value) for row in rows]),
    ]
    low, high = _axis(words, [value for _, line in lines for value in line], 0.08)
    x, y = _linear(0, len(rows) - 1, left, right), _linear(low, high, bottom, top)
    for tick in _ticks(words, low, high, 5):
        drawing.line(left, y(tick), right, y(tick), "grid")
        drawing.text(left - 8, y(tick) + 4, f"{tick:g} {words.unit}", "tick", "end")
    for kind, line in lines:
        drawing.path([(x(index), y(value)) for index, value in enumerate(line)], f"course {kind}")
        for index, (row, value) in enumerate(zip(rows, line, strict=True)):
            hint = f"{row.what}, {kind}: {units.amount(value, words.unit)}"
            drawing.circle(x(index), y(value), 3.5, f"point {kind}", hint)
    offset = 14.0 if abs(y(lines[0][1][-1]) - y(lines[1][1][-1])) < 14 else 0.0
    above = -offset / 2 if lines[0][1][-1] >= lines[1][1][-1] else offset / 2
    drawing.text(right + 10, y(lines[0][1][-1]) + 4 + above, "teacher", "tick")
    drawing.text(right + 10, y(lines[1][1][-1]) + 4 - above, "student", "tick")
    drawing.text(left, top - 16, f"{words.score} in each window, before it taught", "label")
    drawing.text((left + right) / 2, bottom + 36, "windows of the stream", "label", "middle")
    return drawing


def boundaries(rows: Sequence[Boundary], words: TaskWords) -> Drawing:
    """Plot the score from the teacher to the shipped files, beside the number of outputs that differ."""
    left, right, top = 190.0, WIDTH - 190.0, 34.0
    bottom = top + ROW * len(rows)
    drawing = Drawing(WIDTH, bottom + 52, f"{capital(words.score)} at each boundary")
    low, high = _axis(words, _ends([row.score for row in rows]), 0.12)
    x = _linear(low, high, left, right)
    for tick in _ticks(words, low, high, 4):
        drawing.line(x(tick), top, x(tick), bottom, "grid")
        drawing.text(x(tick), bottom + 18, f"{tick:g} {words.unit}", "tick", "middle")
    drawing.text((left + right) / 2, bottom + 42, f"{words.score} on the test set", "label", "middle")
    drawing.text(right + 16, top - 12, "outputs that differ", "label")
    for index, row in enumerate(rows):
        middle = top + ROW * (index + 0.5)
        value, error = _number(row.score.value), row.score.error or 0.0
        drawing.text(left - 12, middle + 4, shorten(boundary_name(row.name), left - 16), "name", "end")
        if error:
            drawing.line(x(_clip(words, value - error)), middle, x(_clip(words, value + error)), middle, "whisker")
        kind = "point bad" if row.passed is False else "point" if row.name in FLOAT else "point integer"
        drawing.circle(x(value), middle, 5, kind, f"{boundary_name(row.name)}: {units.text(row.score)}")
        if row.outputs is not None and row.differing is not None:
            differing = f"{row.differing:,} of {row.outputs:,}"
            kind = "bad" if row.passed is False else "name" if row.exact else "tick"
            drawing.text(right + 16, middle + 4, differing, kind)
    return drawing


def operator_cost(rows: Sequence[OperatorRow]) -> Drawing:
    """Plot MACs, weights and output of each operator of the int8 network side by side."""
    rows = [row for row in rows if row.macs or row.weight_bytes or row.output_bytes]
    names, top, gap = 340.0, 34.0, 16.0
    column = (WIDTH - names - 3 * gap) / 3
    drawing = Drawing(WIDTH, top + 20 * len(rows) + 8, "Cost of each operator")
    measures: tuple[tuple[str, str, Callable[[OperatorRow], int], Callable[[float], str]], ...] = (
        ("MACs", "macs", lambda row: row.macs, units.count),
        ("weights", "weights", lambda row: row.weight_bytes, units.size),
        ("output", "output", lambda row: row.output_bytes, units.size),
    )
    for index, row in enumerate(rows):
        baseline = top + 20 * index + 14
        kind = shorten(row.operator, names * 0.6)
        drawing.text(0, baseline, shorten(row.name, names - text_width(kind) - 16), "name")
        drawing.text(names - 4, baseline, kind, "tick", "end")
    for number, (heading, kind, of, words) in enumerate(measures):
        start = names + gap / 2 + number * (column + gap)
        largest = max((of(row) for row in rows), default=1) or 1
        drawing.text(start, top - 12, heading, "label")
        room = column - max(text_width(words(of(row))) for row in rows) - 8
        for index, row in enumerate(rows):
            if not of(row):
                continue
            upper, length = top + 20 * index, max(room * of(row) / largest, 1.0)
            drawing.rectangle(start, upper + 4, length, 12, f"bar {kind}", f"{row.name}: {of(row):,}")
            drawing.text(start + length + 6, upper + 14, words(of(row)), "tick")
    return drawing


def latency(rows: Sequence[LatencyRow]) -> Drawing:
    """Plot each file's lowest median as a bar and every round as a dot, so that the noise is visible."""
    rows = [row for row in rows if row.latency.value is not None]
    left, right, top = 190.0, WIDTH - 110.0, 10.0
    bottom = top + ROW * len(rows)
    drawing = Drawing(WIDTH, bottom + 52, "Time of one inference on this host")
    high = 1.05 * max(max(_number(row.latency.value), *row.rounds_ms, 0.0) for row in rows)
    x = _linear(0.0, high, left, right)
    for tick in ticks(0.0, high, 5):
        drawing.line(x(tick), top, x(tick), bottom, "grid")
        drawing.text(x(tick), bottom + 18, units.duration(tick) if tick else "0", "tick", "middle")
    drawing.text((left + right) / 2, bottom + 42, "time of one inference on this host", "label", "middle")
    for index, row in enumerate(rows):
        middle, value = top + ROW * (index + 0.5), _number(row.latency.value)
        kind = "bar int8" if row.file.startswith("model.") else "bar float"
        drawing.text(left - 12, middle + 4, shorten(row.file, left - 16), "name", "end")
        drawing.rectangle(left, middle - 7, x(value) - left, 14, kind, f"{row.file}: {units.text(row.latency)}")
        for round_ms in row.rounds_ms:
            drawing.circle(x(round_ms), middle, 2.5, "round", units.duration(round_ms))
        furthest = max([value, *row.rounds_ms])
        drawing.text(x(furthest) + 10, middle + 4, units.text(row.latency), "tick")
    return drawing


def _stage_point(
    drawing: Drawing, row: StageRow, words: TaskWords, px: float, py: float, y: Scale, *, above: bool
) -> None:
    value, error = _number(row.score.value), row.score.error or 0.0
    upper, lower = y(_clip(words, value + error)), y(_clip(words, value - error))
    drawing.line(px, upper, px, lower, "whisker")
    drawing.circle(px, py, 6, f"point {row.stage}", row.because)
    name_at = min(upper, py - 6) - 24 if above else max(lower, py + 6) + 18
    drawing.text(px, name_at, row.stage, "name strong halo", "middle")
    drawing.text(px, name_at + 15, f"{units.text(row.score)}, {units.text(row.size)}", "tick halo", "middle")


def _worst_score(report: Report) -> float | None:
    """Return the worst score that the target allows."""
    score_drop = next((row.allowed.value for row in report.limits if row.limit == "score drop"), None)
    teacher = report.stages[0].score.value
    if score_drop is None or teacher is None:
        return None
    return _clip(report.task, teacher - score_drop if report.task.higher_is_better else teacher + score_drop)


def _ends(scores: Sequence[Quantity]) -> list[float]:
    """Return the ends of the bars of one standard error."""
    return [_number(score.value) + sign * (score.error or 0.0) for score in scores for sign in (-1, 1)]


def _clip(words: TaskWords, score: float) -> float:
    """Clip a score to the bounds of the task."""
    lowest = -math.inf if words.lowest is None else words.lowest
    highest = math.inf if words.highest is None else words.highest
    return min(max(score, lowest), highest)


def _axis(words: TaskWords, values: Sequence[float], share: float) -> tuple[float, float]:
    """Return the ends of an axis with room for labels; flat data get two points, or a tenth of their value."""
    clipped_values = [_clip(words, value) for value in values]
    low, high = min(clipped_values), max(clipped_values)
    least = 1.0 if words.unit == "%" else max(abs(low), abs(high)) / 20 or 1.0
    room = max((high - low) * share, least)
    return low - room, high + room


def _ticks(words: TaskWords, low: float, high: float, most_ticks: int = 6) -> list[float]:
    return ticks(_clip(words, low), _clip(words, high), most_ticks)


def _linear(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (end - start) * (value - low) / (high - low)


def _logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    inner = _linear(math.log(low), math.log(high), start, end)
    return lambda value: inner(math.log(value))


def _number(value: float | None) -> float:
    return 0.0 if value is None else value
