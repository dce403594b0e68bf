"""Standard output and error that never stop a verb: a reader who has gone, a closed descriptor."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Outlet:
    """A text stream that goes on when nothing more can be written: the rest is dropped.

    lost: why, None while all is well. Everything else is the stream's own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """As the stream does."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        """As the stream does."""
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        self.lost = self.lost or error
        # What waits in the buffer has to go somewhere, or each further call would fail on it.
        devnull = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(devnull, self._stream.fileno())
        finally:
            os.close(devnull)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def open_streams() -> Iterator[Outlet]:
    """Standard output and error as `Outlet`s while the block runs; yields the former.

    A descriptor that is closed leads nowhere, instead of into the first file that is opened.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free is this one. Processes that we start have it, too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before = sys.stdout, sys.stderr
    out, err = (_outlet(stream) for stream in before)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        for stream, outlet in zip(before, (out, err), strict=True):
            if stream is None:
                outlet.close()
        sys.stdout, sys.stderr = before


def _outlet(stream: TextIO | None) -> Outlet:
    if stream is None:
        # It was closed when Python began. What takes its place stays open: no `with` (SIM115).
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    with suppress(AttributeError):
        # In a locale that lacks a letter it is shown by its number. TextIO, and the streams of
        # tests, do not have this; those of a process do.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    return Outlet(stream)


def reader_gone(error: OSError) -> bool:
    """Whether a stream was lost because nobody reads it any more, which is no fault."""
    return error.errno in (errno.EPIPE, errno.EIO)
