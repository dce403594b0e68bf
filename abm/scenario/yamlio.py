"""YAML 1.2 in and out, with the line of every key.

Values are read by the core schema of YAML 1.2 and nothing more: `18:30`, `yes` and `2020-01-01` are
text, `1e-3` is a number. Keys are text. Tags are refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from abm.errors import InputError, Problem
from abm.scenario.problems import Path, dotted

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
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

Lines = dict[Path, int]


def plain_scalar(text: str) -> Any:
    """Value of an unquoted scalar by the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if infinite := _INF.fullmatch(text):
        return -math.inf if infinite[1] == "-" else math.inf
    return math.nan if text in _NAN else text


class _Reader:
    """Builds plain data from the events of one document and collects problems as it goes."""

    def __init__(self, events: Iterator[Event], file: str) -> None:
        self.events = events
        self.file = file
        self.lines: Lines = {}
        self.problems: list[Problem] = []
        self.anchors: dict[str, Any] = {}
        self.nodes = 0

    def refuse(self, path: Path, event: Event, value: str, allowed: str) -> None:
        line = event.start_mark.line + 1
        self.problems.append(Problem(dotted(path) or "YAML", value, allowed, self.file, line))

    def build(self, event: Any, path: Path) -> Any:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise _TooLargeError
        if isinstance(event, AliasEvent):
            if event.anchor not in self.anchors:
                self.refuse(path, event, f"*{event.anchor}", "an anchor that was set before")
            return self._copy(self.anchors.get(event.anchor))
        if event.tag is not None and event.tag != "!":
            self.refuse(path, event, str(event.tag), "a value without a YAML tag")
        if isinstance(event, ScalarEvent):
            value = plain_scalar(event.value) if event.style is None else event.value
        elif isinstance(event, SequenceStartEvent):
            value = []
            while not isinstance(item := next(self.events), SequenceEndEvent):
                value.append(self.build(item, (*path, str(len(value)))))
        else:
            value = self._mapping(path)
        if event.anchor:
            self.anchors[event.anchor] = value
        return value

    def _mapping(self, path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while not isinstance(key := next(self.events), MappingEndEvent):
            if not isinstance(key, ScalarEvent):
                self.refuse(path, key, "", "keys that are text")
                self.build(key, path)
                self.build(next(self.events), path)
                continue
            name = str(key.value)
            here = (*path, name)
            item = self.build(next(self.events), here)
            if name in value:
                first = self.lines[here]
                self.refuse(here, key, "", f"a key once only; it is on line {first} already")
                continue
            value[name] = item
            self.lines[here] = key.start_mark.line + 1
        return value

    def _copy(self, value: Any) -> Any:
        # A copy counts like the original, so that aliases of aliases cannot grow without bound.
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise _TooLargeError
        if isinstance(value, dict):
            return {key: self._copy(item) for key, item in value.items()}
        return [self._copy(item) for item in value] if isinstance(value, list) else value


class _TooLargeError(Exception):
    """More values than any scenario has."""


def parse_yaml(text: str, file: str = "") -> tuple[Any, Lines]:
    """Data of one YAML document and the line of every key in it, counted from 1.

    file: name that problems carry. An empty document is None. Raises InputError.
    """
    reader = YAML(typ="rt", pure=True)
    try:
        events = iter(reader.parse(text))
        builder = _Reader(events, file)
        data: Any = None
        documents = 0
        for event in events:
            if isinstance(event, StreamEndEvent):
                break
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if event.version is not None and tuple(event.version) != (1, 2):
                    builder.refuse((), event, "%YAML directive", "YAML 1.2")
                if documents > 1:
                    builder.refuse((), event, "---", "one document only")
                    break
            elif isinstance(
                event, (ScalarEvent, SequenceStartEvent, MappingStartEvent, AliasEvent)
            ):
                data = builder.build(event, ())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        raise InputError([Problem("YAML", "", _plain_words(error), file, line)]) from None
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


def _plain_words(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "not YAML")
    if "\\t" in problem or "\t" in problem:
        return "a tab cannot stand here: indent with spaces"
    return f"cannot be read: {problem}"


def read_yaml_file(path: FilePath, shown: str) -> tuple[Any, Lines]:
    """`parse_yaml` of a file; `shown` is its name in problems. Raises InputError."""
    return parse_yaml(read_text(path, shown), shown)


def read_text(path: FilePath, shown: str) -> str:
    """Text of a UTF-8 file, a byte order mark left out. Raises InputError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError([Problem("file", "", "not UTF-8 text", shown, line)]) from None
    except FileNotFoundError:
        raise InputError([Problem("file", "", "not found", shown)]) from None
    except IsADirectoryError:
        raise InputError([Problem("file", "", "a folder, not a file", shown)]) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError([Problem("file", "", f"cannot be read: {why}", shown)]) from None


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
