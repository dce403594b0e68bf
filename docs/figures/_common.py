"""What the scripts of the pages share: the checkout, where images go, and `--smoke`.

Every script takes `--smoke`: few EVs and settings, in seconds, and nothing is written to the pages.
It shows that the script works, as a test does for all of them.
"""

from __future__ import annotations

import argparse
import atexit
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
# The checkout that the pages belong to, whatever else is installed.
sys.path.insert(0, str(ROOT))

from abm import Scenario  # noqa: E402 - found by the line above

T = TypeVar("T")
# Read before the options are, since sizes stand as constants at the top of a script.
SMOKE = "--smoke" in sys.argv
SMOKE_EVS_PER_ZONE = 2


def options(doc: str | None) -> argparse.ArgumentParser:
    """The options of a script: `--smoke`, and what it adds."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="in seconds: does the script work?")
    return parser


def few(values: Sequence[T], n: int = 2) -> list[T]:
    """All of the values; in a smoke run the first n."""
    return list(values)[:n] if SMOKE else list(values)


def load(name: str, **changes: Any) -> Scenario:
    """A shipped scenario with some changes; with few EVs in a smoke run."""
    small = {"fleet.evs_per_zone": SMOKE_EVS_PER_ZONE} if SMOKE else {}
    return Scenario.load(name).override({**small, **changes})


def output(folder: Path) -> Path:
    """The folder to write to: this one, or in a smoke run one that is thrown away."""
    if not SMOKE:
        return folder
    thrown_away = tempfile.TemporaryDirectory(prefix="evenfall-smoke-")
    atexit.register(thrown_away.cleanup)
    return Path(thrown_away.name)
