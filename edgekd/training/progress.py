"""Progress with time left, on stderr: a bar on a terminal, a line now and then elsewhere, nothing under a second."""

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
    """Yields `advance(done, detail)`, to be called as work goes on: how many more of `total` are done, and a remark."""
    meter = _Meter(title, total)
    try:
        yield meter.advance
    finally:
        meter.close()


def say(line: str) -> None:
    """One line on stderr, from the main process alone."""
    if is_main():
        Console(stderr=True, soft_wrap=True, highlight=False).print(line, markup=False)


class _Meter:
    """Shows one task, from the moment at which it has lasted for a second and will last on."""

    shown: "_Meter | None" = None  # one bar at a time: work within work leaves the screen to the outer one

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.started = self.last_line = time.monotonic()
        self.bar: Progress | None = None
        self.task = TaskID(0)

    def advance(self, done: int = 1, detail: str = "") -> None:
        self.done += done
        now = time.monotonic()
        if not is_main() or now - self.started < SILENT_SECONDS or _Meter.shown not in (None, self):
            return
        _Meter.shown = self
        if not sys.stderr.isatty():
            self._line(now, detail)
            return
        if self.bar is None:
            self._open()
        assert self.bar is not None
        self.bar.update(self.task, completed=self.done, detail=detail)

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
        if now - self.last_line < LINE_SECONDS or self.done >= self.total:
            return
        self.last_line = now
        left = (now - self.started) * (self.total - self.done) / max(self.done, 1)
        remark = f", {detail}" if detail else ""
        say(f"{self.title}: {100 * self.done // self.total} %{remark}, {_duration(left)} left")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
        if _Meter.shown is self:
            _Meter.shown = None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
