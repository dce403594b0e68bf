"""Seals: a checksum within the file itself, so that it holds wherever the file is copied to.

A sealed JSON object has the SHA-256 of all its other fields. A sealed part, a parquet file, has
one in front of its footer, where no reader looks: of its bytes, of the study and of its own name,
so that a part of another study, or one under another name, is as wrong as a damaged one.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "seal"
# In front of a part's digest of 32 bytes.
MARK = b"EVENFALL"
# A parquet file ends with the length of its footer, 4 bytes, and its name.
_END = 8
_PARQUET = b"PAR1"


def is_regular(path: Path) -> bool:
    """Whether a file is there, no link, pipe, device or folder."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(content: Any) -> str:
    """SHA-256 of plain data, however it is laid out as JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its seal behind it; content: plain data."""
    plain = json.loads(json.dumps(content, allow_nan=False))
    plain.pop(SEAL, None)
    return {**plain, SEAL: digest_of(plain)}


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The JSON object in a regular file, without its seal; None where there is none that holds."""
    if not is_regular(path):
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            return None
        seal = found.pop(SEAL, None)
        return found if seal == digest_of(found) else None
    except (OSError, ValueError, RecursionError):
        return None


def seal_part(content: bytes, study: str, name: str) -> bytes:
    """A parquet file with its seal; study: what it belongs to. Readers read it as before."""
    at = _footer(content)
    return content[:at] + MARK + _digest(content, study, name) + content[at:]


def open_part(content: bytes, study: str, name: str) -> bytes | None:
    """The parquet file as it was before it was sealed; None where the seal does not hold."""
    try:
        at = _footer(content)
    except ValueError:
        return None
    begin = at - len(MARK) - hashlib.sha256().digest_size
    if begin < 0 or content[begin : begin + len(MARK)] != MARK:
        return None
    opened = content[:begin] + content[at:]
    found = content[begin + len(MARK) : at]
    return opened if found == _digest(opened, study, name) else None


def _footer(content: bytes) -> int:
    """Where the footer of a parquet file begins. Raises ValueError where it cannot."""
    length = int.from_bytes(content[-_END:-4], "little")
    at = len(content) - _END - length
    if not content.endswith(_PARQUET) or at < len(_PARQUET):
        raise ValueError("no parquet file")
    return at


def _digest(content: bytes, study: str, name: str) -> bytes:
    return hashlib.sha256(f"{study}/{name}\0".encode() + content).digest()
