"""What a job says while it runs: to the terminal with a progress bar, and to run.log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from logging.handlers import MemoryHandler
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from tomobayes.project import Progress, clear_progress, write_progress

__all__ = ["Log", "duration", "job_log"]

_LOGGER = logging.getLogger("tomobayes")

TELL_EVERY_S = 1.0


class Log:
    """Sentences and progress of one job. Everything said before ``keep_in`` is kept there too."""

    def __init__(self, console: Console, progress: Bars, early: MemoryHandler) -> None:
        self._console, self._progress, self._early = console, progress, early
        self._folder: Path | None = None

    def say(self, sentence: str) -> None:
        """Tell the user something."""
        _LOGGER.info(sentence)

    def warn(self, sentence: str) -> None:
        """Tell the user something to worry about."""
        _LOGGER.warning(sentence)

    def note(self, text: str) -> None:
        """Put something into run.log only."""
        _LOGGER.debug(text)

    def keep_in(self, folder: Path) -> None:
        """From now on, and for all said so far, write to ``run.log`` of a folder as well (after what it may hold already)."""
        self._folder = folder
        file = logging.FileHandler(folder / "run.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(message)s", "%Y-%m-%d %H:%M:%S"))
        self._early.setTarget(file)
        self._early.flush()
        _LOGGER.removeHandler(self._early)
        _LOGGER.addHandler(file)

    @contextmanager
    def steps(self, what: str, total: int | None) -> Iterator[Callable[[float], None]]:
        """Show how far a piece of work of ``total`` equal steps is; the block calls what it is given with steps done.

        The remaining time is that of the recent pace; it is left open while ``total`` is None.
        """
        start = time.monotonic()
        if self._console.is_terminal:
            self._progress.start()
        task = self._progress.add_task(what, total=total)
        tell = Teller(self._folder, what, total)

        def step(done: float) -> None:
            self._progress.advance(task, done)
            tell(done)

        try:
            yield step
        finally:
            tell.end()
            self._progress.remove_task(task)
            if not self._progress.tasks:
                _stop(self._progress)
        _LOGGER.info("%s: %s", what, duration(time.monotonic() - start))


class Teller:
    """Writes how far a piece of work is into the job's folder, once a second at most."""

    def __init__(self, folder: Path | None, what: str, total: float | None) -> None:
        now = time.time()
        self._folder, self._latest = folder, Progress(what, 0, total, start=now, now=now)
        self._write(self._latest)

    def __call__(self, done: float) -> None:
        """So many steps more are done."""
        now, last = time.time(), self._latest
        self._latest = replace(last, done=last.done + done)
        if now - last.now >= TELL_EVERY_S:
            self._write(replace(self._latest, now=now))

    def end(self) -> None:
        """The work is over."""
        if self._folder is not None:
            clear_progress(self._folder)

    def _write(self, progress: Progress) -> None:
        self._latest = progress
        if self._folder is not None and self._folder.is_dir():
            write_progress(self._folder, progress)


@contextmanager
def job_log() -> Iterator[Log]:
    """A log for one job; the terminal's part is stderr, and the progress bar shows only on a terminal."""
    console = Console(stderr=True, highlight=False)
    progress = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    early = MemoryHandler(capacity=100_000, flushLevel=logging.CRITICAL + 1, flushOnClose=False)
    before = list(_LOGGER.handlers), _LOGGER.level, _LOGGER.propagate
    terminal = _terminal_handler(console)
    _LOGGER.handlers = [terminal, early]
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.propagate = False
    try:
        yield Log(console, progress, early)
    finally:
        _stop(progress)
        for handler in _LOGGER.handlers:
            handler.close()
        _LOGGER.handlers, _LOGGER.level, _LOGGER.propagate = before


def _stop(progress: Bars) -> None:
    """Without a terminal the bar was never shown, and stopping it would print an empty line."""
    if progress.live.is_started:
        progress.stop()


def _terminal_handler(console: Console) -> logging.Handler:
    """Lines that give way to the progress bar on a terminal, plain ones in a file."""
    if console.is_terminal:
        return RichHandler(logging.INFO, console, show_path=False, show_level=False, log_time_format="%H:%M:%S")
    plain = logging.StreamHandler(console.file)
    plain.setLevel(logging.INFO)
    plain.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    return plain


def duration(seconds: float) -> str:
    """A span of time as one says it: 4.2 s, 12 min 5 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
