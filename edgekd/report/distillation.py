"""The section on what the teacher passed on: its sentences and tables, worded once for Markdown, HTML and terminal."""

from edgekd.report import units
from edgekd.results import FEW_MISTAKES, ClassTransfer, Distillation, Quantity, Report, Spread

SHOWN = 20  # classes: of more, those that agree least with the teacher
COMPARISON = ("on the test set", ">teacher", ">student", ">the same student alone")
ALONG_THE_WAY = ("while it was trained", ">accuracy", ">teacher", "on")
LAYERS = ("student's layer", "teacher's layer", ">CKA", ">alone")
CLASSES = (
    "class", ">samples", ">same answer", ">alone", ">teacher's mistakes", "mostly taken for", ">repeated", ">alone",
    ">by chance", ">kappa", "inherited?",
)  # fmt: skip
CAPTION = (
    "Means over the seeds ± one standard error, and each seed. Calibration error: expected, over equally wide bins of"
    " confidence. Repeated: the student gives the teacher's wrong answer too; by chance: it would, were its answers in"
    " any order within each class. Error consistency (kappa): right and wrong on the same samples as the teacher, 0 by"
    " chance, 1 always. CKA: how alike two layers tell samples apart, 1 up to rotation and scale, 0 if unrelated."
)
CLASS_CAPTION = (
    f"Inherited: in a class with at least {FEW_MISTAKES} mistakes of the teacher, the student repeats more of them than"
    " the same student alone (without one: than chance), by over two standard errors; what is hard for both is so taken"
    " off. Of classes that inherit nothing about one in forty looks so by luck."
)


def sentences(report: Report, found: Distillation) -> list[str]:
    """What someone wants to know first: whether it paid, at what cost, and what was inherited."""
    row = next(row for row in report.stages if row.stage == "distilled")
    opening = {
        "yes": "Distillation paid",
        "no": "Distillation did not pay",
        "skipped": "Nothing was distilled here",
    }.get(row.paid or "", "Whether distillation paid is not known")
    return [f"{opening}: {row.because}.", *_cost(found, skipped=row.paid == "skipped"), *_inheritance(found)]


def in_short(found: Distillation) -> str:
    """One line for the end of a build; nothing where the teacher could not be asked."""
    if found.agreement is None:
        return ""
    parts = [f"same answer as the teacher {_beside(found.agreement, found.agreement_alone)}"]
    parts.append(f"calibration error {_beside(found.calibration, found.calibration_alone)}")
    names = ", ".join(row.name for row in found.classes if row.inherited)
    return "; ".join([*parts, f"mistakes inherited in class {names}" if names else "no class inherits its mistakes"])


def comparison(found: Distillation) -> list[tuple[str, ...]]:
    """(what, the teacher's, the student's, the same student alone's), a row each."""
    chance = f"{units.text(found.by_chance)} by chance" if found.by_chance and found.by_chance.value is not None else ""
    rows: list[tuple[str, str, Spread | None, Spread | None]] = [
        ("accuracy", units.text(found.accuracy_teacher), found.accuracy, found.accuracy_alone),
        ("same answer as the teacher", "", found.agreement, found.agreement_alone),
        (
            f"calibration error ({found.calibration_bins} bins)",
            units.text(found.calibration_teacher),
            found.calibration,
            found.calibration_alone,
        ),
        ("teacher's mistakes repeated", chance, found.repeated, found.repeated_alone),
        ("error consistency with the teacher (kappa)", "", found.consistency, found.consistency_alone),
    ]
    return [(what, theirs, _spread(ours), _spread(alone)) for what, theirs, ours, alone in rows if ours is not None]


def along_the_way(found: Distillation) -> list[tuple[str, ...]]:
    """The cells of ALONG_THE_WAY: what the scheme measured beside the finished student."""
    return [
        (row.what, _with_error(row.accuracy), _with_error(row.accuracy_teacher), row.accuracy.source)
        for row in found.along_the_way
    ]


def layers(found: Distillation) -> list[tuple[str, ...]]:
    """(the student's, the teacher's, CKA, CKA of the student alone)."""
    return [(row.student, row.teacher, _spread(row.distilled), _spread(row.alone)) for row in found.layers]


