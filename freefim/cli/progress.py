"""A progress bar for work that lasts over a second, on a terminal."""

import sys
import time
from threading import Lock, Timer
from types import TracebackType
from typing import Any

__all__ = ["Progress"]

_PATIENCE = 1.0


class Progress:
    """Show a bar on standard error, once a second has passed, if that is a terminal.

    Call it as ``progress(done, total)``; the bar is gone after the ``with`` block.

    Parameters
    ----------
    label : str
        What is going on.
    total : int, optional
        Number of steps; without, the label stands alone until a call tells.
    """

    def __init__(self, label: str, total: int | None = None) -> None:
        self._label, self._done, self._total = label, 0, total
        self._started = time.time()
        self._line: _Bar | _Words | None = None
        self._over = False
        self._lock = Lock()
        self._timer = Timer(_PATIENCE, self._appear)
        self._timer.daemon = True

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            self._timer.start()
        return self

    def __call__(self, done: int, total: int) -> None:
        """Take note that `done` of `total` steps are done."""
        with self._lock:
            self._done, self._total = done, total
            if self._line is not None:
                self._line.show(done, total)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._line is not None:
                self._line.close()

    def _appear(self) -> None:
        with self._lock:
            # The timer may have fired just before the work was over.
            if not self._over:
                self._line = _line(self._label, self._total, self._started)
                self._line.show(self._done, self._total)


def _line(label: str, total: int | None, started: float) -> "_Bar | _Words":
    try:
        from tqdm import tqdm
    except ImportError:
        return _Words(label)
    if total is None:
        return _Words(label)
    bar = tqdm(total=total, desc=label, leave=False, file=sys.stderr)
    bar.start_t = started
    return _Bar(bar)


class _Bar:
    """A bar of tqdm."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def show(self, done: int, total: int | None) -> None:
        self._bar.total, self._bar.n = total, done
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _Words:
    """One line of text."""

    def __init__(self, label: str) -> None:
        self._label = label

    def show(self, done: int, total: int | None) -> None:
        count = "…" if total is None else f"{done}/{total}"
        print(f"\r{self._label} {count}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
