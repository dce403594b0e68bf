"""How to cite Evenfall, the paper it started from, and the results in a folder.

Everything comes from CITATION.cff, which lies in the repository and in the package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from abm import __version__
from abm.errors import InputError, Problem
from abm.results.ownership import read_manifest

FORMATS = ("bibtex", "text", "csl")
_NAME = "CITATION.cff"
_PACKAGE = Path(__file__).resolve().parents[1]
# What LaTeX would obey in a field.
_LATEX = {letter: rf"\{letter}" for letter in "&%$#_"}


@dataclass(frozen=True)
class CitedWork:
    """Something to cite. kind: "software" or "article". authors: family and given name, the latter
    "" of a group. note: what else is to be said.
    """

    key: str
    kind: str
    title: str
    authors: Sequence[tuple[str, str]]
    year: str
    publisher: str = ""
    version: str = ""
    url: str = ""
    note: str = ""


def works(folder: Path | None = None) -> list[CitedWork]:
    """The software, with the version that is here, and the paper.

    folder: of results; the software then has the version that wrote it, and a note with what was
    run and from which seed. Raises InputError for a folder that Evenfall did not write.
    """
    found = _read()
    version, note = __version__, ""
    if folder is not None:
        manifest = read_manifest(folder.resolve())
        if manifest is None:
            raise InputError([Problem("FOLDER", str(folder), "a folder that Evenfall wrote")])
        version = str(manifest.get("versions", {}).get("evenfall", __version__))
        note = _of_results(manifest)
    software = CitedWork(
        "evenfall",
        "software",
        str(found["title"]),
        _authors(found["authors"]),
        str(found["date-released"])[:4],
        version=version,
        url=str(found.get("repository-code", "")),
        note=note,
    )
    return [software, *(_reference(each) for each in found.get("references", ()))]


def _read() -> Mapping[str, Any]:
    inside = _PACKAGE / f"_{_NAME}"
    path = inside if inside.is_file() else _PACKAGE.parent / _NAME
    content: Mapping[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return content


def _authors(given: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [
        (each["name"], "") if "name" in each else (each["family-names"], each["given-names"])
        for each in given
    ]


def _reference(given: Mapping[str, Any]) -> CitedWork:
    authors, year = _authors(given["authors"]), str(given["year"])
    key = f"{authors[0][0].lower()}{year}"
    publisher = str(given.get("publisher", {}).get("name", ""))
    url = str(given.get("url", ""))
    return CitedWork(
        key, str(given["type"]), str(given["title"]), authors, year, publisher, url=url
    )


def _of_results(manifest: Mapping[str, Any]) -> str:
    """What a folder's numbers are of: verb, scenario, seed and what solved it."""
    parts = [f"results of {manifest['study']}"]
    if manifest.get("scenario"):
        parts.append(f"scenario {manifest['scenario']}")
    if manifest.get("scenario_sha256"):
        parts.append(f"SHA-256 {manifest['scenario_sha256'][:12]}")
    if manifest.get("seed") is not None:
        parts.append(f"seed {manifest['seed']}")
    solver = manifest.get("solver")
    if solver:
        parts.append(f"load flows by {solver} {manifest['versions'].get(solver, '')}".rstrip())
    return ", ".join(parts)


# --- formats -----------------------------------------------------------------------------------


def bibtex(works: Sequence[CitedWork]) -> str:
    """Entries of BibTeX; a preprint that is no article of a journal is @misc."""
    return "\n".join(map(_entry, works))


def _entry(work: CitedWork) -> str:
    names = " and ".join(
        f"{family}, {given}" if given else f"{{{family}}}" for family, given in work.authors
    )
    fields = {
        "author": _tex(names),
        "title": f"{{{_tex(work.title)}}}",
        "year": work.year,
        "version": work.version,
        "publisher": _tex(work.publisher),
        "url": work.url,
        "note": _tex(work.note),
    }
    kind = "software" if work.kind == "software" else "misc"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{work.key},", *lines, "}", ""])


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def text(works: Sequence[CitedWork]) -> str:
    """A line for each, as in a list of references."""
    return "\n".join(map(_line, works)) + "\n"


def _line(work: CitedWork) -> str:
    names = [f"{_initials(given)} {family}" if given else family for family, given in work.authors]
    who = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    behind = [f"version {work.version}" if work.version else "", work.publisher, work.year]
    parts = [who, work.title, ", ".join(filter(None, behind)), work.url, work.note]
    return ". ".join(filter(None, parts)) + "."


def _initials(given: str) -> str:
    return " ".join(f"{name[0]}." for name in re.split(r"[ .]+", given) if name)


def csl(works: Sequence[CitedWork]) -> list[dict[str, Any]]:
    """Items of CSL JSON, as Zotero and pandoc read them."""
    return [_item(work) for work in works]


def _item(work: CitedWork) -> dict[str, Any]:
    authors = [
        {"family": family, "given": given} if given else {"literal": family}
        for family, given in work.authors
    ]
    found: dict[str, Any] = {
        "id": work.key,
        "type": "software" if work.kind == "software" else "article",
        "title": work.title,
        "author": authors,
        "issued": {"date-parts": [[int(work.year)]]},
    }
    more = {"version": work.version, "publisher": work.publisher, "URL": work.url,
            "note": work.note}  # fmt: skip
    return found | {name: value for name, value in more.items() if value}
