"""Results as objects: figures by kind, the folder that `run` writes, a page for notebooks."""

import json
from pathlib import Path

import pytest
from helpers import run, small_paper

from abm import Scenario
from abm.cli import main
from abm.errors import InputError
from abm.report.card import card, first_words, table_of
from abm.report.figures import png
from abm.results.ownership import check_written
from abm.study.outcomes import BreakEven


@pytest.fixture(scope="module")
def results():
    return run(small_paper(name="mine", strategy="evms")).results


def test_at_a_prompt_it_is_one_line_and_so_are_its_tables(results):
    assert repr(results) == "<Results: mine>"
    study = BreakEven(results.scenario, ["evms"], {})
    assert repr(study) == "<BreakEven: mine>"
    assert repr(study.tables) == "<tables: breakeven>"
    for tables, known in ((study.tables, "breakeven"), (results.tables, "hourly, ev, bus_hour")):
        with pytest.raises(KeyError, match=f"hourley: there are {known}"):
            tables["hourley"]


def test_figures_by_kind(results):
    assert results.kinds == ("demand", "zones", "voltage")
    first = results.plot()
    assert first._repr_png_() == png(results.plot("demand"))
    assert first.axes[0].get_title() == "Demand: mine, evms"
    assert results.plot("voltage").axes[0].get_title() != first.axes[0].get_title()


def test_a_kind_that_it_does_not_have_names_those_it_has(results):
    with pytest.raises(InputError) as caught:
        results.plot("zone")
    assert str(caught.value) == (
        "kind = zone: one of demand, zones, voltage (did you mean 'zones'?)"
    )


def test_save_writes_what_run_writes(results, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(results.scenario.to_yaml(), encoding="utf-8")
    assert main(["run", "mine.yaml", "--out", "of_verb"]) == 0
    capsys.readouterr()
    assert results.save("of_object") == Path("of_object")
    files = {
        name: {p.relative_to(name).as_posix(): p.read_bytes() for p in Path(name).rglob("*.*")}
        for name in ("of_verb", "of_object")
    }
    said = {name: json.loads(found.pop("manifest.json")) for name, found in files.items()}
    assert files["of_verb"] == files["of_object"]
    assert "figures/demand.png" in files["of_object"]
    for manifest in said.values():
        del manifest["wall_s"], manifest["seal"]
    assert said["of_verb"] == said["of_object"]
    assert check_written(Path("of_object")).damaged == []
    with pytest.raises(InputError, match=r"^path = of_object: .*, or force to replace"):
        results.save("of_object")
    results.save("of_object", force=True, figures=False)
    assert not Path("of_object/figures").exists()


def test_a_page_tells_what_it_is(results):
    page = results._repr_html_()
    assert "Results: mine, evms, seed 1" in page
    assert ">fleet.evs_per_zone</td>" in page
    assert page.count("<img ") == 1
    for label, digits in (("Lowest voltage (hourly means)", 4), ("Net cost", 2)):
        name = {"Lowest voltage (hourly means)": "min_vm_pu", "Net cost": "net_cost_usd"}[label]
        assert label in page
        assert f"{results.kpis[name]:.{digits}f}" in page


def test_what_is_in_names_is_shown_and_not_obeyed():
    page = card("<b>", table_of([("<script>alert(1)</script>", 'x" onload="y', "\u202eab")]))
    assert "<script>" not in page
    assert "<b>" not in page
    assert "\\u202e" in page
    assert first_words("Level, P_D^max in eq. (13); MW. More.") == "Level, P_D^max in eq. (13)"


# --- differences -------------------------------------------------------------------------------


def test_the_default_differs_in_nothing():
    assert Scenario(name="other", description="x").differences() == []


def test_differences_have_value_default_and_meaning(tmp_path):
    scenario = Scenario.load("paper_balanced").override(
        {"owners.groups": {"calm": {"share": 0.4}, "bold": {"share": 0.6}}, "ev.volt_var": {}},
        seed=3,
    )
    found = {one.field: one for one in scenario.differences()}
    assert list(found) == [
        "seed", "owners.groups.calm.share", "owners.groups.bold.share", "ev.efficiency",
        "ev.volt_var", "requirement.kind",
    ]  # fmt: skip
    efficiency = found["ev.efficiency"]
    assert (efficiency.value, efficiency.default) == (0.9, 0.98)
    assert (efficiency.value_text, found["ev.volt_var"].default_text) == ("0.9", "")
    assert "eta_c" in efficiency.meaning
    assert found["owners.groups.calm.share"].default is None
    assert [one.field for one in scenario.differences(Scenario.load("paper_balanced"))] == [
        "seed", "owners.groups.calm.share", "owners.groups.bold.share", "ev.volt_var",
    ]  # fmt: skip


def test_differences_do_not_tell_where_files_lie(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("hour,price\n" + "".join(f"{h},0.1\n" for h in range(24)), encoding="utf-8")
    (one,) = Scenario(tariff={"prices": str(path)}).differences()
    assert (one.field, one.value) == ("tariff.prices", "prices.csv")
