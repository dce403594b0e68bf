"""Figures in the formats and the style that were asked for: the same bytes each time."""

import pytest
from helpers import run, small_paper
from matplotlib.text import Text

from abm.cli import main
from abm.errors import InputError
from abm.report.figures import figure, journal, legend_below, pictures, printed
from abm.report.printing import FIGURE_FORMATS, Printing, parse_printing, printed_as, printing
from abm.report.run_figures import run_figures

BEGINS = {"png": b"\x89PNG", "pdf": b"%PDF-", "svg": b"<?xml"}


@pytest.fixture(scope="module")
def results():
    return run(small_paper(strategy="evms", clock={"step_s": 900})).results


def test_what_may_be_asked_for():
    assert parse_printing() == Printing(("png",), (), "screen")
    assert parse_printing("latex, svg,pdf", "journal") == Printing(
        ("pdf", "svg"), ("latex",), "journal"
    )
    # Tables alone leave the pictures as they are.
    assert parse_printing("md").figures == ("png",)
    with pytest.raises(InputError) as error:
        parse_printing("pfd,md", "jornal")
    said = str(error.value)
    assert "--format" in said
    assert "did you mean 'pdf'" in said
    assert "--style" in said
    assert "did you mean 'journal'" in said


def test_what_holds_ends_with_its_block():
    with printed_as(Printing(("svg",))):
        assert printing().figures == ("svg",)
    assert printing() == Printing()


@pytest.mark.parametrize("kind", FIGURE_FORMATS)
def test_the_same_figure_is_the_same_bytes(results, kind):
    draw = run_figures(results)["demand"]
    first, second = (printed(draw(), kind) for _ in range(2))
    assert first == second
    assert first.startswith(BEGINS[kind])
    if kind == "pdf":
        # Fonts are within, and nothing tells when it was made.
        assert b"/FontFile2" in first
        assert b"CreationDate" not in first
    if kind == "svg":
        assert b"<dc:date>" not in first


def test_every_figure_comes_in_every_format(results):
    drawings = {"demand": run_figures(results)["demand"]}
    with printed_as(parse_printing("png,svg,pdf")):
        names = [name for name, _ in pictures(drawings)]
    assert names == [f"figures/demand.{kind}" for kind in FIGURE_FORMATS]


def test_a_figure_for_a_journal(results):
    for name, draw in run_figures(results).items():
        fig = journal(draw())
        assert fig.get_figwidth() * 25.4 == pytest.approx(88.0), name
        assert not fig.get_suptitle()
        assert not fig.axes[0].get_title()
        sizes = {t.get_fontsize() for t in fig.findobj(Text) if t.get_text()}
        assert sizes == {8.0}, name
    fig, axes = figure("wide", width_in=7.2)
    for i in range(9):
        axes.plot([0, 1], [i, 0], label=f"a name that takes some room {i}")
    legend_below(fig, axes, 4)
    journal(fig)
    fig.draw_without_rendering()
    assert fig.get_figwidth() * 25.4 == pytest.approx(180.0)
    assert fig.legends[0].get_window_extent().width <= fig.bbox.width
    assert len(fig.legends[0].get_texts()) == 9


def test_names_that_grow_stay_within_the_axes():
    fig, axes = figure("")
    axes.plot([0, 1], [0, 1])
    name = axes.text(0.0, 0.5, "a name at the edge", fontsize=6.5)
    name.set_ha("center")
    fig.draw_without_rendering()
    assert name.get_window_extent().x0 < axes.get_window_extent().x0
    journal(fig)
    fig.draw_without_rendering()
    assert name.get_window_extent().x0 >= axes.get_window_extent().x0


def test_of_results_in_python(results, tmp_path):
    fig = results.plot("demand", style="journal")
    assert fig.get_figwidth() * 25.4 == pytest.approx(88.0)
    fig.savefig(tmp_path / "demand.pdf")
    assert b"/FontFile2" in (tmp_path / "demand.pdf").read_bytes()
    results.save(tmp_path / "run", formats="pdf,svg", style="journal")
    found = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert {"demand.pdf", "demand.svg", "voltage.pdf"} <= found
    assert not any(name.endswith(".png") for name in found)
    with pytest.raises(InputError, match=r"^formats = gif"):
        results.save(tmp_path / "no", formats="gif")
    assert not (tmp_path / "no").exists()


def test_on_the_command_line(tmp_path, capsys):
    out = tmp_path / "feeder"
    words = ["feeder", "show", "case33bw", "--out", str(out)]
    assert main([*words, "--format", "pdf", "--style", "journal"]) == 0
    assert (out / "feeder.pdf").read_bytes().startswith(b"%PDF-")
    assert not (out / "feeder.png").exists()
    assert main([*words, "--force", "--format", "gif"]) == 2
    assert "one of png, pdf, svg, md, latex, csv" in capsys.readouterr().err
    assert (out / "feeder.pdf").exists()