def classes(found: Distillation) -> list[tuple[str, ...]]:
    """The cells of CLASSES, in the data's order."""
    return [
        (
            row.name,
            f"{row.samples:,}",
            _cell(row.agreement),
            _cell(row.agreement_alone),
            f"{row.mistakes:,}",
            row.taken_for,
            _cell(row.repeated),
            _cell(row.repeated_alone),
            _cell(row.by_chance),
            _cell(row.consistency),
            "yes" if row.inherited else "no" if row.mistakes >= FEW_MISTAKES else "",
        )
        for row in _shown(found)
    ]


def left_out(found: Distillation) -> str:
    """Which classes the pages do not show."""
    more = len(found.classes) - len(_shown(found))
    return f"The {SHOWN} classes that agree least; {more:,} more are in report.json. " if more else ""


def _shown(found: Distillation) -> list[ClassTransfer]:
    least = sorted(found.classes, key=lambda row: row.agreement.value or 0.0)[:SHOWN]
    return [row for row in found.classes if row in least]


def _cost(found: Distillation, *, skipped: bool) -> list[str]:
    if skipped:
        return []
    count = len(found.seeds)
    each = "" if count == 1 else f" from each of the seeds {', '.join(map(str, found.seeds))}"
    if found.baseline_epochs is None:
        told = [f"The student was trained for {_epochs(found.epochs)}{each}."]
    elif found.baseline_epochs == found.epochs:
        told = [f"Both were trained for {_epochs(found.epochs)}{each}; the teacher's own training is not counted."]
    else:
        lengths = f"{_epochs(found.epochs)} under the teacher and {_epochs(found.baseline_epochs)} alone"
        told = [f"The student had {lengths}{each}; the teacher's own training is not counted."]
    if count == 1:
        return [*told, "One seed can't tell a gain from luck: --set distill.seeds=3 trains more."]
    return [*told, f"The student of seed {found.seeds[0]}, the config's own, is shipped."]


def _inheritance(found: Distillation) -> list[str]:
    if found.unknown:
        return [f"What else was passed on is not known: {found.unknown}."]
    told = [_inherited(row) for row in found.classes if row.inherited]
    if told:
        return told
    if all(row.mistakes < FEW_MISTAKES for row in found.classes):
        return ["The teacher makes too few mistakes in any class to tell whether they are inherited."]
    than = "the same student alone does" if found.accuracy_alone else "chance would"
    return [f"In no class does the student clearly repeat more of the teacher's mistakes than {than}."]


def _inherited(row: ClassTransfer) -> str:
    other = f"the same student alone {_cell(row.repeated_alone)}" if row.repeated_alone else "chance would"
    if row.repeated_alone is None:
        other += f" {_cell(row.by_chance)}"
    return (
        f"Class {row.name} inherits its teacher's mistakes: of {row.mistakes:,}, mostly taken for {row.taken_for}, the"
        f" student repeats {_cell(row.repeated)}, {other}."
    )


def _epochs(count: int) -> str:
    return f"{count:,} epoch" + ("s" if count != 1 else "")


def _beside(ours: Spread, alone: Spread | None) -> str:
    return units.text(ours.mean) + (f" (alone {units.text(alone.mean)})" if alone else "")


def _spread(found: Spread | None) -> str:
    """98.1 % ± 0.2 (97.9, 98.2, 98.2); the seeds one by one while they are few."""
    if found is None:
        return ""
    words = units.text(found.mean)
    if len(found.each) < 2:
        return words
    digits = 1 if found.mean.unit == "%" else 2
    words += f" ± {found.mean.error:.{digits}f}" if found.mean.error is not None else ""
    if len(found.each) <= 5:
        words += f" ({', '.join(f'{value:.{digits}f}' for value in found.each)})"
    return words


def _with_error(figure: Quantity | None) -> str:
    """98.1 % ± 0.2."""
    error = f" ± {figure.error:.1f}" if figure and figure.value is not None and figure.error is not None else ""
    return _cell(figure) + error


def _cell(figure: Quantity | None) -> str:
    """A table's cell: empty where nothing can be told."""
    return "" if figure is None or figure.value is None else units.text(figure)
