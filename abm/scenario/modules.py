"""Modules of the user's own: where they are, importing them, and calling what is in them.

A module is found by its path. Its folder never comes on `sys.path`: it goes by a name that no
source can say, and so do the modules beside it, which it alone can import, after the installed
packages. What lies beside a scenario can so neither hide a package nor be taken for one that is
missing.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib.machinery
import importlib.util
import os
import signal
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from traceback import walk_tb
from typing import Any

from abm.errors import PluginError, printable


def file_in(folder: Path, module: str) -> Path | None:
    """File of a module, dotted for one of a package, in a folder."""
    *packages, last = module.split(".")
    place = folder.joinpath(*packages)
    for path in (place / last / "__init__.py", place / f"{last}.py"):
        if os.path.isfile(path):
            return path
    return None


def installed(module: str) -> ModuleSpec | None:
    """Where an installed module is, or one of Python's own; nothing is imported to find it."""
    name, *inner = module.split(".")
    # setuptools puts itself in the place of distutils, and is imported when that is looked for.
    find = PathFinder.find_spec if name == "distutils" else importlib.util.find_spec
    try:
        spec = find(name)
    except (ImportError, ValueError):  # what is loaded already and does not say from where
        return None
    for part in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    # A folder that happens to lie on the path is no package.
    return spec if spec is not None and spec.origin is not None else None


_OWN: dict[str, Path] = {}
# SHA-256 of the source of each module of a user's own as it was when it was loaded, by its name.
_LOADED: dict[str, str] = {}


def own_name(folder: Path, module: str) -> str:
    """The name by which a module in a folder goes, "my_rules@1a2b3c4d"; no source can say it."""
    key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    _OWN[key] = folder
    top, dot, rest = module.partition(".")
    return f"{top}@{key}{dot}{rest}"


def loaded_from(folder: Path) -> dict[str, str]:
    """SHA-256 of the modules in a folder that are loaded, as they were then, by name: "a/b.py"."""
    key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    found = {}
    for name, sha256 in _LOADED.items():
        if name.partition(".")[0].endswith(f"@{key}"):
            package = hasattr(sys.modules.get(name), "__path__")
            path = plain_module(name).replace(".", "/") + ("/__init__" if package else "")
            found[f"{path}.py"] = sha256
    return found


def plain_module(name: str) -> str:
    """A module's name as its user wrote it."""
    top, dot, rest = name.partition(".")
    return top.partition("@")[0] + dot + rest


class _OwnFinder:
    """Finds modules by the names that `own_name` gives, and no others."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, rest = name.partition(".")
        word, at, key = top.partition("@")
        folder = _OWN.get(key)
        if not at or folder is None:
            return None
        inner = f"{word}.{rest}" if rest else word
        file = file_in(folder, inner)
        if file is None:
            around = folder.joinpath(*inner.split("."))
            if not os.path.isdir(around):
                return None
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(around)]
            return spec
        inside = [str(file.parent)] if file.name == "__init__.py" else None
        loader = _OwnLoader(name, str(file))
        return importlib.util.spec_from_file_location(
            name, file, loader=loader, submodule_search_locations=inside
        )


class _OwnLoader(SourceFileLoader):
    """Runs the source as it stands: no bytecode is read, or written beside it."""

    def get_code(self, fullname: str) -> types.CodeType:
        source = self.get_data(self.path)
        _LOADED[fullname] = hashlib.sha256(source).hexdigest()
        return self.source_to_code(source, self.path)

    def exec_module(self, module: types.ModuleType) -> None:
        key = module.__name__.partition(".")[0].partition("@")[2]
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import_for(key)}
        super().exec_module(module)


def _import_for(key: str) -> Callable[..., Any]:
    """The import statement of modules in one folder: after installed packages comes the folder."""

    def import_(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        top, dot, rest = name.partition(".")
        beside = level == 0 and top not in sys.modules and file_in(_OWN[key], top)
        if beside and installed(top) is None:
            name = f"{top}@{key}{dot}{rest}"
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    return import_


if not any(finder is _OwnFinder for finder in sys.meta_path):
    # First, or modules within a package would be found by others; no other name passes here.
    sys.meta_path.insert(0, _OwnFinder)


# --- calling -----------------------------------------------------------------------------------


class Called:
    """A function in the place of an object with the one method that is asked."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def decide(self, *given: Any) -> Any:
        """What the function answers."""
        return self.function(*given)

    admit = plan = decide


def name_of(thing: object) -> str:
    """module:Class of an object, or module:function, as its user would write it."""
    thing = thing.function if isinstance(thing, Called) else thing
    kind = thing if isinstance(thing, type | types.FunctionType) else type(thing)
    return f"{plain_module(kind.__module__)}:{kind.__qualname__}"


class Plugin:
    """Around a call of code of the user's own: whatever it raises becomes a PluginError.

    field: of the scenario. what: "module:Class", or an object of such a class. doing: what was
    called, in words. What this package raises on purpose passes as it is, and so does Ctrl-C.
    """

    __slots__ = ("doing", "field", "what")

    def __init__(self, field: str, what: object, doing: str) -> None:
        self.field, self.what, self.doing = field, what, doing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if error is None or kind is None or kind.__module__.partition(".")[0] == "abm":
            return
        ctrl_c = kind is KeyboardInterrupt and (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if ctrl_c:
            return
        name = self.what if isinstance(self.what, str) else name_of(self.what)
        whose = f"{self.field} = {name}: {self.doing}"
        if isinstance(error, MemoryError):  # too little of it is nobody's fault in particular
            error.add_note(printable(whose))
            return
        said = " ".join(f"{kind.__name__}: {_text(error)}".rstrip(": ").split())[:300]
        raise PluginError(printable(f"{whose} raised {said}{_place(trace)}")) from error


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "without a text that can be shown"


def _place(trace: types.TracebackType | None) -> str:
    """File and line of the user's code that was last on the way to an error."""
    places = [
        f" ({os.path.basename(frame.f_code.co_filename)}:{line})"
        for frame, line in walk_tb(trace)
        if "@" in str(frame.f_globals.get("__name__", ""))
    ]
    return places[-1] if places else ""
