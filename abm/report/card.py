"""Cards for notebooks: a heading, tables and a picture as HTML that needs nothing else.

All text is escaped. Colours are left to the notebook, so that it reads on dark ground too.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from abm.errors import printable
from abm.report.figures import DPI, Drawings, panels, png
from abm.scenario import Scenario

# Of more differences than this the rest is counted.
MOST_ROWS = 20
# Letters of what a field means that stand beside it; all of it is behind the pointer.
MOST_LETTERS = 70
# Of a picture, for each inch that it is drawn in.
PIXELS = 110
_LEFT = "text-align:left;vertical-align:top"


def card(title: str, *parts: str) -> str:
    """A heading and what stands under it, beside each other where there is room."""
    inner = "".join(f'<div style="max-width:48em">{part}</div>' for part in parts if part)
    row = f'<div style="display:flex;flex-wrap:wrap;gap:2em;align-items:flex-start">{inner}</div>'
    head = f'<h4 style="margin:0.4em 0">{text(title)}</h4>'
    return f'<div class="evenfall" style="font-size:12px">{head}{row}</div>'


def text(value: object) -> str:
    """Text as it is: nothing in it is markup, or turns the direction of writing."""
    return escape(printable(value))


def table_of(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Rows of text as a table; the first column and the head are of labels."""
    top = "".join(f'<th style="{_LEFT}">{text(name)}</th>' for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td style={_quoted(_LEFT)}>{text(cell)}</td>' for cell in row)}</tr>"
        for row in rows
    )
    return f"<table>{f'<thead><tr>{top}</tr></thead>' if top else ''}<tbody>{body}</tbody></table>"


def differences_table(scenario: Scenario) -> str:
    """In what a scenario differs from the paper's study."""
    found = scenario.differences()
    if not found:
        return "<p>The paper's study, no field changed.</p>"
    rows = []
    for one in found[:MOST_ROWS]:
        cells = (one.field, one.value_text, one.default_text, first_words(one.meaning))
        inner = "".join(
            f'<td style="{_LEFT}{";white-space:nowrap" if i != 3 else ""}">{text(cell)}</td>'
            for i, cell in enumerate(cells)
        )
        rows.append(f"<tr title={_quoted(one.meaning)}>{inner}</tr>")
    if len(found) > MOST_ROWS:
        rows.append(f'<tr><td colspan="4">and {len(found) - MOST_ROWS} more</td></tr>')
    head = "".join(
        f'<th style="{_LEFT}">{name}</th>' for name in ("differs", "here", "default", "meaning")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def notes_of(lines: Iterable[str]) -> str:
    """Sentences, each on a line of its own; "" without any."""
    return "".join(f"<p>{text(line)}</p>" for line in lines)


def first_words(meaning: str) -> str:
    """The beginning of what a field means, to the end of a sentence or clause."""
    short = re.split(r"(?<!eq)(?<!eqs)[.] |; ", meaning, maxsplit=1)[0].rstrip(".")
    return short if len(short) <= MOST_LETTERS else f"{short[: MOST_LETTERS - 3].rstrip()}..."


def picture_of(drawings: Drawings) -> str:
    """The first of the figures as a picture within the page; "" where there are none."""
    for kind, draw in drawings.items():
        figure = draw()
        data = base64.b64encode(png(figure)).decode()
        # Letters as large as those of the tables.
        width = round(PIXELS * figure.get_figwidth())
        style = f"max-width:100%;width:{width}px"
        return f'<img alt="{text(kind)}" style="{style}" src="data:image/png;base64,{data}">'
    return ""


def _quoted(value: str) -> str:
    return f'"{text(value)}"'


def stored_picture(content: bytes) -> Figure:
    """A stored picture (PNG) as a figure, in the size that it was drawn in."""
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(content), format="png")
    height, width = pixels.shape[:2]
    fig, (axes,) = panels(1, 1, (width / DPI, height / DPI))
    fig.set_layout_engine("none")
    axes.set_position((0.0, 0.0, 1.0, 1.0))
    axes.imshow(pixels)
    axes.set_axis_off()
    return fig
