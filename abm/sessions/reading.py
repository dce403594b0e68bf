"""Files of sessions as columns of text: CSV with whatever marks, and the JSON of ACN-Data."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem
from abm.scenario.yamlio import read_bytes
from abm.sessions.ledger import DROPPED, Ledger, Rows

# A file of sessions may be larger than one that a person writes.
MOST_MB = 2000.0
_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_rows(path: Path, file: str) -> tuple[Rows, tuple[str, ...], int | None]:
    """A file as columns of text with "line", the names of the columns, and the line of these.

    file: its name for problems. Raises InputError.
    """
    content = read_bytes(path, file, MOST_MB)
    ledger = Ledger()
    start = content[:200].lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
    if not content.strip():
        raise InputError([Problem("file", "", "empty; a table of sessions", file)])
    if start in (b"{", b"["):
        return _from_json(content, file, ledger)
    return _from_csv(content, file, ledger)


# --- CSV ---------------------------------------------------------------------------------------


def _from_csv(content: bytes, file: str, ledger: Ledger) -> tuple[Rows, tuple[str, ...], int]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pcsv

    content = _as_utf8(content, file, ledger)
    skipped, first = _before_header(content)
    if not first:
        raise InputError([Problem("file", "", "a first row with the names of the columns", file)])
    mark = max(_MARKS, key=lambda one: first.count(one))
    names = [cell.strip() for cell in next(csv.reader([first], delimiter=mark))]
    header_line = skipped + 1
    problems = [
        Problem("columns", name, "each column once, with a name", file, header_line)
        for i, name in enumerate(names)
        if not name or name in names[:i]
    ]
    if problems:
        raise InputError(problems)
    if mark != ",":
        ledger.notes.append(f"columns are separated by {_MARKS[mark]}")
    wrong: list[tuple[int, str]] = []

    def skip(row: Any) -> str:
        wrong.append((row.number, row.text))
        return "skip"

    try:
        table = pcsv.read_csv(
            io.BytesIO(content),
            read_options=pcsv.ReadOptions(
                use_threads=False, skip_rows=skipped + 1, column_names=names
            ),
            parse_options=pcsv.ParseOptions(
                delimiter=mark, invalid_row_handler=skip, ignore_empty_lines=False
            ),
            convert_options=pcsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError([Problem("file", "", f"cannot be read as CSV: {error}", file)]) from None
    lines = np.arange(header_line + 1, header_line + 1 + len(table) + len(wrong))
    bad = np.array([number for number, _ in wrong], dtype=np.int64)
    shown = np.array([text.strip()[:60] for _, text in wrong], dtype=object)
    columns: dict[str, Any] = {"line": lines[~np.isin(lines, bad)]}
    for name in names:
        columns[name] = pc.utf8_trim_whitespace(table.column(name)).to_numpy().astype(object)
    rows = Rows(columns, ledger)
    blank = np.ones(len(rows), dtype=np.bool_)
    for name in names:
        blank &= columns[name] == ""
    if blank.any():
        rows.columns = {name: values[~blank] for name, values in columns.items()}
    ledger.rows = len(rows) + len(wrong)
    ledger.note(DROPPED, f"not {len(names)} cells, one for each column", bad, shown)
    return rows, tuple(names), header_line


def _as_utf8(content: bytes, file: str, ledger: Ledger) -> bytes:
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
        ledger.notes.append("a byte order mark before the first name was left out")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        ledger.notes.append("the text is UTF-16 and was read as such")
        return content.decode("utf-16").encode()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        ledger.notes.append("the text is not UTF-8 and was read as Windows-1252")
        return content.decode("cp1252", errors="replace").encode()
    return content


def _before_header(content: bytes) -> tuple[int, str]:
    """Lines before the names of the columns, blank ones and comments, and the line of these."""
    place = 0
    for number in range(1000):
        end = content.find(b"\n", place)
        line = content[place : end if end >= 0 else len(content)].decode().strip("\r")
        if line.strip() and not line.startswith("#"):
            return number, line
        if end < 0:
            break
        place = end + 1
    return 0, ""


# --- JSON --------------------------------------------------------------------------------------

_KEPT = (
    "userID", "siteID", "stationID", "spaceID", "connectionTime", "disconnectTime", "kWhDelivered",
    "timezone",
)  # fmt: skip


def _from_json(content: bytes, file: str, ledger: Ledger) -> tuple[Rows, tuple[str, ...], None]:
    """The sessions of ACN-Data: a list of objects, or an object with one in `_items`.

    Item after item, so that what is not kept of one is gone before the next is read. In the place
    of a line a session has its number, from 1.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError([Problem("file", "", "not UTF-8 text", file)]) from None
    place = re.compile(r'"_items"\s*:\s*\[').search(text)
    at = place.end() if place else text.find("[") + 1
    if at == 0:
        allowed = "a list of sessions, or an object with one in _items, as ACN-Data gives it"
        raise InputError([Problem("file", "", allowed, file)])
    decode, begin = json.JSONDecoder().raw_decode, re.compile(r"[^\s,]").search
    found: dict[str, list[Any]] = {name: [] for name in _KEPT}
    adders = [(name, cells.append) for name, cells in found.items()]
    while (first := begin(text, at)) and first[0] != "]":
        try:
            item, at = decode(text, first.start())
        except json.JSONDecodeError as error:
            line = text.count("\n", 0, error.pos) + 1
            raise InputError([Problem("file", "", f"not JSON: {error.msg}", file, line)]) from None
        value = item.get if isinstance(item, dict) else {}.get
        for name, add in adders:
            add(value(name))
    if first is None:
        line = text.count("\n") + 1
        raise InputError([Problem("file", "", "not JSON: the list does not end", file, line)])
    n = len(found["siteID"])
    if n == 0:
        raise InputError([Problem("_items", "", "at least one session", file)])
    ledger.rows = n
    columns: dict[str, NDArray[Any]] = {"line": np.arange(1, n + 1)}
    for name in list(found):
        cells = ["" if value is None else str(value) for value in found.pop(name)]
        columns[name] = np.array(cells, dtype=object)
    names = [name for name in _KEPT if (columns[name] != "").any()]
    return Rows({name: columns[name] for name in ("line", *names)}, ledger), tuple(names), None


def is_ours(path: Path) -> bool:
    """Whether a file is one that the import wrote, and may replace."""
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK.encode()
    except OSError:
        return False


# The first line of a file that the import writes begins with it.
MARK = "# Sessions imported by Evenfall"
