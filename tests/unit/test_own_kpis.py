"""KPIs of the user's own: functions of the results, in every table."""

import json

import numpy as np
import pytest
from helpers import small_paper

from abm import Kpi, Scenario, V2GModel
from abm.cli import main
from abm.errors import InputError, PluginError
from abm.results import indicators
from abm.study.compare import compare, comparison_kpis, comparison_table
from abm.study.ensemble import summary_dict
from abm.study.montecarlo import montecarlo
from abm.study.statistics import kpi_problems, parse_until

QUICK = {"clock": {"step_s": 900}, "requirement": {"kind": "energy_balanced"}}
MODULE = """
from abm import Kpi
def per_ev(results):
    return results.kpis["net_cost_usd"] / results.kpis["evs"]
def needs_two(results, more): ...
late = Kpi(lambda results: int((results.ev["departure_min"] > 1000).sum()), unit="EVs", count=True)
number = 3
"""


def quick(**fields) -> Scenario:
    return small_paper(**{**QUICK, **fields})


def per_ev(results):
    assert "per_ev" not in results.kpis
    return results.kpis["net_cost_usd"] / results.kpis["evs"]


def short(results):
    return int(results.ev["short"].sum())


def kpis_of(scenario, seed=None, **given):
    return V2GModel(scenario, seed=seed, kpis=given).run().results


def test_it_is_among_the_kpis_of_a_run_and_the_columns_of_the_feeders():
    results = kpis_of(quick(), per_ev=per_ev)
    shipped = V2GModel(quick()).run().results.kpis
    assert results.kpis == {**shipped, "per_ev": shipped["net_cost_usd"] / shipped["evs"]}
    assert list(results.kpi_columns)[-1] == "per_ev"


def test_what_a_function_does_to_its_results_changes_nothing():
    def spoils(results):
        results.ev["short"] = True
        results.ev.drop(results.ev.index, inplace=True)
        return len(results.ev)

    results = kpis_of(quick(), spoils=spoils)
    assert results.kpis["spoils"] == 0.0
    assert len(results.ev) == 30
    assert not results.ev["short"].all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2, 2.0), (np.float32(0.5), 0.5), (np.array(3), 3.0), (True, 1.0), (None, None),
     (float("nan"), None), (float("inf"), None)],
)  # fmt: skip
def test_what_counts_as_a_number(value, expected):
    assert kpis_of(quick(), mine=lambda results: value).kpis["mine"] == expected


@pytest.mark.parametrize("value", ["7", 1j, [1.0], np.zeros(1), {}])
def test_what_does_not(value):
    with pytest.raises(InputError, match=r"kpis\.mine = .*, returned by test_own_kpis:.*: a numb"):
        _ = kpis_of(quick(), mine=lambda results: value).kpis


def test_one_that_raises_is_named():
    with pytest.raises(
        PluginError, match=r"kpis\.mine = test_own_kpis:.*raised KeyError: 'nothing'"
    ):
        _ = kpis_of(quick(), mine=lambda results: results.kpis["nothing"]).kpis


@pytest.mark.parametrize("name", ["net_cost_usd", "peak", "strategy", "seed"])
def test_a_name_that_is_taken_is_refused_before_the_run(name):
    with pytest.raises(InputError, match=f"kpis = {name}: a name that no KPI and no column has"):
        V2GModel(quick(), kpis={name: per_ev})


def test_copies_of_the_feeder_have_the_mean_and_what_counts_the_sum():
    scenario = quick()
    given = {"per_ev": per_ev, "late": Kpi(short, count=True)}
    together = kpis_of(scenario, seed=[1, 2], **given)
    alone = [kpis_of(scenario, seed=k, **given).kpis for k in (1, 2)]
    for name in given:
        assert together.kpi_columns[name].tolist() == [one[name] for one in alone]
        assert together.feeders[name].tolist() == [one[name] for one in alone]
    assert together.kpis["per_ev"] == pytest.approx((alone[0]["per_ev"] + alone[1]["per_ev"]) / 2)
    assert together.kpis["late"] == alone[0]["late"] + alone[1]["late"]
    nowhere = kpis_of(scenario, seed=[1, 2], some=lambda r: 1.0 if r.record.seeds[0] == 1 else None)
    assert nowhere.kpis["some"] is None


def test_in_a_comparison_it_is_a_column():
    runs = compare(quick().with_objects(kpis={"per_ev": per_ev}), ["uncoordinated", "evms"])
    table = comparison_table(runs).set_index("strategy")
    for name, run in runs.items():
        assert table.loc[name, "per_ev"] == run.results.kpis["per_ev"]
    assert comparison_kpis(runs)["evms"]["per_ev"] == table.loc["evms", "per_ev"]


