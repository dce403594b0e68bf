"""The exceptions a user can meet, one tree.

    EvenfallError
    ├── InputError            what was handed in is wrong; carries every problem (exit code 2)
    │   └── OutputExistsError an output folder is already there
    ├── LoadFlowError         a feeder or a solver that cannot be used at all
    ├── OptimiserError        the optimiser behind `bound` found no optimum
    └── MachineError          memory, disk, workers or cluster gave out (exit code 1)

A load flow that does not converge is *not* an exception: it is a result, recorded with its hour.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what the user handed in.

    file: where it was read, or "" for a value set in code or on the command line.
    line: line in the file, counted from 1, or None where there is none.
    field: dotted path of the field ("ev.efficiency") or name of the column.
    value: what was found, as text.
    allowed: what would have been right, in words.
    hint: a suggestion ("did you mean 'evs_per_zone'?"), or "".
    """

    field: str
    value: str
    allowed: str
    file: str = ""
    line: int | None = None
    hint: str = ""

    def __str__(self) -> str:
        where = self.file
        if self.line is not None:
            where = f"{where}:{self.line}" if where else f"line {self.line}"
        text = f"{where}: {self.field}" if where else self.field
        if self.value != "":
            text += f" = {self.value}"
        text += f": {self.allowed}"
        return f"{text} ({self.hint})" if self.hint else text


class EvenfallError(Exception):
    """Base class of everything this package raises on purpose."""


class InputError(EvenfallError):
    """Something handed in is wrong. `problems` holds all that was found, in reading order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        # Exceptions cross process borders, and SimPy's event loop, by their args.
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class OutputExistsError(InputError):
    """An output folder exists already, or is not one of ours to replace."""


class LoadFlowError(EvenfallError):
    """The feeder cannot be solved at all (no source, element that no solver knows, ...)."""


class OptimiserError(EvenfallError):
    """The optimiser stopped without an optimum; the message holds its own status."""


class MachineError(EvenfallError):
    """What the work needs is not there, or no longer: memory, disk, workers, the cluster."""


def nearest(word: str, known: Sequence[str]) -> str:
    """Hint with the nearest right name for a misspelt one, or "" when nothing is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
