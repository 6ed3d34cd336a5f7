"""The knowledge transfer class by class, in tasks that have classes, worded for Markdown, HTML and terminal."""

from collections.abc import Sequence

from edgekd.report import units
from edgekd.results import FEW_MISTAKES, ClassTransfer, Quantity

MOST_CLASSES = 20  # of more classes a table has those that agree least with the teacher
HEADINGS = (
    "class", ">samples", ">same answer", ">alone", ">teacher's mistakes", "mostly taken for", ">repeated", ">alone",
    ">by chance", ">kappa", "inherited?",
)  # fmt: skip
CAPTION = (
    f"Inherited: in a class with at least {FEW_MISTAKES} mistakes of the teacher, the student repeats more of them than"
    " the same student alone (without one: than chance), by over two standard errors; what is hard for both is so taken"
    " off. Of classes that inherit nothing about one in forty looks so by luck."
)


def in_short(classes: Sequence[ClassTransfer]) -> str:
    """Name the classes whose mistakes were inherited, for the end of a build."""
    names = ", ".join(row.name for row in classes if row.inherited)
    return f"mistakes inherited in class {names}" if names else "no class inherits its mistakes"


def sentences(classes: Sequence[ClassTransfer], *, alone: bool) -> list[str]:
    """Name these classes in whole sentences.

    Args:
        alone: whether the same student was trained without the teacher too.
    """
    facts = [_sentence(row) for row in classes if row.inherited]
    if facts:
        return facts
    if all(row.mistakes < FEW_MISTAKES for row in classes):
        return ["The teacher makes too few mistakes in any class to tell whether they are inherited."]
    comparison = "the same student alone does" if alone else "chance would"
    return [f"In no class does the student clearly repeat more of the teacher's mistakes than {comparison}."]


def rows(classes: Sequence[ClassTransfer]) -> list[tuple[str, ...]]:
    """Return the table's cells below HEADINGS, in the order of the data's classes."""
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
        for row in _classes_of_table(classes)
    ]


def left_out(classes: Sequence[ClassTransfer]) -> str:
    """Say how many classes the table leaves out."""
    hidden = len(classes) - len(_classes_of_table(classes))
    return f"The {MOST_CLASSES} classes that agree least; {hidden:,} more are in report.json. " if hidden else ""


def _classes_of_table(classes: Sequence[ClassTransfer]) -> list[ClassTransfer]:
    least = sorted(classes, key=lambda row: row.agreement.value or 0.0)[:MOST_CLASSES]
    return [row for row in classes if row in least]


def _sentence(row: ClassTransfer) -> str:
    other = f"the same student alone {_cell(row.repeated_alone)}" if row.repeated_alone else "chance would"
    if row.repeated_alone is None:
        other += f" {_cell(row.by_chance)}"
    return (
        f"Class {row.name} inherits its teacher's mistakes: of {row.mistakes:,}, mostly taken for {row.taken_for}, the"
        f" student repeats {_cell(row.repeated)}, {other}."
    )


def _cell(quantity: Quantity | None) -> str:
    """Return a table's cell, which is empty where the quantity is not known."""
    return "" if quantity is None or quantity.value is None else units.text(quantity)
