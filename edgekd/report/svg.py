"""Shapes and text as inline SVG for the report's plots; their colours come from the page's style sheet."""

import math
from xml.etree import ElementTree

CHARACTER = 6.4  # width of an average character at the page's 12 px, in pixels


class Drawing:
    """An SVG drawing in pixels from the top left; the `kind` of a shape is the CSS class that colours it."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height = width, height
        box = f"0 0 {width:g} {height:g}"
        self.root = ElementTree.Element("svg", {"viewBox": box, "role": "img", "aria-label": title})

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a straight line between two points."""
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def path(self, points: list[tuple[float, float]], kind: str) -> None:
        """Draw straight lines through the points."""
        self._add("polyline", kind, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str, hint: str = "") -> None:
        """Draw a rectangle with its upper left corner at (x, y); a browser shows `hint` as a tooltip."""
        self._hint(self._add("rect", kind, x=x, y=y, width=max(width, 0.0), height=height, rx=2), hint)

    def circle(self, x: float, y: float, radius: float, kind: str, hint: str = "") -> None:
        """Draw a filled circle around (x, y); a browser shows `hint` as a tooltip."""
        self._hint(self._add("circle", kind, cx=x, cy=y, r=radius), hint)

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """Write words on the baseline y; x is their start, middle or end, as `anchor` says."""
        element = self._add("text", kind, x=x, y=y)
        element.set("text-anchor", anchor)
        element.text = words

    def __str__(self) -> str:
        return ElementTree.tostring(self.root, encoding="unicode")

    def _add(self, tag: str, kind: str, **attributes: float | str) -> ElementTree.Element:
        texts = {name: value if isinstance(value, str) else f"{value:.1f}" for name, value in attributes.items()}
        return ElementTree.SubElement(self.root, tag, {"class": kind, **texts})

    def _hint(self, element: ElementTree.Element, words: str) -> None:
        """Add the tooltip of a shape."""
        if words:
            ElementTree.SubElement(element, "title").text = words


def text_width(words: str) -> float:
    """Estimate the width of the words in pixels."""
    return CHARACTER * len(words)


def shorten(words: str, pixels: float) -> str:
    """Cut the words at their beginning to fit; the end of a layer's name distinguishes it from its neighbours."""
    room = int(pixels / CHARACTER)
    return words if len(words) <= room else "…" + words[len(words) - room + 1 :]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round values within [low, high], 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten within [low, high]."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [factor * 10.0**power for power in powers for factor in (1, 2, 5) if low <= factor * 10.0**power <= high]
