"""Forms of tables: a line a run, a line a kind of run."""

import csv
from collections.abc import Callable, Sequence
from statistics import fmean

from benchmarks.support.paths import RESULTS


def rows(name: str) -> list[dict[str, str]]:
    """The rows of results/`name`.csv, none where there is no such file yet."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def table(header: tuple[str, ...], cells: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table, or that there is nothing to stand in it yet."""
    if not cells:
        return "No rows yet.\n"
    lines = [header, ("---",) * len(header), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def runs(name: str, columns: dict[str, str], by: str) -> Callable[[], str]:
    """A table with a line a run, the newest of those that are alike in the column `by` and in `seed`.

    Args:
        columns: what stands above a column -> how it is written, of the CSV's columns: "{accuracy} %".
    """

    def written() -> str:
        newest = {tuple(row[key] for key in (*by.split(), "seed")): row for row in rows(name)}
        cells = [tuple(form.format_map(row) for form in columns.values()) for row in newest.values()]
        return table(tuple(columns), cells)

    return written


def over_seeds(name: str, by: str, columns: dict[str, str]) -> Callable[[], str]:
    """A table with a line for each kind of run: the mean over its seeds, and each of them.

    Args:
        by: the CSV's columns that tell kinds apart; they stand in the first cell.
        columns: what stands above a column -> the CSV's column, in percent; cells that are empty in it stay so.
    """

    def written() -> str:
        newest = {tuple(row[key] for key in (*by.split(), "seed")): row for row in rows(name)}
        cells = []
        for kind in dict.fromkeys(key[:-1] for key in newest):
            runs = sorted((row for key, row in newest.items() if key[:-1] == kind), key=lambda row: int(row["seed"]))
            told = [[row[column] for row in runs if row[column]] for column in columns.values()]
            cells.append((", ".join(kind), str(len(runs)), *map(_mean_and_each, told)))
        return table((by.replace(" ", ", ").replace("_", " "), "seeds", *columns), cells)

    return written


def _mean_and_each(values: list[str]) -> str:
    each = f" ({', '.join(values)})" if len(values) > 1 else ""
    return f"{fmean(map(float, values)):.2f} %{each}" if values else ""
