"""Tables of the terminal as Markdown, LaTeX and CSV, in the digits that intervals support."""

import csv
import io

import pytest
from helpers import run, small_paper

import abm
from abm.cli import main
from abm.report.html_tables import kpi_heading
from abm.report.printing import parse_printing, printed_as
from abm.report.table_files import comma_separated, latex, markdown, table_files
from abm.report.terminal import caught, new_table, print_lines, show
from abm.report.units import digits_by, plus_minus, scaled_mean
from abm.study.bound import optimum
from abm.study.montecarlo import montecarlo
from abm.study.outcomes import MonteCarlo


@pytest.mark.parametrize(
    ("mean", "half", "said"),
    [
        (3.23841, 0.00093, "3.2384 ± 0.0009"),
        (3.23841, 0.0012, "3.2384 ± 0.0012"),
        (724.66, 4.2, "725 ± 4"),
        (724.66, 13.0, "725 ± 13"),
        (724.66, 130.0, "725 ± 130"),
        (0.5, 0.0, "0.50 ± 0.00"),
        (3.2, float("nan"), "3.20 ± -"),
        (float("nan"), float("nan"), "- ± -"),
        (-0.0004, 0.02, "0.00 ± 0.02"),
        (600.0, 9.96, "600 ± 10"),
        (1e9, 1.5e6, "1000000000 ± 1500000"),
    ],
)
def test_a_mean_has_the_digits_that_its_interval_supports(mean, half, said):
    assert plus_minus(mean, half, 2) == said


def test_rounding_is_no_interval():
    assert digits_by(1e-9, 3) == 3
    assert digits_by(4e-6, 3) == 6
    row = {"mean": 0.52, "sd": 0.02, "ci95_low": 0.515, "ci95_high": 0.525}
    kw, digits = scaled_mean("peak_15min_mw", row, small=True)
    assert f"{kw['mean']:.{digits}f} ± {1e3 * 0.005:.{digits}f}" == "520 ± 5"


@pytest.fixture
def table():
    made = new_table(
        "Cost & gain of 50 % {own}_rule",
        ("Quantity", "Strategy"),
        ("net\ncost $", "coinci-\ndence"),
    )
    made.add_row("Cost", r"mine_1|\alpha", "1.50 ± 0.05", "0.9")
    made.add_row("", "evms", "-3.00", "<1", end_section=True)
    made.add_row("Other", "", "", "")
    return made


def test_latex_is_escaped_and_ruled(table):
    text = latex(table)
    assert r"\caption{Cost \& gain of 50 \% \{own\}\_rule}" in text
    assert r"\begin{tabular}{llrr}" in text
    assert r"Quantity & Strategy & net cost \$ & coincidence \\" in text
    assert r"Cost & mine\_1|\textbackslash{}alpha & 1.50 $\pm$ 0.05 & 0.9 \\" in text
    assert r"-3.00 & $<$1 \\" in text
    rules = [line for line in text.splitlines() if line.endswith("rule") and line[0] == "\\"]
    assert rules == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]


def test_fields_and_words_broken_for_the_terminal_are_whole_in_files():
    headers = ("fleet.\nevs_per_zone", "ev.\nvolt_var.\nkva_per_kw", "lowest\np.u.", "net-\nload")
    made = comma_separated(new_table("T", (), headers)).strip()
    assert made == "fleet.evs_per_zone,ev.volt_var.kva_per_kw,lowest p.u.,netload"


def test_markdown_and_csv(table):
    lines = markdown(table).splitlines()
    assert lines[0] == "**Cost & gain of 50 % {own}_rule**"
    assert lines[2:4] == [
        "| Quantity | Strategy | net cost $ | coincidence |",
        "| --- | --- | ---: | ---: |",
    ]
    assert lines[4] == r"| Cost | mine_1\|\\alpha | 1.50 ± 0.05 | 0.9 |"
    rows = list(csv.reader(io.StringIO(comma_separated(table))))
    # Every row says what it is of.
    assert [row[0] for row in rows] == ["Quantity", "Cost", "Cost", "Other"]
    assert rows[1][1] == r"mine_1|\alpha"
    assert rows[3] == ["Other", "", "", ""]


def test_within_the_block_nothing_is_printed(table, capsys):
    with caught() as tables:
        show(table)
        print_lines(["a sentence"])
    assert tables == [table]
    assert capsys.readouterr().out == ""
    show(table)
    assert "Cost & gain" in capsys.readouterr().out


def test_tables_of_a_run_and_of_replications(tmp_path):
    scenario = small_paper(strategy="uncoordinated", clock={"step_s": 900})
    results = run(scenario).results
    assert dict(table_files(results)) == {}
    with printed_as(parse_printing("md,latex,csv")):
        files = dict(table_files(results))
    assert {"tables.md", "tables.tex"} < set(files)
    (name,) = (name for name in files if name.startswith("tables/"))
    assert name == "tables/scenario_uncoordinated_seed_1.csv"
    assert "| System peak of 15 min | " in files["tables.md"]
    with printed_as(parse_printing("md")):
        assert dict(table_files(optimum(scenario)))["tables.md"].startswith("**scenario, bound, ")
    study = MonteCarlo(scenario, montecarlo(scenario, 3, ["uncoordinated", "none"]), {}, 1.0)
    results.save(tmp_path / "run", figures=False, formats="latex")
    assert (tmp_path / "run" / "tables.tex").read_text().count(r"\begin{table}") == 1
    with printed_as(parse_printing("csv")):
        found = dict(table_files(study))
    rows = list(csv.DictReader(io.StringIO(next(iter(found.values())))))
    peak = next(row for row in rows if row["Quantity"].startswith("System peak of 15 min"))
    assert peak["Strategy"] == "uncoordinated"
    low, high = map(float, peak["95 % interval"].split(" .. "))
    half = (high - low) / 2
    # The last digit of the mean is not finer than a tenth of the interval.
    assert 10.0 ** -len(peak["mean"].partition(".")[2]) >= 0.09 * half


def test_what_is_printed_of_a_reconfiguration_is_in_the_files():
    found = abm.reconfigure("paper", set=["fleet.evs_per_zone=0", "clock.step_s=3600"])
    with printed_as(parse_printing("md,csv")):
        files = dict(table_files(found))
    rows = list(csv.DictReader(io.StringIO(files["tables/paper_before_and_after.csv"])))
    loss = next(row for row in rows if row["quantity"] == "Losses (MWh)")
    # In the digits that are printed.
    after = pytest.approx(float(loss["after"]), abs=2e-4)
    assert float(loss["before"]) + float(loss["change"]) == after
    assert float(loss["change"]) < 0.0
    assert len(rows) == len(found.tables["kpis"])
    for name in found.tables["kpis"]["kpi"]:
        assert f"| {kpi_heading(name)} | " in files["tables.md"]


def test_a_verb_without_tables_takes_no_format_of_tables(tmp_path, capsys):
    assert main(["feeder", "show", "case33bw", "--format", "md", "--out", str(tmp_path / "f")]) == 2
    assert "a feeder has no tables to write" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
