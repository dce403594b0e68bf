"""Batteries and chargers drawn from models of EVs in the place of eq. (4)."""

import numpy as np
import pytest
from helpers import run, small_paper

from abm import Scenario
from abm.errors import InputError
from abm.scenario.names import shipped_ev_models

HEAD = "model,usable_kwh,ac_max_kw,weight\n"


def fleet_of(tmp_path, text, **fields):
    path = tmp_path / "models.csv"
    path.write_text(text)
    fleet = {"evs_per_zone": 40, "ev_models": str(path)}
    return Scenario(**{"fleet": fleet, "ev": {"charger_kw": 7.4, "discharger_kw": 5.0}} | fields)


def drawn(scenario):
    from abm.fleet import Population

    return Population(scenario, 15, [1]).stays()


def test_battery_and_charger_are_those_of_one_model(tmp_path):
    text = HEAD + "small,20,3.7,1\nlarge,80,22,3\nnone,50,11,0\n"
    stays = drawn(fleet_of(tmp_path, text))
    assert set(stays.capacity_kwh) == {20.0, 80.0}
    small = stays.capacity_kwh == 20.0
    assert small.mean() == pytest.approx(0.25, abs=0.05)
    assert (stays.p_max_kw == np.where(small, 3.7, 7.4)).all()
    assert (stays.p_discharge_kw == np.where(small, 3.7, 5.0)).all()
    again = drawn(fleet_of(tmp_path, text, seed=2))
    assert (again.capacity_kwh == stays.capacity_kwh).all()  # seeds are the population's own


def test_the_shipped_models_run():
    assert "open_ev_data" in shipped_ev_models()
    scenario = small_paper(fleet={"evs_per_zone": 2, "ev_models": "open_ev_data"})
    table = scenario.inputs.ev_models
    assert len(table.names) == 197
    assert 3.0 <= table.capacity_kwh.min() <= table.capacity_kwh.max() <= 200.0
    model = run(scenario)
    assert set(model.fleet.capacity_kwh) <= set(table.capacity_kwh)
    assert (model.fleet.p_max_kw <= 5.4).all()
    assert scenario == Scenario(**scenario.resolved())


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (HEAD + "a,20,3.7,0\n", "weight"),
        (HEAD + "a,20,3.7,1\na,30,3.7,1\n", "model"),
        (HEAD + "a,0,3.7,1\n", "usable_kwh"),
        (HEAD + "a,20,,1\n", "ac_max_kw"),
        ("model,usable_kwh\na,20\n", "ac_max_kw"),
        ("model;usable_kwh;ac_max_kw\na;20;3,7\n", "columns"),
    ],
)
def test_a_table_that_cannot_be_meant(tmp_path, text, field):
    with pytest.raises(InputError) as caught:
        fleet_of(tmp_path, text)
    assert caught.value.problems[0].field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"fleet": {"ev_models": "open_ev_dat"}}, "fleet.ev_models"),
        (
            {
                "fleet": {"ev_models": "open_ev_data", "stays": {}},
                "requirement": {"kind": "energy_balanced"},
            },
            "fleet.ev_models",
        ),
        (
            {
                "fleet": {"ev_models": "open_ev_data"},
                "owners": {"groups": {"a": {"share": 1.0, "capacity": {"low": 4}}}},
            },
            "owners.groups.a.capacity",
        ),
    ],
)
def test_what_does_not_go_with_models(fields, field):
    with pytest.raises(InputError) as caught:
        Scenario(**fields)
    assert [problem.field for problem in caught.value.problems] == [field]
