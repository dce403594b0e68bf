"""Puts the checkout and its benchmarks on the path, whatever else is installed; import it first."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent)]
