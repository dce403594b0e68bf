"""A fleet drawn as measured stays are: energy, engines, days, and how the three go together."""

import numpy as np
import pytest
from helpers import COMPILED, run, small_paper
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engines import assert_same, with_engine

from abm import Scenario, V2GModel
from abm.errors import InputError
from abm.fleet.measured import measured_stays

KWH = 1e-6
DAY = {
    "sessions_per_day": 0.8,
    "arrival_h": {"low": 0, "high": 24, "shape": "mixture", "parts": [[2, 18, 2], [1, 8, 1]]},
    "duration_h": {"low": 0.1, "high": 60, "shape": "lognormal", "mean": 12, "sd": 9},
    "energy_kwh": {"low": 0.1, "high": 60, "shape": "beta", "mean": 12, "sd": 8},
}
LAZY = DAY | {"sessions_per_day": 0.3, "duration_h": {"low": 1, "high": 90, "shape": "uniform"}}


def measured(strategy="uncoordinated", days=2, start="12:00", **fields):
    return small_paper(
        **{
            "strategy": strategy,
            "fleet": {"evs_per_zone": 2, "stays": {"weekday": DAY, "weekend": LAZY}},
            "requirement": {"kind": "energy_balanced"},
            "horizon": {"days": days, "first_day": "friday"},
            "clock": {"start": start},
            **fields,
        }
    )


# An optimiser takes its time; what it does with energies is in test_energy_physics.py.
@pytest.mark.parametrize("strategy", COMPILED)
@given(seed=st.integers(0, 1000), start=st.sampled_from(["0:00", "12:00"]))
@settings(max_examples=3)
def test_energy_is_conserved(strategy, seed, start):
    results = run(measured(strategy, start=start, seed=seed)).results
    stays = results.stays
    balance = stays["charged_kwh"] + stays["shortfall_kwh"] - stays["energy_kwh"]
    ended = stays["departure_min"] <= 2 * 1440
    assert (np.abs(balance[ended]) < KWH).all()
    assert (stays["charged_kwh"][~stays["plugged_in"]] == 0.0).all()
    assert (stays["discharged_kwh"] == 0.0).all()
    kpis, by_ev = results.kpis, results.ev
    assert (kpis["evs"], len(by_ev)) == (30, 30)
    assert by_ev["ev_id"].to_list() == [str(i + 1) for i in range(30)]
    assert kpis["stays"] == stays["plugged_in"].sum() == by_ev["stays"].sum()
    assert kpis["energy_balance_error_kwh"] < KWH


@pytest.mark.parametrize("strategy", COMPILED)
@given(seed=st.integers(0, 1000))
@settings(max_examples=3)
def test_both_engines_leave_the_same_bytes(strategy, seed):
    base = measured(strategy, seed=seed)
    assert_same(with_engine(base, "numpy").run(), with_engine(base, "compiled").run())


def test_nobody_comes_who_is_plugged_in_and_nobody_asks_for_too_much():
    stays = measured_stays(measured(days=5, ev={"charger_kw": 3.7}), [1])
    times = [a.reshape(30, -1) for a in (stays.arrival_min, stays.departure_min, stays.plugs_in)]
    for arrival, departure, plugs in zip(*times, strict=True):
        order = np.flatnonzero(plugs)
        assert (arrival[order][1:] >= departure[order][:-1]).all()
    asked = stays.capacity_kwh / stays.efficiency
    hours = (stays.departure_min - stays.arrival_min) / 60
    assert (asked <= 3.7 * hours + 1e-9).all()
    assert not stays.v2g.any()


def test_a_date_is_the_same_whatever_the_number_of_days():
    few, many = (measured_stays(measured(days=days), [3]) for days in (2, 6))
    for name in ("arrival_min", "departure_min", "capacity_kwh"):
        one, other = (getattr(s, name).reshape(30, -1) for s in (few, many))
        assert (one[:, :3] == other[:, :3]).all()
    two = measured_stays(measured(days=2), [3, 4])
    assert (two.arrival_min[: len(few)] == few.arrival_min).all()


def test_weekends_have_their_own_habits():
    """Friday noon to Tuesday noon: dates 1 and 2 are Saturday and Sunday."""
    spec = measured(days=4, fleet={"evs_per_zone": 40, "stays": {"weekday": DAY, "weekend": LAZY}})
    stays = measured_stays(spec, [1])
    come = stays.plugs_in.reshape(600, -1).mean(axis=0)
    assert come[1:3].max() < 0.35
    # Who has not left from the day before does not come.
    assert come[3] > 0.5


COPULA = """day,arrival,duration,energy,probability
weekday,1,2,1,0.5
weekday,2,1,2,0.5
"""


def test_an_empirical_copula_keeps_the_three_together(tmp_path):
    path = tmp_path / "copula.csv"
    path.write_text(COPULA)
    fleet = {"evs_per_zone": 40, "stays": {"weekday": DAY, "dependence": str(path)}}
    scenario = measured(days=1, start="0:00", fleet=fleet, ev={"charger_kw": 1e4})
    stays = measured_stays(scenario, [1])
    late = stays.arrival_min > np.median(stays.arrival_min)
    long = (stays.departure_min - stays.arrival_min) > 1
    lasts = stays.departure_min - stays.arrival_min
    long = lasts > np.median(lasts)
    much = stays.capacity_kwh > np.median(stays.capacity_kwh)
    assert (late == ~long).mean() > 0.95
    assert (late == much).mean() > 0.95
    assert scenario == Scenario.load(_saved(scenario, tmp_path))


def _saved(scenario, folder):
    path = folder / "again.yaml"
    path.write_text(scenario.to_yaml())
    return path


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("weekday,1,1,1,1\nweekday,2,1,1,1\n", "duration"),
        ("weekend,1,1,1,1\n", "day"),
        ("sunday,1,1,1,1\n", "day"),
        ("weekday,1,1,1,0\n", "probability"),
        ("weekday,0,1,1,1\n", "arrival"),
    ],
)
def test_a_table_of_dependence_that_cannot_be_meant(tmp_path, text, field):
    path = tmp_path / "copula.csv"
    path.write_text("day,arrival,duration,energy,probability\n" + text)
    with pytest.raises(InputError) as caught:
        measured(fleet={"stays": {"dependence": str(path)}})
    assert field in [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"requirement": {"kind": "as_printed"}}, "requirement.kind"),
        ({"owners": {"groups": {"a": {"share": 1.0}}}}, "owners.groups"),
        ({"owners": {"learning": {"graph": "alone"}}}, "owners.learning.graph"),
        (
            {"fleet": {"stays": {"weekday": {"arrival_h": {"low": 0, "high": 30}}}}},
            "fleet.stays.weekday.arrival_h.high",
        ),
    ],
)
def test_what_does_not_go_with_measured_stays(fields, field):
    with pytest.raises(InputError) as caught:
        measured(**fields)
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize("strategy", ["coordinated", "mpc"])
def test_the_belief_comes_from_the_same_stays(strategy):
    """Of the fleet itself, or of a belief of its own beside a fleet that is drawn by SoC."""
    for fields in (
        {},
        {"fleet": {"evs_per_zone": 2}, "belief": {"stays": {"weekday": DAY}}},
    ):
        model = V2GModel(measured(strategy, days=2, **fields))
        coming = model.grid.outlook.arrivals
        assert set(coming.day.tolist()) == {0, 1}
        assert (coming.give_kwh == 0.0).all()
        assert coming.need_kwh.mean() == pytest.approx(11.5, abs=2.0)
        expected = coming.weight * (coming.day == 0).sum()
        assert expected == pytest.approx(30 * 0.75, rel=0.25)
