"""Figures as people read them: 9.8 kB, 0.4 M, 0.71x, +0.3."""

from edgekd.results import Quantity

UNKNOWN = "unknown"


def text(figure: Quantity | None) -> str:
    """A figure's value with its unit; "unknown" for an empty cell."""
    if figure is None:
        return ""
    if figure.value is None:
        return UNKNOWN
    return amount(figure.value, figure.unit)


def amount(value: float, unit: str) -> str:
    """A value in `unit`, in the size of unit that leaves few digits."""
    match unit:
        case "B":
            return size(value)
        case "MACs" | "parameters":
            return count(value)
        case "instructions":
            return f"{count(value)} instructions"
        case "%":
            return f"{value:.1f} %"
        case "x":
            return f"{value:.2f}x"
        case "ms":
            return duration(value)
        case "kappa" | "CKA":
            return f"{value:.2f}"
        case "points":
            points = f"{value:.2f}".rstrip("0").rstrip(".")
            return f"{points} point" if points == "1" else f"{points} points"
    return f"{value:.4g} {unit}"


def in_full(score: float, unit: str) -> str:
    """A score for lines in which digits count: 98.52 %, 43.21 mmHg."""
    return f"{score:.2f} %" if unit == "%" else f"{score:.4g} {unit}"


def number(value: float, unit: str) -> str:
    """The same without the unit, where it stands there already: 98.1 of 98.1 %."""
    return amount(value, unit).removesuffix(f" {unit}")


def size(value: float) -> str:
    """Bytes, in thousands as on a data sheet: 9.8 kB, 4 MB."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{_short(value / limit)} {unit}"
    return f"{value:.0f} B"


def count(value: float) -> str:
    """MACs or parameters: 3.1 M, 61.2 k."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{_short(value / limit)} {unit}"
    return f"{value:.0f}"


def duration(milliseconds: float) -> str:
    """Milliseconds; microseconds below one."""
    if milliseconds >= 1:
        return f"{milliseconds:.3g} ms"
    microseconds = milliseconds * 1e3
    return f"{microseconds:.1f} µs" if microseconds < 9.95 else f"{microseconds:.0f} µs"


def change(figure: Quantity | None) -> str:
    """The difference of two scores with its sign."""
    if figure is None or figure.value is None:
        return ""
    return signed(figure.value, figure.unit)


def signed(difference: float, unit: str = "points") -> str:
    """+0.3, -0.2, 0.0 of points: never -0.0; other units are named: -2.31 mmHg."""
    if unit != "points":
        return f"{difference:+.3g} {unit}" if difference else f"0 {unit}"
    rounded = round(difference, 1) + 0.0
    return f"{rounded:+.1f}" if rounded else "0.0"


def bare(difference: float, unit: str, digits: int = 1) -> str:
    """A difference of scores without sign and unit: `digits` decimals of points, three digits in other units."""
    return f"{difference:.{digits}f}" if unit == "points" else f"{difference:.3g}"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
