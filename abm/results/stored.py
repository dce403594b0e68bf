"""A run's record as one file: `record.parquet`, of which `Results.load` makes the results again.

Numbers and arrays by the names that the classes of a record have, and nothing else: reading it runs
no code. What the scenario's files said is not in it; a digest tells whether they still say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from pydantic import BaseModel

from abm.grid import PowerFlow
from abm.grid.base_load import BaseLoad, LoadGroup
from abm.grid.phase_flow import ThreePhaseFlow
from abm.results.record import Record
from abm.results.supply import SupplyRecord
from abm.scenario import Inputs, Scenario
from abm.scenario.differences import without_folders
from abm.scenario.series import Series
from abm.snapshot import Snapshot, SnapshotError

RECORD = "record.parquet"
# Of a record with more bytes than this in memory the tables have to do.
LARGEST = 100_000_000
# Where its shape changes without a change of its fields.
_VERSION = 1
# All classes that a record is made of.
_CLASSES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (Record, PowerFlow, ThreePhaseFlow, BaseLoad, LoadGroup, Series, SupplyRecord)
}
# Stands for the scenario, which is in a file of its own.
_SCENARIO = "scenario"


def record_size(record: Record) -> int:
    """Bytes of all arrays of a record."""
    writer = _Teller()
    writer.value(record)
    return sum(array.nbytes for array in writer.arrays)


def record_file(record: Record) -> bytes | None:
    """A record as the content of its file; None where it is larger than `LARGEST`."""
    writer = _Teller()
    said = writer.value(record)
    if sum(array.nbytes for array in writer.arrays) > LARGEST:
        return None
    about = {"record": _VERSION, "inputs": inputs_digest(record.scenario.inputs), "is": said}
    return Snapshot(about, writer.arrays).to_bytes()


def read_record(content: bytes, scenario: Scenario) -> Record:
    """The record in a file, of this scenario.

    Raises SnapshotError, with what is the matter, where it is none of ours, of another version, or
    where files that the scenario names no longer say what they said.
    """
    try:
        found = Snapshot.from_bytes(content)
    except SnapshotError as error:
        raise SnapshotError(f"the record cannot be read: {error}") from None
    about = found.skeleton
    if not isinstance(about, dict) or about.get("record") != _VERSION:
        raise SnapshotError("another version of Evenfall wrote the record")
    if about.get("inputs") != inputs_digest(scenario.inputs):
        raise SnapshotError("a file that the scenario names has changed since")
    try:
        record = _Maker(found.arrays, scenario).value(about.get("is"))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise SnapshotError(f"another version of Evenfall wrote the record: {error}") from None
    if not isinstance(record, Record):
        raise SnapshotError("there is no record in it")
    return record


class _Teller:
    def __init__(self) -> None:
        self.arrays: list[Any] = []

    def value(self, value: Any) -> Any:
        """What stands for a value in the skeleton."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return {"f": repr(value)}
        if isinstance(value, np.ndarray):
            self.arrays.append(value)
            return {"a": len(self.arrays) - 1}
        if isinstance(value, Scenario):
            return _SCENARIO_MARK
        if isinstance(value, tuple):
            return {"t": [self.value(item) for item in value]}
        if isinstance(value, Mapping):
            return {"d": {str(key): self.value(item) for key, item in value.items()}}
        name = type(value).__name__
        if _CLASSES.get(name) is not type(value):
            raise TypeError(f"{name} is no part of a record")
        names = [one.name for one in fields(_CLASSES[name])]
        each = {of: self.value(getattr(value, of)) for of in names}
        return {"of": name, "is": each}


class _Maker:
    def __init__(self, arrays: list[Any], scenario: Scenario) -> None:
        self._arrays, self._scenario = arrays, scenario

    def value(self, said: Any) -> Any:
        """The value that this stands for."""
        if not isinstance(said, dict):
            return said
        if "f" in said:
            return float(said["f"])
        if "a" in said:
            return self._arrays[said["a"]]
        if "t" in said:
            return tuple(self.value(item) for item in said["t"])
        if "d" in said:
            return {key: self.value(item) for key, item in said["d"].items()}
        if said == _SCENARIO_MARK:
            return self._scenario
        return _CLASSES[said["of"]](**{key: self.value(v) for key, v in said["is"].items()})


_SCENARIO_MARK = {"s": _SCENARIO}


def inputs_digest(inputs: Inputs) -> str:
    """SHA-256 of all that the files of a scenario say, wherever they lie."""
    digest = hashlib.sha256()
    _digest(inputs, digest.update)
    return digest.hexdigest()


def _digest(value: Any, add: Any) -> None:
    """Tell a value to a digest: what it is, how long, and what is in it."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OUS":
        add(f"array {value.dtype.str} {value.shape}\0".encode())
        add(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.ndarray):
        _digest(value.tolist(), add)
    elif is_dataclass(value):
        add(f"{type(value).__name__}\0".encode())
        for one in fields(value):
            add(f"{one.name}\0".encode())
            _digest(getattr(value, one.name), add)
    elif isinstance(value, BaseModel):
        _digest(value.model_dump(mode="json"), add)
    elif isinstance(value, Mapping):
        add(f"mapping {len(value)}\0".encode())
        for key, inner in value.items():
            _digest(key, add)
            _digest(inner, add)
    elif isinstance(value, set | frozenset):
        _digest(sorted(value, key=repr), add)
    elif isinstance(value, list | tuple):
        add(f"list {len(value)}\0".encode())
        for inner in value:
            _digest(inner, add)
    elif isinstance(value, str):
        add(f"text {json.dumps(without_folders(value))}\0".encode())
    elif value is None or isinstance(value, bool | int | float | complex | Enum | np.generic):
        add(f"{value!r}\0".encode())
    else:
        raise TypeError(f"{type(value).__name__} is none of what files say")
