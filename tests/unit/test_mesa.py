"""Mesa's batch runner and data collector work on our models as its documentation shows."""

import inspect
import math
import subprocess
import sys

import mesa
import numpy as np
import pytest
from helpers import small_paper

from abm import EV, ResidentialParkingZone, Scenario, V2GModel
from abm.errors import InputError

HOURLY = {"step_s": 3600}
QUIET = {"display_progress": False, "number_processes": 1}
NEWER = "rng" in inspect.signature(mesa.batch_run).parameters


class Collecting(V2GModel):
    """As in Mesa's tutorial: a collector, asked after each step."""

    def __init__(self, scenario="paper", seed=None, **fields):
        super().__init__(scenario, seed, **fields)
        self.datacollector = mesa.DataCollector(
            model_reporters={
                "minute": "minute",
                "mean_soc": lambda m: m.agents_by_type[EV].agg("soc", np.mean),
            },
            agenttype_reporters={EV: {"soc": "soc"}, ResidentialParkingZone: {"p_kw": "p_kw"}},
        )

    def step(self):
        super().step()
        self.datacollector.collect(self)


def test_a_batch_of_models_has_their_kpis():
    given = {"scenario": "paper", "evs_per_zone": [1, 2], "seed": [3, 4], **HOURLY}
    if NEWER:
        del given["seed"]
        rows = mesa.batch_run(V2GModel, given, rng=[3, 4], max_steps=24, **QUIET)
    else:
        rows = mesa.batch_run(V2GModel, given, max_steps=24, **QUIET)
    assert len(rows) == 4
    for row in rows:
        fleet = {"evs_per_zone": row["evs_per_zone"]}
        alone = V2GModel(Scenario(clock=HOURLY, fleet=fleet), seed=row["seed"]).run()
        assert {name: row[name] for name in alone.results.kpis} == alone.results.kpis


def test_a_batch_that_stops_before_the_end_has_the_kpis_so_far():
    given = {"scenario": [small_paper(clock=HOURLY)]}
    (row,) = mesa.batch_run(V2GModel, given, max_steps=12, **QUIET)
    model = V2GModel(small_paper(clock=HOURLY))
    model._advance(12 if NEWER else 13)
    assert row["ev_charged_mwh"] == model.kpis_so_far()["ev_charged_mwh"] > 0.0


def test_many_steps_at_once_count_as_steps():
    at_once, stepped = (V2GModel(small_paper(clock=HOURLY)) for _ in range(2))
    at_once.advance(5)
    for _ in range(5):
        stepped.step()
    times = [(model.steps, getattr(model, "time", 5.0)) for model in (at_once, stepped)]
    assert times == [(5, 5.0), (5, 5.0)]


def test_a_scenario_is_one_value_of_a_batch():
    rows = mesa.batch_run(V2GModel, {"scenario": small_paper(clock=HOURLY)}, max_steps=24, **QUIET)
    assert len(rows) == 1
    assert rows[0]["evs"] == 30


def test_collectors_of_one_s_own():
    model = Collecting(small_paper(clock=HOURLY))
    model.run_model()
    assert model.steps == 24
    found = model.datacollector
    means = found.get_model_vars_dataframe()
    assert list(means["minute"]) == list(range(60, 1441, 60))
    assert means["mean_soc"].notna().all()
    assert len(found.get_agenttype_vars_dataframe(EV)) == 24 * 30
    assert len(found.get_agenttype_vars_dataframe(ResidentialParkingZone)) == 24 * 15
    rows = mesa.batch_run(
        Collecting, {"scenario": "paper", "evs_per_zone": 1, **HOURLY}, max_steps=24, **QUIET
    )
    assert {"minute", "mean_soc"} <= set(rows[0])


def test_an_ev_that_is_still_to_come_has_the_soc_it_comes_with():
    model = V2GModel(small_paper(clock=HOURLY))
    assert np.isnan(model.fleet.soc).all()
    assert all(ev.soc == ev.soc_arrival for ev in model.evs)
    assert "arrives with" in str(model.evs[0])
    model.run()
    assert model.evs[0].soc == model.fleet.soc[model.evs[0].row]


def test_fields_by_their_last_name_or_the_whole_one():
    model = V2GModel(evs_per_zone=2, strategy="evms", days=2, **{"ev.efficiency": 0.9}, **HOURLY)
    assert model.scenario == Scenario(
        fleet={"evs_per_zone": 2},
        ev={"efficiency": 0.9},
        clock=HOURLY,
        horizon={"days": 2},
        name="paper",
        description=model.scenario.description,
    )
    assert (
        V2GModel("paper", evs_per_zone=1, rng=7).seeds == V2GModel("paper", 7, evs_per_zone=1).seeds
    )
    assert (
        V2GModel(
            "paper", evs_per_zone=1, grid={"demand_limit_mw": 3.0}
        ).scenario.grid.demand_limit_mw
        == 3.0
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"evs_per_zon": 2}, r"evs_per_zon: unknown field \(did you mean 'evs_per_zone'\?\)"),
        ({"ruel": None}, r"ruel: unknown field \(did you mean 'rule'\?\)"),
        ({"efficiency": 0.9}, r"efficiency: one of these fields.*: ev.efficiency, storage.eff"),
        ({"evs_per_zone": -1}, r"fleet.evs_per_zone = -1: "),
        ({"seed": 1, "rng": 1}, r"rng = 1: left out where there is a seed"),
        ({"rng": np.random.default_rng(1)}, r"rng = Generator.*: a whole number, the seed"),
    ],
)
def test_what_is_no_field(given, said):
    with pytest.raises(InputError, match=said):
        V2GModel("paper", **given)


def test_mesa_knows_the_classes_of_agents_before_anybody_has_asked():
    model = V2GModel(small_paper(clock=HOURLY))
    assert {EV, ResidentialParkingZone} < set(model.agent_types)
    assert not math.isnan(model.agents_by_type[EV].agg("soc", np.mean))


@pytest.mark.parametrize("imported", ["abm.model", "abm.api"])
def test_a_notebook_without_widgets_is_not_told_so(imported):
    code = f"""
import sys, types
sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel.zmqshell")
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=object)
sys.modules["ipywidgets"] = None
import {imported}
assert "mesa" in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
