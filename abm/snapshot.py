"""What a model is in the middle of its run, as plain data: numbers and arrays, no code.

A model is made anew from its scenario and then brought to where it was: the attributes of its
parts are written down by name, and read back into the parts of the new one. What follows from the
scenario alone is not written down. Of classes only those of the simulation itself are made, and no
function is called in reading, so that a file of somebody else's can be wrong and no more.

A class says what is special about it:

    BY_TIME = {"ev_kw": "steps"}   arrays over the horizon: only the rows that are new are written
    GROWS = ("days",)              lists to which is only added: only what is new
    FIXED = ("base_mw",)           what follows from the scenario, or can be worked out again
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Where classes may be from that are made in reading.
PACKAGES = ("abm.agents", "abm.control", "abm.engine", "abm.equations", "abm.fleet", "abm.grid",
            "abm.results.supply", "abm.signals")  # fmt: skip
_NUMBERS = "biufc"
_KINDS: dict[type, str] = {list: "l", tuple: "u", set: "s"}
_SCHEMA = ("dtype", "shape", "data")
Array = NDArray[Any]
Rows = Mapping[str, tuple[int, int]]


class SnapshotError(Exception):
    """The data are not those of a model of this scenario."""


@dataclass
class Snapshot:
    """The state of a model: a skeleton that JSON can say, and the arrays that it refers to."""

    skeleton: Any
    arrays: list[Array] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """As a parquet file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        text = np.frombuffer(json.dumps(self.skeleton).encode(), dtype=np.uint8)
        rows = [text, *self.arrays]
        columns = [
            pa.array([array.dtype.str for array in rows]),
            pa.array([list(array.shape) for array in rows], pa.list_(pa.int64())),
            pa.array([np.ascontiguousarray(array).tobytes() for array in rows], pa.large_binary()),
        ]
        out = io.BytesIO()
        table = pa.table(columns, names=_SCHEMA)
        # No two arrays are alike; to look for it takes longer than all the rest.
        pq.write_table(table, out, compression="zstd", use_dictionary=False)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Snapshot:
        """Read back. Raises SnapshotError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(io.BytesIO(content), columns=list(_SCHEMA))
            rows = []
            for dtype, shape, data in zip(
                *(table[name].to_pylist() for name in _SCHEMA), strict=True
            ):
                kind = np.dtype(dtype)
                if kind.kind not in _NUMBERS:
                    raise SnapshotError(f"an array of {dtype}")
                rows.append(np.frombuffer(data, dtype=kind).reshape(shape).copy())
            return cls(json.loads(rows[0].tobytes()), rows[1:])
        except (pa.ArrowException, ValueError, KeyError, TypeError, IndexError) as error:
            raise SnapshotError(str(error)) from None


class Snapshots:
    """Takes snapshots of the same parts one after the other.

    parts: by name. kept: what is there in any model of the scenario, by name; it is referred to.
    """

    def __init__(self, parts: Mapping[str, object], kept: Mapping[str, object]) -> None:
        self.parts, self.kept = dict(parts), dict(kept)
        # How long each list that grows was when it was last written down.
        self._grown: dict[str, int] = {}

    def take(self, rows: Rows) -> Snapshot:
        """The state now. rows: first and last + 1 of what is new in arrays over the horizon."""
        names = {id(value): name for name, value in self.kept.items()}
        writer = _Writer(names, rows, self._grown)
        skeleton = {name: writer.value(part, name) for name, part in self.parts.items()}
        return Snapshot(skeleton, writer.arrays)

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Bring the parts to the state of the last one; those before have what it adds to.

        Raises SnapshotError.
        """
        for snapshot in snapshots:
            reader = _Reader(self.kept, snapshot.arrays, self._grown)
            try:
                for name, part in self.parts.items():
                    reader.value(snapshot.skeleton[name], part, name)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise SnapshotError(f"{type(error).__name__}: {error}") from None


def _special(cls: type, what: str) -> Any:
    return getattr(cls, what, {} if what == "BY_TIME" else ())


