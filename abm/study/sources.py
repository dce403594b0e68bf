"""Files of the modules of the user's own that take part in a study; nothing of them is run."""

from __future__ import annotations

import ast
import importlib
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

# Calls that import what their text names.
_IMPORTING = ("import_module", "__import__")


def module_files(name: str, beside: Path | None = None) -> dict[str, Path]:
    """Files of a module and of all that it imports and is not installed, by name as in "a/b.py".

    beside: the folder in which the module lies; what it imports is looked for there after the
    installed packages. None: it is installed, and comes with its own package. Empty where there is
    no such module.
    """
    importlib.invalidate_caches()
    found: dict[str, Path] = {}
    own = name.partition(".")[0]
    waiting, seen = [name], {name}
    while waiting:
        for module, path, is_package in _located(waiting.pop(), own, beside):
            key = f"{module.replace('.', '/')}{'/__init__' if is_package else ''}{path.suffix}"
            if key in found:
                continue
            found[key] = path
            package = module if is_package else module.rpartition(".")[0]
            new = [other for other in _imported(path, package) if other not in seen]
            seen.update(new)
            waiting += new
    return dict(sorted(found.items()))


def _located(name: str, own: str, beside: Path | None) -> Iterator[tuple[str, Path, bool]]:
    """Module, file and whether it is a package: of a dotted name and the packages around it."""
    top, *rest = name.split(".")
    folder = [] if beside is None else [str(beside)]
    spec = _spec(top, folder if folder and top == own else [*sys.path, *folder])
    module, words = top, [*rest, ""]
    while spec is not None and not (module == top != own and _is_installed(spec)):
        inner = spec.submodule_search_locations
        if spec.has_location and spec.origin is not None:
            yield module, Path(spec.origin), inner is not None
        word = words.pop(0)
        if inner is None or not word:
            return
        module = f"{module}.{word}"
        spec = _spec(module, list(inner))


def _spec(module: str, folders: Sequence[str]) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(module, folders)
    except (ImportError, ValueError, OSError):
        return None


def _is_installed(spec: ModuleSpec) -> bool:
    """Whether a module is Python's, a package's that was installed, or ours: versions say which."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parents[1])}
    where = [*(spec.submodule_search_locations or ()), *filter(None, [spec.origin])]
    roots = [Path(folder).resolve() for folder in folders]
    return all(any(Path(path).resolve().is_relative_to(r) for r in roots) for path in where)


def _imported(path: Path, package: str) -> Iterator[str]:
    """Dotted names of everything that a file may import; package: which it lies in, or ""."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            around = [*(filter(None, base) if node.level else ()), *filter(None, [node.module])]
            yield from (".".join([*around, alias.name]) for alias in node.names)
            if around:
                yield ".".join(around)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(_IMPORTING):
            named = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            yield from (text for text in named if isinstance(text, str) and text.strip("."))
