"""Quantities formatted for readers of the report: 9.8 kB, 0.4 M, 0.71x, +0.3."""

from edgekd.results import Quantity

UNKNOWN = "unknown"


def text(quantity: Quantity | None) -> str:
    """Format a quantity with its unit, or as "unknown" where it is empty."""
    if quantity is None:
        return ""
    if quantity.value is None:
        return UNKNOWN
    return amount(quantity.value, quantity.unit)


def amount(value: float, unit: str) -> str:
    """Format a value in `unit`, with the prefix that leaves few digits."""
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
    """Format a score with more digits: 98.52 %, 43.21 mmHg."""
    return f"{score:.2f} %" if unit == "%" else f"{score:.4g} {unit}"


def number(value: float, unit: str) -> str:
    """Format a value as `amount` does, but without the unit: 98.1 instead of 98.1 %."""
    return amount(value, unit).removesuffix(f" {unit}")


def size(value: float) -> str:
    """Format bytes with decimal prefixes, as on a data sheet: 9.8 kB, 4 MB."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{_short(value / limit)} {unit}"
    return f"{value:.0f} B"


def count(value: float) -> str:
    """Format MACs or parameters: 3.1 M, 61.2 k."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{_short(value / limit)} {unit}"
    return f"{value:.0f}"


def duration(milliseconds: float) -> str:
    """Format milliseconds, or microseconds below one millisecond."""
    if milliseconds >= 1:
        return f"{milliseconds:.3g} ms"
    microseconds = milliseconds * 1e3
    return f"{microseconds:.1f} µs" if microseconds < 9.95 else f"{microseconds:.0f} µs"


def change(quantity: Quantity | None) -> str:
    """Format the difference of two scores with its sign; an empty quantity gives an empty text."""
    if quantity is None or quantity.value is None:
        return ""
    return signed(quantity.value, quantity.unit)


def signed(difference: float, unit: str = "points") -> str:
    """Format points as +0.3, -0.2 or 0.0 (never -0.0), and other units with their name: -2.31 mmHg."""
    if unit != "points":
        return f"{difference:+.3g} {unit}" if difference else f"0 {unit}"
    rounded = round(difference, 1) + 0.0
    return f"{rounded:+.1f}" if rounded else "0.0"


def bare(difference: float, unit: str, digits: int = 1) -> str:
    """Format a difference of scores without its unit: `digits` decimals of points, three digits of other units."""
    return f"{difference:.{digits}f}" if unit == "points" else f"{difference:.3g}"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