def _same(view: Array, of: Array) -> bool:
    """Whether a view shows all of an array as it is."""
    where = [array.__array_interface__["data"][0] for array in (view, of)]
    alike = (view.shape, view.strides, view.dtype) == (of.shape, of.strides, of.dtype)
    return alike and where[0] == where[1] and of.flags.writeable


def _ours(cls: type) -> bool:
    return any(cls.__module__ == name or cls.__module__.startswith(f"{name}.") for name in PACKAGES)


class _Writer:
    def __init__(self, names: Mapping[int, str], rows: Rows, grown: dict[str, int]) -> None:
        self.arrays: list[Array] = []
        self._names, self._rows, self._grown = names, rows, grown
        self._seen: dict[int, int] = {}
        # So that no two objects have the same id while this is written.
        self._alive: list[Any] = []

    def value(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, bool | int | str):
            return value if not isinstance(value, int) or isinstance(value, bool) else int(value)
        if isinstance(value, float):
            return {"f": repr(float(value))}
        if isinstance(value, np.generic):
            return (
                {"n": self._array(np.asarray(value))} if value.dtype.kind in _NUMBERS else {"k": 0}
            )
        if id(value) in self._names:
            return {"x": self._names[id(value)]}
        if id(value) in self._seen:
            return {"r": self._seen[id(value)]}
        if isinstance(value, np.ndarray) and value.dtype.kind not in _NUMBERS:
            return {"k": 0}
        number = self._seen[id(value)] = len(self._alive)
        self._alive.append(value)
        found = self._container(value, path)
        if "k" in found:
            # Of what is left as it is in the new model there is nothing to refer to.
            del self._seen[id(value)]
            return found
        return {**found, "i": number}

    def _container(self, value: Any, path: str) -> dict[str, Any]:
        if isinstance(value, np.ndarray):
            base = value.base
            if not value.flags.writeable and isinstance(base, np.ndarray) and _same(value, base):
                return {"b": self.value(base, path)}
            return {"a": self._array(value)}
        if isinstance(value, np.random.Generator):
            return {"g": json.loads(json.dumps(value.bit_generator.state))}
        if isinstance(value, dict):
            pairs = value.items()
            return {"d": [[self.value(k, ""), self.value(v, f"{path}.{k}")] for k, v in pairs]}
        if isinstance(value, MethodType):
            return {"m": [value.__name__, self.value(value.__self__, f"{path}.self")]}
        if isinstance(value, list | tuple | set | frozenset):
            kind = _KINDS.get(type(value))
            if kind is None and not (hasattr(value, "_fields") and _ours(type(value))):
                return {"k": 0}
            items = [self.value(v, f"{path}.{i}") for i, v in enumerate(value)]
            return self._made(type(value), {"t": items}) if kind is None else {kind: items}
        cls = type(value)
        if not _ours(cls) or not hasattr(value, "__dict__"):
            return {"k": 0}
        by_time, grows = _special(cls, "BY_TIME"), _special(cls, "GROWS")
        fixed = _special(cls, "FIXED")
        state: dict[str, Any] = {}
        for name, item in vars(value).items():
            where = f"{path}.{name}"
            if name in fixed:
                continue
            if name in by_time:
                state[name] = self._new_rows(item, by_time[name])
            elif name in grows:
                first = self._grown.get(where, 0)
                new = [self.value(v, f"{where}.{first + i}") for i, v in enumerate(item[first:])]
                state[name] = {"w": [first, new]}
                self._grown[where] = len(item)
            else:
                state[name] = self.value(item, where)
        return self._made(cls, {"c": state})

    def _made(self, cls: type, content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "of": [cls.__module__, cls.__qualname__]}

    def _new_rows(self, value: Any, unit: str) -> dict[str, Any]:
        first, last = self._rows[unit]
        if isinstance(value, dict):
            return {"y": {k: self._array(v[first:last]) for k, v in value.items()}, "at": first}
        return {"y": self._array(value[first:last]), "at": first}

    def _array(self, value: Array) -> int:
        self.arrays.append(np.array(value))
        return len(self.arrays) - 1


