"""A report as one HTML file that opens without a network: its parts, and how they are set."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from abm.errors import printable
from abm.report.feeder_map import FeederMap
from abm.report.interactive import Drawn

_Part = TypeVar("_Part")
MOST_BYTES = 6_000_000
# Nothing may be loaded from anywhere, whatever a name in the scenario tries.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
PICTURES_ONLY = (
    "The figures are pictures, as plotly is not installed: interactive ones come with "
    'pip install "evenfall[report]".'
)


@dataclass(frozen=True)
class PageTable:
    """A table that sorts and copies.

    columns: heading, and whether it has numbers. rows: cells as they are shown. key: for links.
    """

    key: str
    title: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[str]]
    about: str = ""


@dataclass(frozen=True)
class Report:
    """All that a page says, in its order.

    verb: that made it. facts: what was studied, in a line. cautions: to be read before anything
    else. answer: three sentences. note: how sure it is. changes: what differs from the default.
    pictures: title and PNG of each figure, where they cannot be interactive. again: how to get the
    same, lines of a shell. versions: of what computed it.
    """

    title: str
    verb: str
    facts: str
    cautions: Sequence[str]
    answer: Sequence[str]
    note: str
    changes: PageTable
    charts: Sequence[Drawn]
    map: FeederMap | None
    tables: Sequence[PageTable]
    again: Sequence[tuple[str, str]]
    cite: str
    versions: Sequence[tuple[str, str]]
    pictures: Sequence[tuple[str, bytes]] = field(default=())


def page(report: Report, plotly: str | None) -> str:
    """The page; plotly: the script that draws the figures, None for pictures in their place.

    Below `MOST_BYTES` whatever is in it: what is too much is left out, and the page says so.
    """
    text = _page(report, plotly)
    while len(text.encode()) > MOST_BYTES:
        smaller = _without_largest(report)
        if smaller is None:
            break
        report = smaller
        text = _page(report, plotly)
    return text


def _without_largest(report: Report) -> Report | None:
    """The same without its largest part; None where nothing can be left out."""
    sizes: list[tuple[int, str, int]] = []
    if report.map is not None and report.map.markup:
        sizes.append((len(report.map.markup) + len(_json(report.map.data)), "map", 0))
    sizes += [(len(_json(one.chart)), "charts", i) for i, one in enumerate(report.charts)]
    sizes += [(len(content), "pictures", i) for i, (_, content) in enumerate(report.pictures)]
    sizes += [
        (sum(len(cell) + 9 for row in one.rows for cell in row), "tables", i)
        for i, one in enumerate(report.tables)
    ]
    if not sizes:
        return None
    _, what, at = max(sizes)
    if what == "map":
        said = "The map is left out to keep this file small."
        return replace(report, map=FeederMap("", {}, "", said))
    of: dict[str, Sequence[Drawn | PageTable]] = {"charts": report.charts, "tables": report.tables}
    name = report.pictures[at][0] if what == "pictures" else of[what][at].title
    note = f"{report.note} {name}: left out to keep this file small.".strip()
    if what == "charts":
        return replace(report, charts=_but(report.charts, at), note=note)
    if what == "pictures":
        return replace(report, pictures=_but(report.pictures, at), note=note)
    return replace(report, tables=_but(report.tables, at), note=note)


def _but(parts: Sequence[_Part], at: int) -> list[_Part]:
    return [part for i, part in enumerate(parts) if i != at]


def plotly_script() -> str | None:
    """The script of the installed plotly, without importing it; None where it is not there."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None


# --- parts -------------------------------------------------------------------------------------


def _page(report: Report, plotly: str | None) -> str:
    has_map = report.map is not None and bool(report.map.markup)
    data = {
        "charts": [one.chart for one in report.charts] if plotly is not None else [],
        "map": report.map.data if report.map is not None and has_map else None,
    }
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(report.title)}</title>",
        f"<style>{_asset('report.css')}</style></head><body>",
        *_head(report),
        "<main>",
        *_answers(report),
        *_figures(report, plotly is not None),
        *_map(report),
        '<section id="tables"><h2>Tables</h2>',
        '<p class="soft">A click on a heading sorts.</p>',
        *(part for table in report.tables for part in _table(table)),
        "</section>",
        *_studied(report),
        *_again(report),
        "</main>",
        "<footer><p>Written by Evenfall. This page loads nothing from anywhere.</p></footer>",
        f'<script type="application/json" id="data">{_json(data)}</script>',
    ]
    if plotly is not None and report.charts:
        parts.append(f"<script>{_script(plotly)}</script>")
    parts.append(f"<script>{_script(_asset('report.js'))}</script></body></html>\n")
    return "\n".join(parts)


