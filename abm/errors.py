"""The exceptions a user can meet, one tree.

    EvenfallError
    ├── InputError            what was handed in is wrong; carries every problem (exit code 2)
    │   └── OutputExistsError an output folder is already there
    ├── LoadFlowError         a feeder or a solver that cannot be used at all
    ├── PluginError           code of the user's own raised, exited or interrupted
    ├── OptimiserError        the optimiser behind `bound` found no optimum
    └── MachineError          memory, disk, workers or cluster gave out (exit code 1)

A load flow that does not converge is *not* an exception: it is a result, recorded with its hour.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


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
        field = _cut(self.field)
        # Of an option that is called as the field, `--set a.b`, the name is said once.
        said = where.rpartition(" ")[2] == field
        text = where if said else f"{where}: {field}" if where else field
        if self.value != "":
            text += f" = {_cut(self.value, 500)}"
        text += f": {self.allowed}"
        return printable(f"{text} ({self.hint})" if self.hint else text)


def _cut(text: str, longest: int = 200) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


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


def as_arguments(error: InputError, **names: str) -> InputError:
    """The same error, for who calls a function: `--option` of the command line is `option`.

    names: of arguments that are not called as the option is.
    """

    def plain(text: str) -> str:
        def argument(found: re.Match[str]) -> str:
            name = found[1].replace("-", "_")
            return names.get(name, name)

        return re.sub(r"--([a-z][a-z-]*)", argument, text)

    return type(error)(
        replace(
            problem,
            field=plain(problem.field),
            file="set" if problem.file == "override" else plain(problem.file),
            allowed=plain(problem.allowed),
            hint=plain(problem.hint),
        )
        for problem in error.problems
    )


class OutputExistsError(InputError):
    """An output folder exists already, or is not one of ours to replace."""


class LoadFlowError(EvenfallError):
    """The feeder cannot be solved at all (no source, element that no solver knows, ...)."""


class PluginError(EvenfallError):
    """Code of the user's own raised, exited or interrupted; what it raised is the cause of this."""


class OptimiserError(EvenfallError):
    """The optimiser stopped without an optimum; the message holds its own status."""


class MachineError(EvenfallError):
    """What the work needs is not there, or no longer: memory, disk, workers, the cluster."""


def printable(text: object) -> str:
    """Text as one line that a terminal shows and does not obey.

    Controls, line ends, marks that turn the direction of writing and halves of a character are
    escaped as in Python source.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )


def needs(package: str, extra: str, what: str = "") -> str:
    """What is said where a package of an extra is missing; what: what it is needed for."""
    wanted = f"{package}, for {what}" if what else package
    return f'needs the package {wanted}: pip install "evenfall[{extra}]"'


def nearest(word: str, known: Sequence[str]) -> str:
    """Hint with the nearest right name for a misspelt one, or "" when nothing is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