class _Reader:
    def __init__(
        self, kept: Mapping[str, object], arrays: Sequence[Array], grown: dict[str, int]
    ) -> None:
        self._kept, self._arrays, self._grown = kept, arrays, grown
        self._seen: dict[int, Any] = {}

    def value(self, said: Any, there: Any, path: str) -> Any:
        """What is said; `there` is what the new model has in its place, which is used again."""
        if not isinstance(said, dict):
            return said
        if "f" in said:
            return float(said["f"])
        if "n" in said:
            return self._arrays[said["n"]][()]
        if "x" in said:
            return self._kept[said["x"]]
        if "r" in said:
            return self._seen[said["r"]]
        if "k" in said:
            return there
        number = said["i"]
        if "a" in said:
            return self._note(number, self._array(self._arrays[said["a"]], there))
        if "b" in said:
            shown = self.value(said["b"], None, path).view()
            shown.flags.writeable = False
            return self._note(number, shown)
        if "g" in said:
            there.bit_generator.state = said["g"]
            return self._note(number, there)
        if "d" in said:
            mine = there if isinstance(there, dict) else {}
            self._note(number, mine)
            new = {}
            for key, item in said["d"]:
                name = self.value(key, None, "")
                new[name] = self.value(item, mine.get(name), f"{path}.{name}")
            mine.clear()
            mine.update(new)
            return mine
        if "m" in said:
            name, owner = said["m"]
            method = getattr(self.value(owner, None, f"{path}.self"), name)
            if not isinstance(method, MethodType) or not _ours(type(method.__self__)):
                raise SnapshotError(f"{path}: {name}")
            return self._note(number, method)
        for make, kind in _KINDS.items():
            if kind in said:
                return self._note(number, self._items(said[kind], there, path, make))
        if "t" in said:
            cls = _class(*said["of"])
            if not issubclass(cls, tuple):
                raise SnapshotError(f"{path}: {cls.__name__}")
            return self._note(number, cls(*self._items(said["t"], there, path, tuple)))
        return self._object(said, there, path, number)

    def _note(self, number: int, value: Any) -> Any:
        self._seen[number] = value
        return value

    def _items(self, items: Sequence[Any], there: Any, path: str, make: Any) -> Any:
        before = list(there) if isinstance(there, list | tuple) else []
        before += [None] * (len(items) - len(before))
        new = [self.value(v, before[i], f"{path}.{i}") for i, v in enumerate(items)]
        if make is list and isinstance(there, list):
            there[:] = new
            return there
        return make(new)

    def _object(self, said: dict[str, Any], there: Any, path: str, number: int) -> Any:
        cls = _class(*said["of"])
        mine = there if type(there) is cls else object.__new__(cls)
        self._note(number, mine)
        state = vars(mine)
        for name, item in said["c"].items():
            where = f"{path}.{name}"
            if isinstance(item, dict) and "y" in item:
                self._rows(item, state[name])
            elif isinstance(item, dict) and "w" in item:
                first, new = item["w"]
                grown = state[name]
                # What is in the list stays, while arrays that it shares with others are written to.
                grown[first:] = deepcopy([self.value(v, None, where) for v in new])
                self._grown[where] = len(grown)
            elif not (isinstance(item, dict) and "k" in item and name not in state):
                state[name] = self.value(item, state.get(name), where)
        return mine

    def _rows(self, item: dict[str, Any], there: Any) -> None:
        first = item["at"]
        arrays = item["y"] if isinstance(item["y"], dict) else {None: item["y"]}
        for key, at in arrays.items():
            rows = self._arrays[at]
            (there if key is None else there[key])[first : first + len(rows)] = rows

    @staticmethod
    def _array(new: Array, there: Any) -> Array:
        if not isinstance(there, np.ndarray) or not there.flags.writeable:
            return new
        if (there.shape, there.dtype) != (new.shape, new.dtype):
            return new
        # Others may have hold of this very array.
        there[...] = new
        return there


def _class(module: str, name: str) -> type:
    if not any(module == of or module.startswith(f"{of}.") for of in PACKAGES):
        raise SnapshotError(f"{module}: not a part of a model")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, type) or not _ours(found):
        raise SnapshotError(f"{module}.{name}: not a part of a model")
    return found
