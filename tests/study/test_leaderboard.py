"""The leaderboard: a rule of one's own in every world, beside strategies and the bound."""

import numpy as np
import pandas as pd
import pytest

from abm import Scenario, V2GModel
from abm.cli import main
from abm.errors import InputError
from abm.study import leaderboard as study
from abm.study.bound import optimum
from abm.study.leaderboard import Leaderboard, disturbed, leaderboard
from abm.study.replications import replication_seed

RULE = """
class Mine:
    def decide(self, fleet, broadcast, minute):
        return 1 if broadcast.clock_hour < 8 else 0
"""
STEPS = "clock.step_s=300"


class AtNight:
    """Charges with 3 kW after midnight."""

    def decide(self, fleet, broadcast, minute):
        return 3.0 if broadcast.clock_hour < 8 else 0.0


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    # Steps of five minutes: a rule of one's own is asked in each, and the tables are as good.
    small = {
        "one": ("paper_balanced", ("fleet.evs_per_zone=1", STEPS)),
        "other": ("paper_balanced", ("fleet.evs_per_zone=2", "grid.demand_limit_mw=3.1", STEPS)),
    }
    monkeypatch.setattr(study, "FEEDERS", small)


def test_every_world_has_every_strategy_and_the_bound():
    found = leaderboard(AtNight(), ["uncoordinated", "evms"], quick=True)
    assert found.mine == ("AtNight",)
    worlds = found.worlds
    names = ["AtNight", "uncoordinated", "evms", "bound"]
    assert list(worlds["strategy"]) == names * 4
    assert set(worlds["feeder"]) == {"one", "other"}
    bounds = worlds[worlds["strategy"] == "bound"]
    assert (bounds["gap_to_optimum_percent"] == 0.0).all()
    assert (worlds["gap_to_optimum_percent"] > -1e-6).all()
    table = found.table.set_index("strategy")
    assert table.index[0] == "bound"
    mean = worlds.groupby("strategy")["gap_to_optimum_percent"].mean()
    assert table["gap_to_optimum_percent"].sort_index().to_numpy() == pytest.approx(mean.to_numpy())
    assert (table["worst_gap_percent"] >= table["gap_to_optimum_percent"]).all()
    low, high = (table[f"net_cost_usd_per_ev_{end}"] for end in ("low", "high"))
    assert (low < high).all()


def test_numbers_are_those_of_the_runs_alone():
    only = {"feeders": ["other"], "disturbances": ["late"]}
    found = leaderboard({"late": "uncoordinated"}, [], replications=2, **only)
    row = found.worlds.query("feeder == 'other' and disturbance == 'late'").iloc[0]
    base = Scenario.load("paper_balanced", settings=study.FEEDERS["other"][1])
    world = disturbed(base, "late").override(strategy="uncoordinated")
    gaps, costs = [], []
    for k in range(2):
        seed = replication_seed(study.SEED, k)
        kpis = V2GModel(world, seed=seed).run().results.kpis
        least = optimum(world.override(seed=seed)).results.kpis["plugged_peak_15min_mw"]
        gaps.append(100.0 * (kpis["plugged_peak_15min_mw"] / least - 1.0))
        costs.append(kpis["net_cost_usd"] / kpis["evs"])
    assert row["gap_to_optimum_percent"] == pytest.approx(np.mean(gaps))
    assert row["net_cost_usd_per_ev"] == pytest.approx(np.mean(costs))


def test_disturbances_change_what_they_say():
    base = Scenario.load("paper_balanced")
    assert disturbed(base, "none") is base
    assert disturbed(base, "fast").ev.charger_kw == pytest.approx(1.5 * base.ev.charger_kw)
    assert disturbed(base, "load").base_load.scale == 1.1
    assert disturbed(base, "late").owners.late_return.probability == 0.3
    assert disturbed(base, "lost").broadcast.loss_probability == 0.3
    assert disturbed(base, "forecast").forecast.bias == -0.05
    assert set(study.MEANING) == set(study.DISTURBANCES)


