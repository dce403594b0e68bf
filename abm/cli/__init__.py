"""The command line: verbs, their options, and errors as one clear text with exit code 2."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NoReturn

from abm.cli import (
    breakeven,
    cite,
    demo,
    feeders,
    files,
    hosting,
    leaderboard,
    runs,
    sessions,
    studies,
    watch,
)
from abm.cli.common import complain, show_warning
from abm.cli.endings import FAULT, ending
from abm.cli.stopping import Stopped, ignore_signals, stop_behind, stoppable
from abm.cli.streams import Outlet, open_streams, reader_gone
from abm.errors import MachineError, printable


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; `reproduce` when none is given. Returns the exit code.

    SystemExit comes from argparse alone: --help, and what it does not know.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with open_streams() as out, stoppable():
        try:
            options = build_parser().parse_args(arguments or ["reproduce"])
            try:
                return _printed(out, _run(options))
            except BaseException as error:
                return _end(error)
        except Stopped as stop:  # while something else was being said
            return _end(stop)


def script() -> NoReturn:
    """`main` as a process of its own, which ends with it: no thread is waited for, no signal."""
    code = main()
    ignore_signals()
    if threading.active_count() > 1:  # HiGHS, which cannot be stopped, or what Dask leaves behind
        os._exit(code)
    sys.exit(code)


def _run(options: argparse.Namespace) -> int:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise MachineError("the working folder is gone; change to one that is there") from None
    warnings.showwarning = show_warning
    verb: Callable[[argparse.Namespace], int] = options.verb
    from abm.report.printing import parse_printing, printed_as

    how = parse_printing(getattr(options, "formats", None), getattr(options, "style", None))
    with printed_as(how), ExitStack() as options.held:  # what is let go of when the verb ends
        return verb(options)


def _printed(out: Outlet, code: int) -> int:
    """The exit code, if all that was to be printed could be."""
    out.flush()
    if out.lost is None or reader_gone(out.lost):
        return code
    complain(f"standard output: {out.lost.strerror}; what was written to files is whole")
    return code or FAULT


def _end(error: BaseException) -> int:
    lines, code = ending(stop_behind(error) or error)
    for line in lines:
        complain(line)
    return code


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the words on the command line without obeying them."""

    def error(self, message: str) -> NoReturn:
        """Print how it is used, and end with exit code 2."""
        super().error(printable(message))


def build_parser() -> argparse.ArgumentParser:
    """All verbs and options."""
    parser: argparse.ArgumentParser = Parser(
        prog="evenfall",
        description="Residential EV fleets on a real distribution feeder, agent by agent.",
        epilog="Without a verb: reproduce.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    runs.add_verbs(verbs)
    watch.add_verbs(verbs)
    demo.add_verbs(verbs)
    breakeven.add_verbs(verbs)
    studies.add_verbs(verbs)
    hosting.add_verbs(verbs)
    leaderboard.add_verbs(verbs)
    files.add_verbs(verbs)
    cite.add_verbs(verbs)
    sessions.add_verbs(verbs)
    feeders.add_verbs(verbs)
    return parser
