"""Code of the user's own that a scenario names: whether it is trusted, where it is, loading it.

A scenario is data. What it names as `module:Class` (a rule, an admission, a behaviour) or
`module:function` (a feeder's net, a KPI) is loaded only when somebody has said so: `--trust`,
`trust=True`, or a folder in the user's own list of trusted ones.

A module is found by its path, in the folder of the file that names it, then among the installed
packages. The folder never comes on `sys.path`: the module goes by a name that nobody else imports,
and so do modules beside it, which it alone can import. What lies beside a scenario can so neither
hide an installed package nor be taken for one that is not installed.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as declared
from pathlib import Path
from typing import Any

from abm.errors import InputError, Problem, nearest
from abm.scenario.kpi import WANTED, Kpi
from abm.scenario.modules import Plugin, file_in, installed, own_name, plain_module
from abm.scenario.names import make_object
from abm.scenario.yamlio import read_text, show

# What methods of the user's own are called.
METHODS = {"rule": "decide", "admission": "admit", "behaviour": "plan"}


@dataclass(frozen=True)
class Code:
    """A class or a function that a scenario names.

    field: of the scenario. name: "module:Class", with a folder and "/" before it where it is not
    the file's own. folders: absolute, where the module is looked for before the installed packages.
    trusted: whether it may be loaded. file, line: where it is named, for problems. options: keyword
    arguments for a class.
    """

    field: str
    name: str
    folders: tuple[Path, ...]
    trusted: bool
    file: str = ""
    line: int | None = None
    options: Mapping[str, Any] = declared(default_factory=dict, compare=False)

    @property
    def method(self) -> str:
        """The method that a class has to have; "" for a function."""
        return "" if self.is_kpi else METHODS.get(self.field.rpartition(".")[2], "")

    @property
    def is_kpi(self) -> bool:
        """Whether it is a KPI, whose name is the user's."""
        return self.field.startswith("kpis.")

    @property
    def module(self) -> str:
        """Dotted name of the module."""
        return self.name.partition(":")[0].rpartition("/")[2]

    @property
    def attribute(self) -> str:
        """Name of the class or the function."""
        return self.name.partition(":")[2]

    def problem(
        self, allowed: str, value: str | None = None, more: str = "", hint: str = ""
    ) -> Problem:
        """A problem of this, or of what stands below its field (more: such as "_options.x")."""
        shown = self.name if value is None else value
        return Problem(self.field + more, shown, allowed, self.file, self.line, hint)

    def resolved(self) -> str:
        """The name with the absolute folder in which the module lies; as it is if installed."""
        found = self._beside()
        if found is None or ":" in str(found[0]):
            return self.name
        return f"{found[0].as_posix()}/{self.module}:{self.attribute}"

    def _beside(self) -> tuple[Path, Path] | None:
        """Folder and file of the module where it lies in one of the folders."""
        inner = self.name.partition(":")[0].rpartition("/")[0]
        for folder in self.folders:
            place = Path(os.path.realpath(folder / inner))
            if file := file_in(place, self.module):
                return place, file
        return None

    def folder(self) -> Path | None:
        """The folder in which the module lies, links followed; None where it is installed."""
        found = self._beside()
        return None if found is None else found[0]

    def source(self) -> Path | None:
        """The module's file; None where there is none. Nothing is imported to find it."""
        if found := self._beside():
            return found[1]
        if "/" in self.name.partition(":")[0]:
            return None
        spec = installed(self.module)
        return Path(str(spec.origin)) if spec is not None and spec.has_location else None

    # --- loading -------------------------------------------------------------------------------

    def load(self) -> Any:
        """The class or function, looked at before anything of it is called. Raises InputError.

        What is refused whoever trusts it: what was not defined in the named module, a class without
        its method, what is no plain function, and all of Python's own library.
        """
        refuse_untrusted([self])
        found = self._beside()
        if found is None:
            self._refuse(self._of_python() or self._missing())
            module_name = self.module
        else:
            module_name = own_name(found[0], self.module)
        with Plugin(self.field, self.name, "importing it"):
            module = importlib.import_module(module_name)
        with Plugin(self.field, self.name, "looking at it"):
            found = getattr(module, self.attribute, None)
            self._refuse(self._wrong(module, found))
        return found

    def _refuse(self, problems: Sequence[Problem]) -> None:
        if problems:
            raise InputError(problems)

    def _of_python(self) -> list[Problem]:
        if self.module.partition(".")[0] not in sys.stdlib_module_names:
            return []
        said = (
            f"{self._wanted()} of a module of your own or of a package; {self.module} is Python's"
        )
        return [self.problem(said)]

    def _wanted(self) -> str:
        if self.method:
            return f"a class with a method {self.method}(...)"
        if self.is_kpi:
            return WANTED
        return "a function without arguments that returns a pandapower net"

    def _missing(self) -> list[Problem]:
        if self.source() is not None or installed(self.module) is not None:
            return []
        kind = "class" if self.method else "function"
        inner = self.name.partition(":")[0].rpartition("/")[0]
        where = " or ".join(os.path.normpath(folder / inner) for folder in self.folders)
        there = "" if "/" in self.name.partition(":")[0] else ", nor is it installed"
        said = f"a {kind} that can be imported; there is no module {self.module} in {where}{there}"
        return [self.problem(said)]

    def _wrong(self, module: types.ModuleType, found: Any) -> list[Problem]:
        if found is None:
            return [self._no_attribute(dir(module))]
        if self.is_kpi and isinstance(found, Kpi):
            found = found.function
        right_kind = isinstance(found, type) if self.method else inspect.isfunction(found)
        if not right_kind:
            return [self.problem(self._wanted())]
        if not self.method and not _takes(found, int(self.is_kpi)):
            return [self.problem(self._wanted())]
        home = str(found.__module__)
        if home != module.__name__ and not home.startswith(module.__name__ + "."):
            kind = "class" if self.method else "function"
            said = f"a {kind} defined in {self.module}; this one is defined in {plain_module(home)}"
            return [self.problem(said)]
        if self.method and not callable(getattr(found, self.method, None)):
            return [self.problem(self._wanted())]
        return []

    def _no_attribute(self, known: Iterable[str]) -> Problem:
        kind = "class" if self.method else "function"
        near = nearest(self.attribute, [name for name in known if not name.startswith("_")])
        said = f"a {kind} in {self.module}, which has no attribute '{self.attribute}'"
        return self.problem(said, hint=near)

    def make(self) -> object:
        """The object of the class with its options. Raises InputError, PluginError."""
        factory = self.load()
        try:
            with Plugin(self.field, self.name, "making it"):
                return make_object(self.field, self.name, factory, self.options, self.options)
        except InputError as error:
            here = (replace(p, file=self.file, line=self.line) for p in error.problems)
            raise InputError(here) from error

    # --- looking without loading ---------------------------------------------------------------

    def look(self) -> list[Problem]:
        """What can be seen to be wrong in the source, of which nothing is run.

        Of a module that is no Python source nothing can be seen.
        """
        path = self.source()
        beside = self._beside() is not None
        problems = [] if beside else self._of_python() or self._missing()
        if problems or path is None or path.suffix != ".py":
            return problems
        try:
            tree = ast.parse(read_text(path, str(path)))
        except InputError as error:
            return list(error.problems)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            why = getattr(error, "msg", None) or str(error)
            return [self.problem(f"a module that can be imported; {path.name}:{line or 1}: {why}")]
        return _Seen(tree).problems(self)


