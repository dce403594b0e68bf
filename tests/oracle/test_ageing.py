"""Rainflow counting against ASTM E1049 and its library, wear against numbers worked out by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest
import rainflow
from helpers import ev, run, scenario, small_paper, stepped
from hypothesis import assume, given
from hypothesis import strategies as st

from abm import V2GModel
from abm.equations import ageing
from abm.errors import InputError
from abm.fleet.cycles import BINS, Cycles

ROW = np.array([0])


def counted(points, stress=lambda depth, soc: depth**2.3 * np.exp(soc), levels=64):
    cycles = Cycles(1, stress, levels)
    for soc, to in pairwise(points):
        cycles.go(ROW, np.array([soc]), np.array([to]))
    return cycles


def sums(cycles):
    return [float(of[0]) for of in (cycles.number, cycles.depth, cycles.stress)]


def of_library(points):
    found = [(depth, mean, n) for depth, mean, n, _, _ in rainflow.extract_cycles(points)]
    return [
        sum(n for _, _, n in found),
        sum(n * depth for depth, _, n in found),
        sum(n * depth**2.3 * math.exp(mean) for depth, mean, n in found),
    ]


def test_the_example_of_the_standard():
    """ASTM E1049-85, fig. 6: half a 3, one and a half 4, half a 6, an 8, half a 9."""
    points = np.array([-2, 1, -3, 5, -1, 3, -4, 4, -2]) / 10.0
    ended = counted(points).ended(ROW, points[-1:])
    by_tenth = dict(zip(range(BINS), ended.by_depth[0].tolist(), strict=True))
    assert {tenth: n for tenth, n in by_tenth.items() if n} == {
        3: 0.5,
        4: 1.5,
        6: 0.5,
        8: 1,
        9: 0.5,
    }
    assert ended.number[0] == 4.0
    assert ended.depth[0] == pytest.approx((1.5 + 6 + 3 + 8 + 4.5) / 10.0)


histories = st.lists(st.integers(0, 9), min_size=3, max_size=40).map(lambda x: np.array(x) / 9.0)
odd_histories = st.lists(st.floats(0.0, 1.0), min_size=3, max_size=40).map(np.array)


@given(points=histories | odd_histories)
def test_counting_as_the_library_does(points):
    assert sums(counted(points).ended(ROW, points[-1:])) == pytest.approx(of_library(points))


@given(points=histories | odd_histories)
def test_a_history_that_comes_again_has_whole_cycles_from_its_highest_point(points):
    assume(np.ptp(points) > 0.0)
    highest = int(np.argmax(points))
    turned = np.append(np.roll(points, -highest), points[highest])
    assert sums(counted(points).repeated(ROW, points[-1:])) == pytest.approx(of_library(turned))


def test_where_ever_smaller_ranges_stay_open_the_oldest_counts_half():
    points = 0.5 + np.array([(-0.9) ** i / 2.0 for i in range(12)])
    few, many = (counted(points, levels=n).ended(ROW, points[-1:]) for n in (6, 64))
    assert sums(few) == pytest.approx(sums(many))


@pytest.mark.parametrize("strategy", ["evms", "coordinated"])
def test_a_run_counts_as_the_library_does_minute_by_minute(strategy):
    """Three days with trips between them; the SoC of every EV after every minute."""
    base = small_paper(
        strategy=strategy,
        horizon={"days": 3},
        ageing={"model": "woehler", "woehler_exponent": 2.3},
        requirement={"kind": "energy_balanced"},
        owners={"plug_in": {"habit": "below_soc"}},
    )
    model = V2GModel(base)
    socs, minutes = [[] for _ in model.evs], [[] for _ in model.evs]
    before = model.fleet.plugged.copy()
    for _ in stepped(model):
        fleet = model.fleet
        for row in np.flatnonzero(fleet.plugged | before):
            if fleet.plugged[row] and not before[row]:
                socs[row].append(fleet.soc_arrival[row])
                minutes[row].append(fleet.arrival_min[row])
            socs[row].append(fleet.soc[row])
            gone = not fleet.plugged[row]
            minutes[row].append(min(fleet.departure_min[row] if gone else np.inf, model.minute))
        before = fleet.plugged.copy()
    record = model.record
    stress = 2.3, 0.8, 3000.0
    for row, points in enumerate(socs):
        points = np.append(points, points[0])
        highest = int(np.argmax(points))
        turned = np.concatenate([points[highest:], points[1 : highest + 1]])
        found = [(depth, n) for depth, _, n, _, _ in rainflow.extract_cycles(turned)]
        assert record.ev["cycles"][row] == pytest.approx(sum(n for _, n in found))
        assert record.ev["cycle_depth"][row] == pytest.approx(sum(n * d for d, n in found))
        damage = sum(n * (d / stress[1]) ** stress[0] / stress[2] for d, n in found)
        assert record.ev["cycle_stress"][row] == pytest.approx(damage)
        times = np.append(minutes[row], minutes[row][0] + 3 * 1440.0)
        area = (np.diff(times) * (points[1:] + points[:-1]) / 2.0).sum()
        assert record.ageing.use.mean_soc[row] == pytest.approx(area / 4320.0, abs=1e-6)
    assert record.ev["cycles"].sum() > 30.0


def test_charging_at_once_wears_as_the_reference_says():
    base = small_paper(strategy="uncoordinated", ageing={"model": "schmalstieg_2014"})
    found = run(base).results
    assert found.kpis["ageing_usd"] > 0.0
    assert found.record.ageing.usd == pytest.approx(found.record.ageing.reference_usd, rel=1e-4)
    assert found.kpis["ageing_more_usd"] == pytest.approx(0.0, abs=1e-3)


def test_one_ev_by_hand(tmp_path):
    """From 0.8 down to 0.2 and up to 0.8 again: 24 kWh each way of 40."""
    row = ev(soc=0.8, target=0.8, capacity=40.0, arrival=480, departure=1439)
    base = scenario(
        row,
        folder=tmp_path,
        strategy="evms_immediate",
        requirement={"kind": "energy_balanced"},
        grid={"demand_limit_mw": 0.001},
        eq13={"v2g_when": "always"},
        ageing={"model": "woehler", "pack_usd_per_kwh": 100.0, "woehler_exponent": 2.0},
    )
    found = run(base).results
    # Half of a cycle is the deepest there is, and so is its way back.
    assert found.ev.loc[0, "rainflow_cycles"] == pytest.approx(1.0)
    assert found.ev.loc[0, "cycles_60_70"] == 1.0
    assert found.ev.loc[0, "full_cycles"] == pytest.approx(0.6)
    damage = (0.6 / 0.8) ** 2 / 3000.0
    assert found.ev.loc[0, "ageing_usd"] == pytest.approx(40.0 * 100.0 * damage)
    assert found.ev.loc[0, "capacity_loss_percent_per_year"] == pytest.approx(
        100 * 0.2 * damage * 365
    )
    # Who charges at once moves nothing at all.
    assert found.ev.loc[0, "ageing_more_usd"] == found.ev.loc[0, "ageing_usd"]
    zones = found.zones.iloc[0]
    assert zones["benefit_net_usd"] == pytest.approx(
        zones["benefit_usd"] - zones["ageing_more_usd"]
    )
    by_energy = run(base.override({"ageing.model": "throughput"})).results.kpis
    assert by_energy["ageing_usd"] == pytest.approx(0.6 / (3000.0 * 0.8) * 40.0 * 100.0)
    assert by_energy["cycle_depth_mean"] is None


def test_the_cell_of_schmalstieg_by_hand():
    # V(0.5) = 3.3324 + 0.41315; exp(-6976 / 298.15) = 6.8925e-11.
    assert ageing.cell_voltage(0.5) == pytest.approx(3.74555)
    assert ageing.schmalstieg_calendar(0.5, 298.15) == pytest.approx(3.10e-4, rel=2e-3)
    alpha = (7.543 * 3.74555 - 23.75) * 1e6 * math.exp(-6976.0 / 298.15)
    assert ageing.schmalstieg_calendar(0.5, 298.15) == pytest.approx(alpha)
    # A quadratic mean over so small a cycle is its middle.
    beta = 7.348e-3 * (3.74555 - 3.667) ** 2 + 7.6e-4
    assert ageing.schmalstieg_cycle(1e-9, 0.5) == pytest.approx(beta)
    volts = 3.3324 + 0.8263 * np.linspace(0.1, 0.9, 100_001)
    deep = 7.348e-3 * (np.sqrt((volts**2).mean()) - 3.667) ** 2 + 7.6e-4 + 4.081e-3 * 0.8
    assert ageing.schmalstieg_cycle(0.8, 0.5) == pytest.approx(deep, rel=1e-6)
    # A year at rest, and 100 full cycles of 2 x 2.05 Ah.
    assert ageing.schmalstieg_loss(alpha, 0.0, 365.0, 0.0) == pytest.approx(
        alpha * 83.505, rel=1e-4
    )
    assert ageing.cell_charge(100.0) == pytest.approx(410.0)
    assert ageing.schmalstieg_loss(0.0, deep, 0.0, 410.0) == pytest.approx(deep * math.sqrt(410.0))


def test_the_cell_of_xu_by_hand():
    assert ageing.xu_state_stress(0.5, 298.15) == 1.0
    assert ageing.xu_state_stress(1.0, 298.15) == pytest.approx(math.exp(0.52))
    assert ageing.xu_state_stress(0.5, 308.15) == pytest.approx(math.exp(0.693 * 298.15 / 308.15))
    # 1 / (1.4e5 x 0.8^-0.501 - 1.23e5)
    assert ageing.xu_cycle(0.8, 0.5, 298.15) == pytest.approx(1.0 / 33_561.0, rel=1e-3)
    assert ageing.xu_calendar(365.0, 0.5, 298.15) == pytest.approx(4.14e-10 * 365 * 86400)
    assert ageing.xu_loss(0.0) == 0.0
    assert ageing.xu_loss(0.01) == pytest.approx(
        1 - 0.0575 * math.exp(-1.21) - 0.9425 * math.exp(-0.01)
    )


@pytest.mark.parametrize("model", ["throughput", "woehler", "schmalstieg_2014", "xu_2018"])
def test_an_ev_that_never_comes_loses_nothing(model):
    base = small_paper(
        strategy="evms", ageing={"model": model}, owners={"plug_in": {"habit": "probability"}}
    )
    found = run(base.override({"owners.plug_in.probability": 0.3})).results.ev
    away = found["stays"] == 0
    assert away.any()
    assert (found.loc[away, ["ageing_usd", "capacity_loss_percent_per_year"]] == 0.0).all(axis=None)
    assert (found.loc[~away, "ageing_usd"] > 0.0).all()


def test_feeders_of_a_city_wear_as_they_do_alone():
    base = small_paper(strategy="evms", ageing={"model": "xu_2018"}, feeder={"copies": 2})
    both = V2GModel(base).run()
    alone = V2GModel(base.override({"feeder.copies": 1}), seed=both.seeds[1]).run()
    assert both.results_of(1).kpis["ageing_usd"] == alone.results.kpis["ageing_usd"]
    whole = both.results.kpis
    assert whole["ageing_usd"] == pytest.approx(both.record.ageing.usd.sum())
    assert 0.0 < whole["cycle_depth_mean"] < 1.0


@pytest.mark.parametrize("model", ["woehler", "schmalstieg_2014", "xu_2018"])
def test_an_ev_that_comes_again_has_one_battery(tmp_path, model):
    """Three nights of one EV, in a file and as three days in a row that are just so."""
    rows = [
        ev("other", arrival=30, departure=900, soc=0.3, target=0.7),
        ev("a", arrival=480, departure=1200, soc=0.5, target=0.9),
        ev("a", zone=3, arrival=480 + 1440, departure=1200 + 1440, soc=0.3, target=0.6),
        ev("a", arrival=480 + 2880, departure=1200 + 2880, soc=0.2, target=0.8),
    ]
    base = scenario(
        *rows,
        folder=tmp_path,
        strategy="evms_immediate",
        requirement={"kind": "energy_balanced"},
        eq13={"v2g_when": "always"},
        clock={"hours": 72},
        ageing={"model": model},
    )
    found = run(base).results
    record, table = found.record, found.ev.set_index("ev_id")
    # Down to the threshold from where it came, up to what it asks for, and on the road again.
    points = np.array([0.5, 0.2, 0.9, 0.2, 0.6, 0.2, 0.8, 0.5])
    highest = int(np.argmax(points[:-1]))
    turned = np.concatenate([points[highest:-1], points[: highest + 1]])
    by_hand = [(depth, mean, n) for depth, mean, n, _, _ in rainflow.extract_cycles(turned)]
    assert table.loc["a", "rainflow_cycles"] == pytest.approx(sum(n for _, _, n in by_hand))
    assert record.ageing.use.depth.sum() == pytest.approx(
        sum(n * depth for depth, _, n in by_hand) + 0.5
    )
    assert table["ageing_usd"].sum() == pytest.approx(found.kpis["ageing_usd"])
    assert 0.3 < table.loc["a", "soc_mean"] < 0.7
    assert len(table) == 2
    compiled = run(base.override({"clock.engine": "compiled"})).record
    assert all((compiled.ev[name] == record.ev[name]).all() for name in ("cycles", "cycle_stress"))


def test_of_energies_no_soc_can_be_followed(tmp_path):
    path = tmp_path / "energies.csv"
    path.write_text("ev_id,zone,arrival_min,departure_min,energy_kwh\na,1,480,1200,10\n")
    kind = {"kind": "energy_balanced"}
    base = small_paper(fleet={"sessions": str(path)}, strategy="uncoordinated", requirement=kind)
    assert run(base).results.kpis["ageing_usd"] > 0.0
    with pytest.raises(InputError, match=r"ageing.model.*SoC is not known"):
        base.override({"ageing.model": "woehler"})