def _head(report: Report) -> Iterable[str]:
    links = [("figures", "Figures"), ("map", "Map"), ("tables", "Tables")]
    links += [("studied", "What was studied"), ("again", "How to run it again")]
    if report.map is None:
        links.remove(("map", "Map"))
    if not (report.charts or report.pictures):
        links.remove(("figures", "Figures"))
    yield f"<header><h1>{_text(report.title)}</h1>"
    yield f'<p class="soft">{_text(report.facts)}</p>'
    items = "".join(f'<li><a href="#{key}">{label}</a></li>' for key, label in links)
    yield f'<nav aria-label="Parts of this page"><ul>{items}</ul></nav></header>'


def _answers(report: Report) -> Iterable[str]:
    if report.cautions:
        items = "".join(f"<li>{_prose(line)}</li>" for line in report.cautions)
        yield '<section class="cautions" aria-label="Before you read on">'
        yield f"<h2>Before you read on</h2><ul>{items}</ul></section>"
    sentences = "".join(f"<p>{_prose(sentence)}</p>" for sentence in report.answer)
    yield f'<section class="answer" id="answer"><h2>The answer</h2>{sentences}'
    if report.note:
        yield f'<p class="soft">{_prose(report.note)}</p>'
    yield "</section>"


def _figures(report: Report, interactive: bool) -> Iterable[str]:
    if not (report.charts or report.pictures):
        return
    yield '<section id="figures"><h2>Figures</h2>'
    if interactive and report.charts:
        for i, one in enumerate(report.charts):
            yield f"<figure><figcaption><h3>{_text(one.title)}</h3>"
            yield f'<p class="soft">{_text(one.about)}</p></figcaption>'
            yield f'<div class="plot" data-chart="{i}" role="img" '
            yield f'aria-label="{_text(f"{one.title}. {one.about}")}"></div></figure>'
    else:
        if not interactive:
            yield f'<p class="soft">{_text(PICTURES_ONLY)}</p>'
        for title, content in report.pictures:
            source = f"data:image/png;base64,{b64encode(content).decode('ascii')}"
            yield f"<figure><figcaption><h3>{_text(title)}</h3></figcaption>"
            yield f'<img alt="{_text(title)}" src="{source}"></figure>'
    yield "</section>"


def _map(report: Report) -> Iterable[str]:
    if report.map is None:
        return
    yield '<section id="map"><h2 id="map-title">The feeder over time</h2>'
    yield f'<p class="soft">{_text(report.map.about or report.map.left_out)}</p>'
    yield report.map.markup
    yield "</section>"


def _studied(report: Report) -> Iterable[str]:
    yield '<section id="studied"><h2>What was studied</h2>'
    if report.changes.rows:
        yield "<p>What differs from the default, the paper's own study:</p>"
        yield from _table(report.changes)
    else:
        yield "<p>Nothing differs from the default, the paper's own study.</p>"
    yield "</section>"


def _again(report: Report) -> Iterable[str]:
    yield '<section id="again"><h2>How to run it again</h2>'
    for about, command in report.again:
        yield f"<p>{_text(about)}</p><pre>{_text(command)}</pre>"
    versions = ", ".join(f"{name} {version}" for name, version in report.versions)
    yield f'<p class="soft">Computed with {_text(versions)}.</p>'
    yield f"<h3>How to cite</h3><pre>{_text(report.cite)}</pre></section>"


def _table(table: PageTable) -> Iterable[str]:
    yield f'<div class="table" id="table-{table.key}"><h3>{_text(table.title)}</h3>'
    if table.about:
        yield f'<p class="soft">{_prose(table.about)}</p>'
    yield '<div class="bar"><button type="button" data-copy="tsv">Copy for a spreadsheet</button>'
    yield '<button type="button" data-copy="csv">Copy as CSV</button>'
    yield '<span class="said soft" role="status"></span></div>'
    label = _text(table.title)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
    yield f'<table aria-label="{label}"><thead><tr>'
    kinds = [' class="n"' if numeric else "" for _, numeric in table.columns]
    for (heading, _), kind in zip(table.columns, kinds, strict=True):
        yield f'<th scope="col" aria-sort="none"{kind}>'
        yield f'<button type="button">{_text(heading)}</button></th>'
    yield "</tr></thead><tbody>"
    for row in table.rows:
        cells = zip(row, kinds, strict=True)
        yield "<tr>" + "".join(f"<td{kind}>{_text(cell)}</td>" for cell, kind in cells) + "</tr>"
    yield "</tbody></table></div></div>"


def _text(text: str) -> str:
    """Text as it is: no markup, nothing that a terminal or a browser would obey."""
    return escape("\n".join(printable(line) for line in text.split("\n")))


def _prose(text: str) -> str:
    """A sentence; what stands between backticks in it is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))


def _json(data: Any) -> str:
    """Plain data within a script element: nothing in it ends that."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _script(text: str) -> str:
    return text.replace("</script", "<\\/script")


@cache
def _asset(name: str) -> str:
    return files("abm.report").joinpath("assets", name).read_text(encoding="utf-8")