def _takes(function: Callable[..., object], n: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(n))
    except TypeError:
        return False
    return True


class _Seen:
    """What can be seen in a module's source without running it."""

    def __init__(self, tree: ast.Module) -> None:
        self.bound: dict[str, ast.stmt] = {}
        self.hidden = False  # `from x import *`: more names than can be seen
        self._look(tree.body)

    def _look(self, body: Iterable[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                self.bound[node.name] = node
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    self.hidden |= alias.name == "*"
                    self.bound[alias.asname or alias.name.partition(".")[0]] = node
            else:
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                        self.bound[inner.id] = node
                for part in ("body", "orelse", "finalbody"):
                    self._look(getattr(node, part, ()))
                for handler in getattr(node, "handlers", ()):
                    self._look(handler.body)

    def problems(self, code: Code) -> list[Problem]:
        node = self.bound.get(code.attribute)
        if node is None:
            return [] if self.hidden else [code._no_attribute(self.bound)]
        if isinstance(node, ast.Import | ast.ImportFrom):
            # A package may hand out what is defined below it.
            if isinstance(node, ast.ImportFrom) and node.level:
                return []
            kind = "class" if code.method else "function"
            return [code.problem(f"a {kind} defined in {code.module}; it imports this one")]
        if code.method and isinstance(node, ast.ClassDef):
            methods = self.methods(node)
            if methods is not None and code.method not in methods:
                return [code.problem(code._wanted())]
            return self._options(code, node)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            # What a call or another name gives cannot be seen.
            seen = isinstance(node.value, ast.Call | ast.Name | ast.Attribute | ast.Subscript)
            right = seen or (isinstance(node.value, ast.Lambda) and not code.method)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            right = isinstance(node, ast.FunctionDef) and not code.method
        else:
            right = True
        return [] if right else [code.problem(code._wanted())]

    def methods(self, node: ast.ClassDef, depth: int = 0) -> set[str] | None:
        """Names that a class has; None where a base, or a decorator, cannot be seen."""
        found = set()
        for inner in node.body:
            for part in ast.walk(inner):
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(part.name)
                elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    found.add(part.id)
        for base in node.bases:
            known = self.bound.get(base.id) if isinstance(base, ast.Name) else None
            if isinstance(base, ast.Name) and base.id == "object" and known is None:
                continue
            more = (
                self.methods(known, depth + 1)
                if isinstance(known, ast.ClassDef) and depth < 20
                else None
            )
            if more is None:
                return None
            found |= more
        return None if node.keywords else found

    def _options(self, code: Code, node: ast.ClassDef) -> list[Problem]:
        made = [item for item in node.body if isinstance(item, ast.FunctionDef)]
        init = next((item for item in made if item.name == "__init__"), None)
        if init is None or init.args.kwarg is not None or init.decorator_list:
            return []
        known = [arg.arg for arg in (*init.args.args[1:], *init.args.kwonlyargs)]
        return [
            code.problem(
                f"{code.name} has no such option",
                show(value),
                f"_options.{option}",
                nearest(option, known) or "known: " + (", ".join(known) or "none"),
            )
            for option, value in code.options.items()
            if option not in known
        ]


def refuse_untrusted(codes: Iterable[Code]) -> None:
    """Raise InputError with every one that may not be loaded."""
    problems = [
        code.problem(
            f"code, the module {code.module}, which is loaded only with --trust (trust=True in "
            "Python), or where the folder of the file that names it is in your list of trusted ones"
        )
        for code in codes
        if not code.trusted
    ]
    if problems:
        raise InputError(problems)
