"""The forms of the tables: a line for each run, or for each kind of run."""

import csv
from collections.abc import Callable, Sequence
from statistics import fmean

from benchmarks.support.paths import RESULTS


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of results/`name`.csv; there are none if the file does not exist yet."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def table(header: tuple[str, ...], cells: Sequence[tuple[str, ...]]) -> str:
    """Format a Markdown table, or the text "No rows yet."."""
    if not cells:
        return "No rows yet.\n"
    lines = [header, ("---",) * len(header), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def runs(name: str, columns: dict[str, str], by: str) -> Callable[[], str]:
    """Return a table's function with a line for the newest run of each value of the columns `by` and `seed`.

    Args:
        columns: the format of each heading's cells, from the CSV's columns: "{accuracy} %".
    """

    def render() -> str:
        newest = {tuple(row[key] for key in (*by.split(), "seed")): row for row in rows(name)}
        cells = [tuple(form.format_map(row) for form in columns.values()) for row in newest.values()]
        return table(tuple(columns), cells)

    return render


def over_seeds(name: str, by: str, columns: dict[str, str]) -> Callable[[], str]:
    """Return a table's function with a line for each kind of run: the mean over its seeds, and each seed.

    Args:
        by: the CSV's columns that distinguish the kinds; they are the first cell.
        columns: the CSV's column of each heading, in percent; empty cells stay empty.
    """

    def render() -> str:
        newest = {tuple(row[key] for key in (*by.split(), "seed")): row for row in rows(name)}
        cells = []
        for kind in dict.fromkeys(key[:-1] for key in newest):
            runs = sorted((row for key, row in newest.items() if key[:-1] == kind), key=lambda row: int(row["seed"]))
            values = [[row[column] for row in runs if row[column]] for column in columns.values()]
            cells.append((", ".join(kind), str(len(runs)), *map(_mean_and_each, values)))
        return table((by.replace(" ", ", ").replace("_", " "), "seeds", *columns), cells)

    return render


def _mean_and_each(values: list[str]) -> str:
    each = f" ({', '.join(values)})" if len(values) > 1 else ""
    return f"{fmean(map(float, values)):.2f} %{each}" if values else ""
