"""A digest of a Python object: the same where it holds the same and its code is the same.

Objects are taken apart as pickle takes them apart, so that addresses, the order of sets and what is
one object or two equal ones make no difference. Functions and classes of the user's own count by
what they do, with the functions of their module that they call.
"""

from __future__ import annotations

import copyreg
import hashlib
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, type(...))


def digest(value: Any) -> str:
    """SHA-256 of what an object is, as text."""
    return _Digest().of(value).hex()


def source_of(value: Any) -> str | None:
    """SHA-256 of the file that an object's class, or a function, was defined in; None for none."""
    kind = value if isinstance(value, type | FunctionType) else type(value)
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None or not Path(file).is_file():
        return None
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


@cache
def _installed() -> tuple[Path, ...]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), str(Path(__file__).parents[1])}
    return tuple(Path(folder).resolve() for folder in folders)


@cache
def _is_own(module: str) -> bool:
    """Whether a module is the user's: not Python's, no installed package's, and not ours."""
    if module == "__main__":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return False
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in _installed())


class _Digest:
    def __init__(self) -> None:
        self._depth: dict[int, int] = {}
        self._known: dict[int, bytes] = {}
        # So that no two objects have the same id meanwhile.
        self._alive: list[Any] = []

    def of(self, value: Any) -> bytes:
        """Digest of one value, 32 bytes."""
        if isinstance(value, _PLAIN):
            return _hashed(type(value).__name__, repr(value).encode())
        if isinstance(value, ModuleType):
            return _hashed("module", value.__name__.encode())
        if id(value) in self._known:
            return self._known[id(value)]
        if id(value) in self._depth:
            # A circle: known by how far back it began.
            return _hashed("seen", str(len(self._depth) - self._depth[id(value)]))
        self._depth[id(value)] = len(self._depth)
        self._alive.append(value)
        found = _hashed(*self._parts(value))
        del self._depth[id(value)]
        self._known[id(value)] = found
        return found

    def _parts(self, value: Any) -> Iterator[Any]:
        kind = type(value)
        yield f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, np.ndarray) and value.dtype.kind != "O":
            yield f"{value.dtype.str} {value.shape}"
            yield np.ascontiguousarray(value).tobytes()
        elif isinstance(value, type):
            yield f"{value.__module__}.{value.__qualname__}"
            yield from self._class(value)
        elif isinstance(value, FunctionType):
            yield f"{value.__module__}.{value.__qualname__}"
            yield from self._function(value)
        elif isinstance(value, MethodType):
            yield self.of(value.__func__)
            yield self.of(value.__self__)
        elif isinstance(value, BuiltinFunctionType):
            yield f"{value.__module__}.{value.__qualname__}"
        elif isinstance(value, CodeType):
            yield from self._code(value)
        elif kind in (list, tuple):
            yield from map(self.of, value)
        elif kind in (set, frozenset):
            yield from sorted(map(self.of, value))
        elif kind is dict:
            yield from sorted(self.of(key) + self.of(item) for key, item in value.items())
        else:
            yield from self._object(value)

    def _object(self, value: Any) -> Iterator[Any]:
        yield from self._class(type(value))
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            taken = reduce(value) if reduce else value.__reduce_ex__(4)
        except Exception:  # what cannot be taken apart is known by its attributes
            taken = (vars(value) if hasattr(value, "__dict__") else repr(type(value)),)
        if isinstance(taken, str):
            yield taken
            return
        for part in taken:
            # Items of lists and dicts come as iterators.
            yield self.of(list(part) if isinstance(part, Iterator) else part)

    def _class(self, kind: type) -> Iterator[Any]:
        for base in kind.__mro__:
            if not _is_own(base.__module__):
                yield f"{base.__module__}.{base.__qualname__}"
                continue
            for name, item in sorted(vars(base).items()):
                function = getattr(item, "__func__", getattr(item, "fget", item))
                if isinstance(function, FunctionType):
                    yield name
                    yield self.of(function)
                elif isinstance(item, (*_PLAIN, tuple, np.ndarray)) and name not in _OF_PYTHON:
                    yield name
                    yield self.of(item)

    def _function(self, function: FunctionType) -> Iterator[Any]:
        if not _is_own(function.__module__):
            return
        yield from self._code(function.__code__, function.__doc__)
        yield self.of(function.__defaults__)
        yield self.of(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                yield self.of(cell.cell_contents)
            except ValueError:  # not filled yet
                yield "empty"
        for name in _names(function.__code__):
            used = function.__globals__.get(name)
            own = isinstance(used, type | FunctionType) and _is_own(used.__module__)
            if own or (used is not None and isinstance(used, (*_PLAIN, tuple, np.ndarray))):
                yield name
                yield self.of(used)

    def _code(self, code: CodeType, text: str | None = None) -> Iterator[Any]:
        yield code.co_code
        for names in (code.co_names, code.co_varnames, code.co_freevars):
            yield " ".join(names)
        for i, const in enumerate(code.co_consts):
            # The text before the first statement says nothing of what is done.
            if i or text is None or const != text:
                yield self.of(const)


# Attributes of a class that say where it stands in a file, and nothing of what it does.
_OF_PYTHON = ("__doc__", "__module__", "__qualname__", "__firstlineno__", "__static_attributes__")


def _names(code: CodeType) -> list[str]:
    """Names that code and what is defined within it look up."""
    found = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found.update(_names(const))
    return sorted(found)


def _hashed(*parts: Any) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        found.update(len(content).to_bytes(8, "big") + content)
    return found.digest()
