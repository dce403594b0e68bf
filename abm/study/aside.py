"""Calls that hear no signal and keep no time limit, in a thread that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def aside(function: Callable[[], _T]) -> Future[_T]:
    """What a function returns or raises, called in a thread of its own.

    Whoever waits for the future can be stopped, or give up; the thread does not keep the process.
    """
    future: Future[_T] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future
