"""Signals that stop a verb: the first in good order, a second one at once."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Stopped(KeyboardInterrupt):
    """Somebody asked the verb to stop. number: the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name


@contextmanager
def stoppable() -> Iterator[None]:
    """While the block runs, the first signal of STOP raises `Stopped` in it, a second one ends all.

    A signal that was ignored before stays ignored, as `nohup` wants. Other threads than the main
    one are not told of signals: there nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    raised: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        if raised:
            os._exit(128 + number)
        raised.append(number)
        raise Stopped(number)

    def unraisable(lost: Any, before: Any = sys.unraisablehook) -> None:
        # Raised where Python drops exceptions (a destructor, a callback): once more, a bit later.
        if isinstance(lost.exc_value, Stopped):
            raised.clear()
            threading.Timer(0.05, _thread.interrupt_main, (lost.exc_value.number,)).start()
        else:
            before(lost)

    kept = {number: signal.getsignal(number) for number in STOP}
    hook = sys.unraisablehook
    try:
        for number, handler in kept.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, stop)
        sys.unraisablehook = unraisable
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in kept.items():
            # None: set by something else than Python, which cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