def test_in_an_ensemble_it_has_means_intervals_and_differences_and_stops_it():
    scenario = quick().with_objects(kpis={"per_ev": per_ev, "late": Kpi(short, count=True)})
    until = parse_until("per_ev:40%", 3, scenario)
    found = montecarlo(scenario, 20, ["uncoordinated", "evms"], until=until)
    summary = summary_dict(found)["strategies"]
    costs = found.values("net_cost_usd") / 30.0
    assert np.allclose(found.values("per_ev"), costs)
    assert summary["evms"]["per_ev"]["mean"] == pytest.approx(costs[1].mean())
    # Of a count, never below 0; nobody leaves short here.
    assert summary["uncoordinated"]["late"]["ci95_low"] >= 0.0
    assert (
        summary["uncoordinated"]["late"]["mean"]
        == 0.0
        < summary["uncoordinated"]["late"]["ci95_high"]
    )
    differences = found.differences.set_index("kpi")
    assert differences.loc["per_ev", "mean"] == pytest.approx((costs[1] - costs[0]).mean())
    assert found.stopped is not None
    assert parse_until("late:5%", scenario=scenario).count
    assert kpi_problems(["per_ev"], "--kpi", scenario) == []
    assert "per_ev" in str(kpi_problems(["per_ew"], "--kpi", scenario)[0])


def test_words_of_it():
    kpis_of(quick(), per_ev=Kpi(per_ev, unit="$", digits=1), other=Kpi(per_ev, label="Cost ($)"))
    assert indicators.kpi_label("per_ev") == "per_ev ($)"
    assert indicators.kpi_label("other") == "Cost ($)"
    assert indicators.mean_digits("per_ev") == 1


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A scenario that names KPIs, and its module beside it."""
    monkeypatch.setenv("EVENFALL_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "my_kpis.py").write_text(MODULE)
    text = "fleet: {evs_per_zone: 1}\nclock: {step_s: 3600}\nstrategy: evms\n"
    path = tmp_path / "mine.yaml"
    path.write_text(text + "kpis: {per_ev: 'my_kpis:per_ev', late: 'my_kpis:late'}\n")
    return path


def test_a_scenario_names_them_as_it_names_other_code(named):
    with pytest.raises(InputError, match=r"mine.yaml:4: kpis.per_ev = my_kpis:per_ev: code"):
        V2GModel(Scenario.load(named))
    scenario = Scenario.load(named, trust=True)
    kpis = V2GModel(scenario).run().results.kpis
    assert kpis["per_ev"] == kpis["net_cost_usd"] / kpis["evs"]
    assert isinstance(kpis["late"], float)
    again = Scenario.load(_written(named.parent / "elsewhere", scenario.to_yaml()), trust=True)
    assert again == scenario
    assert V2GModel(again).run().results.kpis == kpis
    assert montecarlo(scenario, 2, workers=2).values("per_ev")[0, 0] > 0.0
    assert not scenario.override(kpis={}).code


def _written(folder, text):
    folder.mkdir()
    (folder / "again.yaml").write_text(text)
    return folder / "again.yaml"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("kpis.x=my_kpis:nothing", "kpis.x = my_kpis:nothing: a function in my_kpis, which has no"),
        ("kpis.x=my_kpis:needs_two", "kpis.x = my_kpis:needs_two: a function of the results"),
        ("kpis.x=my_kpis:number", "kpis.x = my_kpis:number: a function of the results"),
        ("kpis.x=my_kpis", 'kpis.x = "my_kpis": a function, or an abm.Kpi, as module:function'),
        ("kpis.Rule=my_kpis:per_ev", "kpis.Rule"),
        ("kpis.net_cost_usd=my_kpis:per_ev", "kpis = net_cost_usd: a name that no KPI"),
    ],
)
def test_what_a_scenario_cannot_name(named, field, said):
    with pytest.raises(InputError) as caught:
        V2GModel(Scenario.load(named, settings=[field], trust=True))
    assert said in str(caught.value)


def test_verbs_take_them(named, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["validate", str(named)]) == 0
    assert (
        "kpis.per_ev = my_kpis:per_ev is code; it was read and not run" in capsys.readouterr().err
    )
    common = [str(named), "--trust", "--out"]
    assert main(["run", *common, str(out), "--no-figures"]) == 0
    assert "per_ev" in capsys.readouterr().out
    assert json.loads((out / "kpis.json").read_text())["per_ev"] > 0.0
    more = ["--replications", "2", "--vary", "fleet.evs_per_zone=1,2", "--kpi", "per_ev,late"]
    assert main(["sweep", *common, str(tmp_path / "sweep"), *more]) == 0
    shown = capsys.readouterr().out
    assert "per_ev" in shown
    assert "late" in shown
    assert "per_ev" in (tmp_path / "sweep" / "summary.csv").read_text()
