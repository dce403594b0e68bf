"""Signals that stop a verb: the first in good order, a second one at once."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from abm.fault_log import write_log

STOP = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Stopped(KeyboardInterrupt):
    """Somebody asked the verb to stop. number: the signal.

    Raised wherever the verb is, it can be lost: in a destructor, in a callback, in an import that
    takes it for a missing module. Then `lost` is called, unless somebody has set `heeded`. SimPy
    passes on a copy, made of `args`.
    """

    def __init__(self, number: int, lost: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(number)
        self.number, self.heeded, self._lost = number, False, lost

    def __str__(self) -> str:
        return signal.Signals(self.number).name

    def __del__(self) -> None:
        if not self.heeded:
            self._lost(self.number)


def stop_behind(error: BaseException) -> Stopped | None:
    """The `Stopped` that an exception is, or came from; heeded from now on."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    stops = [link for link in chain if isinstance(link, Stopped)]
    for stop in stops:
        stop.heeded = True
    return stops[0] if stops else None


@contextmanager
def stoppable() -> Iterator[None]:
    """While the block runs, the first signal of STOP raises `Stopped` in it, a second one ends all.

    A signal that was ignored before stays ignored, as `nohup` wants. Other threads than the main
    one are not told of signals: there nothing is done.

    What a stop leaves half made, such as an object within its constructor, may fail once more when
    it is let go of, where nobody can catch it. Its traceback goes to a log, not to the terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    raised: list[int] = []  # what holds now
    stops: list[int] = []  # and ever did, lost or not

    def stop(number: int, _: FrameType | None) -> None:
        if raised:
            os._exit(128 + number)
        raised.append(number)
        stops.append(number)
        raise Stopped(number, again)

    def again(number: int) -> None:
        # Not at once: what lost it may not have ended yet.
        raised.clear()
        timer = threading.Timer(0.05, raise_again, (number,))
        timer.daemon = True
        timer.start()

    def raise_again(number: int) -> None:
        if signal.getsignal(number) is not stop:  # the block has ended
            return
        if hasattr(signal, "pthread_kill"):  # a real one, which wakes whoever waits for something
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:
            _thread.interrupt_main(signal.Signals(number))

    def unraisable(dropped: Any, before: Any = sys.unraisablehook) -> None:
        if isinstance(dropped.exc_value, Stopped):
            return
        if stops:
            write_log(dropped.exc_value or dropped.exc_type.__name__, "stopping")
        else:
            before(dropped)

    kept = {number: signal.getsignal(number) for number in STOP}
    hook = sys.unraisablehook
    try:
        for number, handler in kept.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, stop)
        sys.unraisablehook = unraisable
        yield
    finally:
        if stops:  # the frames that it passed through may hold one another
            gc.collect()
        sys.unraisablehook = hook
        for number, handler in kept.items():
            # None: set by something else than Python, which cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def ignore_signals() -> None:
    """From now on nothing can be stopped, as nothing is left to stop."""
    for number in STOP:
        signal.signal(number, signal.SIG_IGN)
