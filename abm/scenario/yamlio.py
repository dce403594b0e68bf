"""YAML 1.2 in and out, with the line of every key.

Values are read by the core schema of YAML 1.2 and nothing more: `18:30`, `yes` and `2020-01-01` are
text, `1e-3` is a number. Keys are text. Tags are refused.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import VersionedResolver

from abm.errors import InputError, Problem

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = (".nan", ".NaN", ".NAN")
_NULL = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_MAX_NODES = 100_000
_MAX_DIGITS = 1000
_MAX_DEPTH = 50
# Largest files that are read, MB; `EVENFALL_MAX_INPUT_MB` takes the place of both.
_MOST_YAML_MB, _MOST_MB = 0.25, 100.0
MAX_INPUT_MB = "EVENFALL_MAX_INPUT_MB"
_HALF = re.compile("[\ud800-\udfff]")
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

Path: TypeAlias = tuple[str, ...]
Lines: TypeAlias = dict[Path, int]


def dotted(path: Sequence[str]) -> str:
    """Path of a field as the user writes it: ("ev", "efficiency") -> "ev.efficiency"."""
    return ".".join(path)


def show(value: Any, limit: int = 60) -> str:
    """A value as it would be written in YAML, text in quotes, cut at `limit` characters."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def plain_scalar(text: str) -> Any:
    """Value of an unquoted scalar by the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text)
    if _OCTAL.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text[2:], 8)
    if _HEX.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if infinite := _INF.fullmatch(text):
        return -math.inf if infinite[1] == "-" else math.inf
    return math.nan if text in _NAN else text


class _Builder:
    """Plain data of a composed document, the lines of its keys and its problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: Lines = {}
        self.problems: list[Problem] = []
        self.open: set[Node] = set()
        self.size = 0

    def refuse(self, path: Path, node: Any, value: str, allowed: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(dotted(path) or "YAML", value, allowed, self.file, line))

    def refuse_halves(self, path: Path, node: Any) -> None:
        """Note text that no file can hold."""
        if _HALF.search(node.value):
            self.refuse(path, node, show(node.value), "text without halves of a character")

    def build(self, node: Node, path: Path) -> Any:
        # What an alias stands for counts again, so that aliases of aliases cannot grow without end.
        self.size += 1
        if self.size > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise _TooLargeError
        if type(node) is Node or node in self.open:
            self.refuse(path, node, f"*{node.anchor}", "an anchor that was set before")
            return None
        if node.ctag.suffix is not None:
            self.refuse(path, node, str(node.ctag), "a value without a YAML tag")
        if isinstance(node, ScalarNode):
            self.refuse_halves(path, node)
            return plain_scalar(node.value) if node.style is None else node.value
        self.open.add(node)
        value: Any
        if isinstance(node, SequenceNode):
            value = [self.build(item, (*path, str(at))) for at, item in enumerate(node.value)]
        else:
            value = self._mapping(node, path)
        self.open.discard(node)
        return value

    def _mapping(self, node: Node, path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, inner in node.value:
            if not isinstance(key, ScalarNode):
                self.refuse(path, key, "", "keys that are text")
                continue
            self.refuse_halves(path, key)
            name = str(key.value)
            here = (*path, name)
            item = self.build(inner, here)
            if name in value:
                first = self.lines[here]
                self.refuse(here, key, "", f"a key once only; it is on line {first} already")
            else:
                value[name] = item
                self.lines[here] = key.start_mark.line + 1
        return value


class _TooLargeError(Exception):
    """More values than any scenario has."""


class _Untyped(VersionedResolver):
    """Gives no tag to what has none in the file: `plain_scalar` says what a value is."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        return None


class _Composer(Composer):
    """Makes a bare node of an alias that has no anchor, instead of stopping there."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        if isinstance(event, AliasEvent) and event.anchor not in self.anchors:
            event = self.parser.get_event()
            return Node(None, None, event.start_mark, event.end_mark, anchor=event.anchor)
        return super().compose_node(parent, index)


def parse_yaml(text: str, file: str = "") -> tuple[Any, Lines]:
    """Data of one YAML document and the line of every key in it, counted from 1.

    file: name that problems carry. An empty document is None. Raises InputError.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.Resolver, yaml.Composer = _Untyped, _Composer
    yaml.composer.warn_double_anchors = False
    builder = _Builder(file)
    data = None
    try:
        documents = yaml.compose_all(text)
        root = next(documents, None)
        if root is not None:
            if yaml.version not in (None, (1, 2)):
                line = re.split("^%YAML", text, maxsplit=1, flags=re.MULTILINE)[0].count("\n") + 1
                directive = Problem("YAML", "%YAML directive", "YAML 1.2", file, line)
                builder.problems.append(directive)
            data = builder.build(root, ())
            if yaml.composer.check_node():
                builder.refuse((), yaml.parser.peek_event(), "---", "one document only")
    except MarkedYAMLError as error:
        raise InputError([_problem(error, file)]) from None
    except YAMLError as error:
        first = str(error).splitlines()[0]
        raise InputError([Problem("YAML", "", f"cannot be read: {first}", file)]) from None
    except (RecursionError, _TooLargeError):
        raise InputError(
            [Problem("YAML", "", "cannot be read: too large or too deeply nested", file)]
        ) from None
    if builder.problems:
        raise InputError(builder.problems)
    return data, builder.lines


def _problem(error: MarkedYAMLError, file: str) -> Problem:
    """What the parser stumbled over, in plain words."""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else None
    problem = str(error.problem or error.context or "not YAML")
    if "\\t" in problem or "\t" in problem:
        return Problem("YAML", "", "a tab cannot stand here: indent with spaces", file, line)
    return Problem("YAML", "", f"cannot be read: {problem}", file, line)


def read_yaml_file(path: FilePath, shown: str) -> tuple[Any, Lines]:
    """`parse_yaml` of a file; `shown` is its name in problems. Raises InputError."""
    return parse_yaml(read_text(path, shown, _MOST_YAML_MB), shown)


def read_text(path: FilePath, shown: str, most_mb: float = _MOST_MB) -> str:
    """Text of a UTF-8 file, a byte order mark left out. Raises InputError.

    shown: its name in problems. most_mb: the largest that is read, where the user does not say.
    """
    try:
        return read_bytes(path, shown, most_mb).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError([Problem("file", "", "not UTF-8 text", shown, line)]) from None


def read_bytes(path: FilePath, shown: str, most_mb: float = _MOST_MB) -> bytes:
    """Bytes of a file, as `read_text` reads it. Raises InputError."""
    try:
        return _content(path, shown, most_mb)
    except FileNotFoundError:
        raise InputError([Problem("file", "", "not found", shown)]) from None
    except IsADirectoryError:
        raise InputError([Problem("file", "", "a folder, not a file", shown)]) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError([Problem("file", "", f"cannot be read: {why}", shown)]) from None


def _content(path: FilePath, shown: str, most_mb: float) -> bytes:
    """Bytes of a plain file of a size that can be meant; nothing else is waited for."""
    most_mb = limit_mb(most_mb)
    # Opening a pipe that nobody writes to would wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        said = "a plain file; this is a pipe, a device or the like"
        raise InputError([Problem("file", "", said, shown)])
    with os.fdopen(os.open(path, flags), "rb") as file:
        # As much as there is, whatever size the file says that it has.
        content = file.read(int(most_mb * 1e6) + 1)
    if len(content) > most_mb * 1e6:
        said = f"a file of at most {most_mb:g} MB; the environment variable {MAX_INPUT_MB} says"
        raise InputError([Problem("file", "", f"{said} how large one may be", shown)])
    return content


def limit_mb(most_mb: float = _MOST_MB) -> float:
    """Largest file that is read, MB: most_mb, or what the user says. Raises InputError."""
    said = os.environ.get(MAX_INPUT_MB, "")
    if not said:
        return most_mb
    try:
        limit = float(said)
    except ValueError:
        limit = math.nan
    if not 0.0 < limit < math.inf:
        raise InputError([Problem(MAX_INPUT_MB, show(said), "a number of MB above 0")])
    return limit


def yaml_text(data: Mapping[str, Any], indent: int = 0) -> str:
    """Block YAML of nested mappings that `parse_yaml` reads back as the same data."""
    text = ""
    for key, value in data.items():
        lead = "  " * indent + (key if re.fullmatch(r"[A-Za-z_]\w*", key) else _quoted(key)) + ":"
        if isinstance(value, Mapping) and value:
            text += f"{lead}\n{yaml_text(value, indent + 1)}"
        else:
            text += f"{lead} {_flow(value)}\n"
    return text


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_][\w.-]*", value, re.ASCII)
        return value if plain and plain_scalar(value) == value else _quoted(value)
    if isinstance(value, float):
        return _float(value)
    return json.dumps(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    mantissa, e, exponent = repr(value).partition("e")
    # A dot, so that readers of YAML 1.1 see a number too.
    return mantissa + ("" if "." in mantissa else ".0") + e + exponent


def _quoted(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        return f"\\u{ord(match[0]):04x}"

    return _UNSAFE.sub(escape, json.dumps(text, ensure_ascii=False))
