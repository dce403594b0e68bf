"""datapackage.json: the tables of a folder as a Frictionless Data Package, with units.

https://specs.frictionlessdata.io: each table with its columns, their types, units and meanings,
and the size and SHA-256 of its file, for whoever reads them without Evenfall.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from abm.results.columns import OWN, column_of

DATAPACKAGE = "datapackage.json"
# Verbs whose tables are results; feeders and sessions have formats of their own.
VERBS = ("run", "compare", "reproduce", "montecarlo", "sweep", "hosting", "breakeven",
         "reconfigure")  # fmt: skip
_FORMATS = {
    "csv": ("tabular-data-resource", "text/csv"),
    "parquet": ("data-resource", "application/vnd.apache.parquet"),
}
CONVENTIONS = (
    "Powers are positive when charging; hours are hours of the clock; names that end in _min are "
    "minutes from the start of the horizon; buses, lines, zones and feeders are numbered from 1; "
    "what is not known is missing."
)
LICENSE = {
    "name": "MIT",
    "title": "Licence of Evenfall, which wrote the tables; that of the input data stays its own",
    "path": "https://opensource.org/license/mit",
}
PAPER = {
    "title": "Vashisth, S. et al. (2025): Enhancement in grid performance using Coordinated V2G "
    "approach with Residential EV charging demand. EasyChair preprints"
}
# Field and type of each column.
Fields = Sequence[tuple[str, str]]


def fields_of(table: Any) -> Fields:
    """Names and Frictionless types of the columns of a DataFrame, or of a table of Arrow."""
    if hasattr(table, "column_names"):
        return [(one.name, _of_arrow(one.type)) for one in table.schema]
    return [(str(name), _of_pandas(table[name])) for name in table.columns]


def _of_arrow(kind: Any) -> str:
    import pyarrow.types as types

    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "integer"
    if types.is_floating(kind):
        return "number"
    # Its readers take no list out of parquet for an array.
    return "any" if types.is_list(kind) else "string"


def _of_pandas(column: Any) -> str:
    import pandas as pd

    kind = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}.get(column.dtype.kind)
    if kind is not None:
        return kind
    found = pd.api.types.infer_dtype(column, skipna=True)
    known = {"boolean": "boolean", "integer": "integer", "floating": "number"}
    return known.get(found, "any" if found.startswith("mixed") else "string")


def datapackage(
    about: Mapping[str, Any], tables: Mapping[str, tuple[Fields, int, str]]
) -> dict[str, Any]:
    """The package of a folder. tables: columns, bytes and SHA-256 by the name of the file."""
    study, scenario = str(about["study"]), str(about.get("scenario", ""))
    strategies = ", ".join(map(str, about.get("strategies", [])))
    seed = about.get("seed")
    stems = [name.rpartition(".")[0] for name in tables]
    of = " ".join(filter(None, (study, scenario, strategies.replace(", ", " "))))
    title = f"Evenfall, {study}: {scenario}, {strategies}, seed {seed}"
    return {
        "profile": "data-package",
        "name": _slug(f"evenfall {of} seed{seed}"),
        "title": title,
        "description": CONVENTIONS,
        "licenses": [LICENSE],
        "sources": [
            {"title": f"Evenfall {about['versions']['evenfall']}, `evenfall {study}`"},
            {"title": f"Scenario {scenario}, with the files that it names, in scenario.yaml"},
            PAPER,
        ],
        "resources": [
            # One table may be there in two formats.
            _resource(name, fields, size, sha256, stems.count(stem) > 1)
            for stem, (name, (fields, size, sha256)) in zip(stems, tables.items(), strict=True)
        ],
    }


def _resource(file: str, fields: Fields, size: int, sha256: str, twice: bool) -> dict[str, Any]:
    table, _, suffix = file.rpartition(".")
    profile, mediatype = _FORMATS[suffix]
    return {
        "name": _slug(file.replace(".", "-") if twice else table),
        "path": file,
        "profile": profile,
        "format": suffix,
        "mediatype": mediatype,
        # Frictionless 5 does not count the bytes of parquet, and then calls any number wrong.
        **({"encoding": "utf-8", "bytes": size} if suffix == "csv" else {}),
        "hash": f"sha256:{sha256}",
        "schema": {"fields": [_field(table, name, kind) for name, kind in fields]},
    }


def _field(table: str, name: str, kind: str) -> dict[str, str]:
    column = column_of(table, name)
    found = {"name": name, "type": kind}
    if column is None:
        return {**found, "description": OWN}
    unit = {} if column.unit == "-" else {"unit": column.unit}
    return {**found, "description": column.meaning, **unit}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-")
