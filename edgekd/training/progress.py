"""Shows progress and remaining time on stderr: a bar on a terminal, a line every 15 seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edgekd.training.distributed import is_main

SILENT_SECONDS = 1.0
LINE_SECONDS = 15.0  # between lines where stderr is a file or a pipe

Advance = Callable[[int, str], None]


@contextmanager
def progress(title: str, total: int) -> Iterator[Advance]:
    """Yield `advance(count, detail)`, which adds `count` to the finished part of `total` and shows the remark.

    Work of less than a second shows nothing.
    """
    meter = _Meter(title, total)
    try:
        yield meter.advance
    finally:
        meter.close()


def say(line: str) -> None:
    """Print one line on stderr, in the main process alone."""
    if is_main():
        Console(stderr=True, soft_wrap=True, highlight=False).print(line, markup=False)


class _Meter:
    """The display of one task, which begins when the task has lasted for a second and is not finished."""

    active: "_Meter | None" = None  # only the outermost of nested tasks is displayed

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.count = title, total, 0
        self.start = self.last_line = time.monotonic()
        self.bar: Progress | None = None
        self.task = TaskID(0)

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.count += count
        now = time.monotonic()
        if not is_main() or now - self.start < SILENT_SECONDS or _Meter.active not in (None, self):
            return
        _Meter.active = self
        if not sys.stderr.isatty():
            self._line(now, detail)
            return
        if self.bar is None:
            self._open()
        assert self.bar is not None
        self.bar.update(self.task, completed=self.count, detail=detail)

    def _open(self) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(self.title, total=self.total, detail="")
        self.bar.start()

    def _line(self, now: float, detail: str) -> None:
        if now - self.last_line < LINE_SECONDS or self.count >= self.total:
            return
        self.last_line = now
        seconds_left = (now - self.start) * (self.total - self.count) / max(self.count, 1)
        remark = f", {detail}" if detail else ""
        say(f"{self.title}: {100 * self.count // self.total} %{remark}, {_duration(seconds_left)} left")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
        if _Meter.active is self:
            _Meter.active = None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