def test_a_rule_may_come_with_an_admission_of_its_own():
    entries = study.entries(("eq13", "least_laxity"))
    assert entries == {"eq13": ("eq13", "least_laxity")}
    assert study.entries("my:Mine") == {"Mine": "my:Mine+all_at_once"}
    assert study.entries("my:Mine+first_come") == {"Mine": "my:Mine+first_come"}
    with pytest.raises(InputError, match="called otherwise"):
        study.leaderboard_cases({"evms": AtNight()}, ["evms"])


def test_the_verb_writes_and_shows_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_rules.py").write_text(RULE, encoding="utf-8")
    call = ["leaderboard", "my_rules:Mine", "--quick", "--strategies", "uncoordinated"]
    call += ["--workers", "1", "--out", "here", "--format", "md"]
    assert main(call) == 2
    assert "--trust" in capsys.readouterr().err
    assert not (tmp_path / "here").exists()
    assert main([*call, "--trust"]) == 0
    shown = capsys.readouterr().out
    assert "Mine *" in shown
    assert "half an hour to three hours late" in shown
    assert "| Mine * | " in (tmp_path / "here" / "tables.md").read_text(encoding="utf-8")
    table = pd.read_csv(tmp_path / "here" / "leaderboard.csv")
    assert set(table["strategy"]) == {"Mine", "uncoordinated", "bound"}
    assert len(pd.read_csv(tmp_path / "here" / "worlds.csv")) == 12
    assert main([*call, "--trust", "--resume"]) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_kpis_that_are_asked_for_are_further_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counted.py").write_text(
        "def charged(results):\n    return results.kpis['ev_charged_mwh']\n", encoding="utf-8"
    )
    call = ["leaderboard", "eq13+first_come", "--quick", "--strategies", "uncoordinated"]
    call += ["--workers", "1", "--out", "here", "--set", "kpis.charged=counted:charged", "--trust"]
    assert main([*call, "--kpi", "charged,chargd"]) == 2
    assert "did you mean 'charged'?" in capsys.readouterr().err
    asked = ["--kpi", "charged,ev_charged_mwh,evs_short"]
    assert main([*call, *asked]) == 0
    assert "charged" in capsys.readouterr().out
    table = pd.read_csv("here/leaderboard.csv")
    assert (table["charged"] > 0.0).all()
    for end in ("", "_low", "_high"):
        assert table[f"charged{end}"].to_numpy() == pytest.approx(table[f"ev_charged_mwh{end}"])
    worlds = pd.read_csv("here/worlds.csv")
    mean = worlds.groupby("strategy")["charged"].mean()
    assert table.set_index("strategy")["charged"].sort_index().to_numpy() == pytest.approx(
        mean.to_numpy()
    )
    taken = [word.replace("kpis.charged", "kpis.net_cost_usd_per_ev") for word in call]
    assert main([*taken, "--kpi", "net_cost_usd_per_ev"]) == 2
    assert "a name that no KPI and no column has" in capsys.readouterr().err
    # Of other KPIs it is another study.
    assert main([*call, "--kpi", "charged", "--resume"]) == 2
    assert "kpis" in capsys.readouterr().err


def test_a_strategy_that_fails_in_a_world_has_no_place():
    class Broken:
        def decide(self, fleet, broadcast, minute):
            if fleet.n > 15:
                raise ValueError("too many")
            return 1

    found = leaderboard(Broken(), [], quick=True, disturbances=["none", "load"])
    assert isinstance(found, Leaderboard)
    assert len(found.ensemble.failures) == 4
    table = found.table.set_index("strategy")
    assert np.isnan(table.loc["Broken", "gap_to_optimum_percent"])
    assert table.index[-1] == "Broken"


def test_worlds_that_are_none_are_named():
    with pytest.raises(InputError, match=r"feeders = mars: one of: one, other") as error:
        leaderboard(AtNight(), feeders=["mars"], disturbances=["rain"])
    assert "disturbances = rain" in str(error.value)
