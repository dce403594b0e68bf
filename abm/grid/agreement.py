"""Solvers are checked against each other before one is trusted; what is remembered of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.cache import cache_folder
from abm.equations import load_flow
from abm.errors import LoadFlowError

if TYPE_CHECKING:
    from abm.grid.feeder import Feeder

AGREE_PU = 1e-6
AGREE_MW = 1e-6
# Nominal, light load, and every customer feeding in.
CHECK_FACTORS = (1.0, 0.3, -0.6)


class LoadFlowWarning(UserWarning):
    """The solver that was asked for is not the one that is used, or another one disagrees."""


class UnsupportedFeederError(LoadFlowError):
    """The feeder holds something that this solver does not model; another solver may."""


def memory_of(feeder: Feeder) -> Path | None:
    """File that says that the solvers agree on this feeder, see `memory_file`."""
    network = feeder.network
    return memory_file(
        ("power-grid-model", "pandapower", "numpy"),
        (
            *(matrix.data for matrix in (network.y_bus, network.y_from, network.y_to)),
            *(value for value in vars(network).values() if isinstance(value, np.ndarray | float)),
            *vars(network.branches).values(),
            feeder.p_mw,
            feeder.q_mvar,
        ),
    )


def memory_file(packages: Iterable[str], values: Iterable[Any]) -> Path | None:
    """File that says that the solvers agree on a feeder; None where nothing is remembered.

    Its name is a digest of all that a solver is given, of the versions of the packages that solve
    and of this code.
    """
    folder = cache_folder()
    if folder is None:
        return None
    digest = hashlib.sha256()
    for package in packages:
        digest.update(f"{package} {version(package)}\n".encode())
    for source in (*sorted(Path(__file__).parent.glob("*.py")), Path(load_flow.__file__)):
        digest.update(source.read_bytes())
    for value in values:
        digest.update(np.ascontiguousarray(value).tobytes() + b"|")
    return folder / f"{digest.hexdigest()}.agrees"


def remembered(memory: Path | None) -> bool:
    """Whether the file is there and whole: it holds its own name."""
    try:
        return memory is not None and memory.read_bytes() == memory.name.encode()
    except OSError:
        return False


def remember(memory: Path | None) -> None:
    """Write the file in one go. A folder that cannot be written costs the next run a check."""
    if memory is None:
        return
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        handle, half = tempfile.mkstemp(dir=memory.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(memory.name.encode())
            os.replace(half, memory)
        except OSError:
            os.unlink(half)
            raise
