"""The section on knowledge transfer: its sentences and tables, worded once for Markdown, HTML and terminal."""

from edgekd.report import classes, units
from edgekd.results import Distillation, Measure, Quantity, Report, Spread, TaskWords

COMPARISON = ("on the test set", ">teacher", ">student", ">the same student alone")
LAYERS = ("student's layer", "teacher's layer", ">CKA", ">alone")
SEEDS = "Means over the seeds ± one standard error, and each seed."
CKA = "CKA: how alike two layers tell samples apart, 1 up to rotation and scale, 0 if unrelated."


def sentences(report: Report, record: Distillation) -> list[str]:
    """Say first whether distillation paid, then at what cost, and what was inherited."""
    row = next(row for row in report.stages if row.stage == "distilled")
    opening = {
        "yes": "Distillation paid",
        "no": "Distillation did not pay",
        "skipped": "Nothing was distilled here",
    }.get(row.paid or "", "Whether distillation paid is not known")
    return [f"{opening}: {row.because}.", *_cost(record, skipped=row.paid == "skipped"), *_inheritance(record)]


def in_short(words: TaskWords, record: Distillation) -> str:
    """Return one line for the end of a build; it is empty where the teacher's outputs are not known."""
    if record.agreement is None:
        return ""
    parts = [f"{words.agreement_with_teacher} {_with_baseline(record.agreement, record.agreement_alone)}"]
    parts += [
        f"{measure.name} {_with_baseline(measure.student, measure.alone)}"
        for measure in record.measures
        if measure.in_short and measure.student is not None
    ]
    return "; ".join([*parts, *([classes.in_short(record.classes)] if record.classes else [])])


def comparison(words: TaskWords, record: Distillation) -> list[tuple[str, ...]]:
    """Return rows of (name, teacher's value, student's value, value of the same student alone)."""
    rows: list[tuple[str, str, Spread | None, Spread | None]] = [
        (words.score, units.text(record.score_teacher), record.score, record.score_alone),
        (words.agreement_with_teacher, "", record.agreement, record.agreement_alone),
        *((_name(measure), _teacher(measure), measure.student, measure.alone) for measure in record.measures),
    ]
    return [
        (what, teacher, _spread(student), _spread(alone))
        for what, teacher, student, alone in rows
        if student is not None
    ]


def caption(record: Distillation) -> str:
    """Explain the quantities of `comparison` and `layers`."""
    return " ".join([SEEDS, *(measure.meaning for measure in record.measures), CKA])


def along_the_way_headings(words: TaskWords) -> tuple[str, ...]:
    """Return the headings of `along_the_way`."""
    return ("while it was trained", f">{words.score}", ">teacher", "on")


def along_the_way(record: Distillation) -> list[tuple[str, ...]]:
    """Return the scores that the scheme measured beside the finished student's."""
    return [
        (row.what, _with_error(row.score), _with_error(row.score_teacher), row.score.source)
        for row in record.along_the_way
    ]


def layers(record: Distillation) -> list[tuple[str, ...]]:
    """Return rows of (student's layer, teacher's layer, CKA, CKA of the student alone)."""
    return [(row.student, row.teacher, _spread(row.distilled), _spread(row.alone)) for row in record.layers]


def _cost(record: Distillation, *, skipped: bool) -> list[str]:
    if skipped:
        return []
    count = len(record.seeds)
    seeds = "" if count == 1 else f" from each of the seeds {', '.join(map(str, record.seeds))}"
    if record.baseline_epochs is None:
        lengths = [f"The student was trained for {_epochs(record.epochs)}{seeds}."]
    elif record.baseline_epochs == record.epochs:
        lengths = [f"Both were trained for {_epochs(record.epochs)}{seeds}; the teacher's own training is not counted."]
    else:
        epochs = f"{_epochs(record.epochs)} under the teacher and {_epochs(record.baseline_epochs)} alone"
        lengths = [f"The student had {epochs}{seeds}; the teacher's own training is not counted."]
    if count == 1:
        return [*lengths, "One seed can't tell a gain from luck: --set distill.seeds=3 trains more."]
    return [*lengths, f"The student of seed {record.seeds[0]}, the config's own, is shipped."]


def _inheritance(record: Distillation) -> list[str]:
    if record.unknown:
        return [f"What else was passed on is not known: {record.unknown}."]
    return classes.sentences(record.classes, alone=record.score_alone is not None) if record.classes else []


def _name(measure: Measure) -> str:
    return f"{measure.name} ({measure.remark})" if measure.remark else measure.name


def _teacher(measure: Measure) -> str:
    """Return the teacher's value, or what the student would reach by chance."""
    if measure.teacher is not None:
        return units.text(measure.teacher)
    chance = measure.by_chance
    return f"{units.text(chance)} by chance" if chance is not None and chance.value is not None else ""


def _epochs(count: int) -> str:
    return f"{count:,} epoch" + ("s" if count != 1 else "")


def _with_baseline(student: Spread, alone: Spread | None) -> str:
    return units.text(student.mean) + (f" (alone {units.text(alone.mean)})" if alone else "")


def _spread(spread: Spread | None) -> str:
    """Format 98.1 % ± 0.2 (97.9, 98.2, 98.2); up to five seeds are listed one by one."""
    if spread is None:
        return ""
    unit, text = spread.mean.unit, units.text(spread.mean)
    if len(spread.each) < 2:
        return text
    text += f" ± {units.number(spread.mean.error, unit)}" if spread.mean.error is not None else ""
    if len(spread.each) <= 5:
        text += f" ({', '.join(units.number(value, unit) for value in spread.each)})"
    return text


def _with_error(quantity: Quantity | None) -> str:
    """Format 98.1 % ± 0.2."""
    if quantity is None or quantity.value is None:
        return ""
    error = "" if quantity.error is None else f" ± {units.number(quantity.error, quantity.unit)}"
    return units.text(quantity) + error
