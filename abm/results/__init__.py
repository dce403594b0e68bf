"""Recorded arrays -> tables -> KPIs -> a folder on disk."""

from abm.results.record import Record
from abm.results.recording import join_records, make_record
from abm.results.results import Results

__all__ = ["Record", "Results", "join_records", "make_record"]
