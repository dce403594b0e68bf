"""Recorded arrays -> tables -> KPIs -> a folder on disk."""

from abm.results.recorder import Record, Recorder
from abm.results.results import Results

__all__ = ["Record", "Recorder", "Results"]
