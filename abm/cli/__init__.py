"""The command line: verbs, their options, and errors as one clear text with exit code 2."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from abm.cli import files, runs, studies
from abm.cli.common import complain, show_warning
from abm.errors import EvenfallError, InputError
from abm.fault_log import write_log

BAD_INPUT, UNFORESEEN, INTERRUPTED = 2, 70, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; `reproduce` when none is given. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = build_parser().parse_args(arguments or ["reproduce"])
    # A rule named module:Class may lie beside the person who types, and never hides a package.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    warnings.showwarning = show_warning
    try:
        verb: Callable[[argparse.Namespace], int] = options.verb
        return verb(options)
    except InputError as error:
        found = len(error.problems)
        complain(f"{found} problem{'s' if found > 1 else ''} with what was handed in:")
        for problem in error.problems:
            complain(f"  {problem}")
        return BAD_INPUT
    except EvenfallError as error:
        complain(str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        complain("interrupted; nothing half-written is left")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); that is not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        complain(f"an error that was not foreseen, {said}; {write_log(error)}")
        return UNFORESEEN


def build_parser() -> argparse.ArgumentParser:
    """All verbs and options."""
    parser = argparse.ArgumentParser(
        prog="evenfall",
        description="Residential EV fleets on a real distribution feeder, agent by agent.",
        epilog="Without a verb: reproduce.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    runs.add_verbs(verbs)
    studies.add_verbs(verbs)
    files.add_verbs(verbs)
    return parser
