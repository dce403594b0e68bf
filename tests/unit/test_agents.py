"""Agents as a person meets them: EVs, RPZs, home energy manager, grid agent."""

import mesa
import numpy as np
import pytest
from helpers import STATE, ev, run, same, scenario, small_paper, stepped, tight

from abm import EV, GridAgent, HomeEnergyManager, InputError, Mode, ResidentialParkingZone, V2GModel

WAITING = {"strategy": {"rule": "g2v_only", "admission": "first_come"}, **tight(1.0)}


def at_minute(model, minute):
    while model.minute < minute:
        model.step()
    return model


# --- EV ----------------------------------------------------------------------------------------


def test_attributes_read_the_fleet_s_columns():
    rows = [ev("late", zone=3, arrival=500), ev("early", zone=2, arrival=480, p_max_kw=11)]
    model = at_minute(V2GModel(scenario(*rows, strategy="uncoordinated")), 600)
    late, early = model.evs  # in the order of the file; rows are in the order of zones
    assert (late.ev_id, late.zone, late.row) == ("late", 3, 1)
    assert (early.ev_id, early.zone, early.row) == ("early", 2, 0)
    assert (early.arrival_min, early.departure_min, early.capacity_kwh) == (480, 1200, 40)
    assert (early.charger_kw, early.discharger_kw, early.efficiency) == (11, 7.5, 0.98)
    # plugged in for 120 min, but full after 0.85 x 0.5 x 40 / 0.98 / 11 h = 94.6 min
    assert (early.plugged, early.has_charged, early.mode, early.p_kw) == (True, True, Mode.IDLE, 0)
    assert early.charged_kwh == pytest.approx(17 / 0.98)
    assert early.soc == early.soc_goal == pytest.approx(0.3 + 0.425)
    assert (late.mode, late.p_kw) == (Mode.G2V, 5.4)
    assert late.charged_kwh == pytest.approx(5.4 * 100 / 60)
    assert late.rpz is model.zones[2]
    assert np.isnan(late.soc_departure)
    assert model.run().evs[0].soc_departure == pytest.approx(0.725)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("departure_min", "departure_min", 900.0),
        ("soc", "soc", 0.5),
        ("soc_min", "soc_min", 0.25),
        ("soc_target", "soc_target", 0.95),
        ("capacity_kwh", "capacity_kwh", 60.0),
        ("efficiency", "efficiency", 0.9),
        ("charger_kw", "p_max_kw", 11.0),
        ("discharger_kw", "p_discharge_kw", 0.0),
    ],
)
def test_writing_an_attribute_goes_to_its_column_and_no_further(name, column, value):
    model = at_minute(V2GModel(scenario(ev("a"), ev("b"))), 490)
    before = getattr(model.fleet, column).copy()
    setattr(model.evs[1], name, value)
    row = model.evs[1].row
    assert getattr(model.fleet, column)[row] == getattr(model.evs[1], name) == value
    assert same(np.delete(getattr(model.fleet, column), row), np.delete(before, row))


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("soc", 1.2, ValueError, "EV.soc = 1.2: from 0 to 1"),
        ("soc", float("nan"), ValueError, "EV.soc"),
        ("soc_target", -0.1, ValueError, "soc_target"),
        ("capacity_kwh", 0.0, ValueError, "capacity_kwh"),
        ("efficiency", 1.1, ValueError, "efficiency"),
        ("charger_kw", -1.0, ValueError, "charger_kw"),
        ("departure_min", -1.0, ValueError, "departure_min"),
        ("p_kw", 3.0, AttributeError, "EV.p_kw is a result"),
        ("charged_kwh", 3.0, AttributeError, "charged_kwh"),
        ("soc_goal", 0.3, AttributeError, "soc_goal"),
        ("plugged", True, AttributeError, "plugged"),
        ("zone", 3, AttributeError, "zone"),
        ("mode", Mode.G2V, AttributeError, "mode"),
    ],
)
def test_bad_writes_are_refused_and_change_nothing(name, value, error, said):
    model = at_minute(V2GModel(scenario(ev())), 490)
    before = getattr(model.evs[0], name)
    with pytest.raises(error, match=said):
        setattr(model.evs[0], name, value)
    assert getattr(model.evs[0], name) == before


def test_a_person_can_read_an_ev():
    model = V2GModel(scenario(ev("Müller", zone=2, arrival=485), strategy="uncoordinated"))
    # 12:00 + 485 min = 20:05, + 1200 min = 8:00
    away = "EV Müller in RPZ 2: arrives with 30% of 40 kWh, wants 80%, 20:05-08:00, away +0.0 kW"
    assert str(model.evs[0]) == away
    at_minute(model, 500)
    # 5.4 x 15 / 60 x 0.98 / 40 = 0.033
    there = "EV Müller in RPZ 2: SoC 33% of 40 kWh, wants 80%, 20:05-08:00, G2V +5.4 kW"
    assert str(model.evs[0]) == there
    assert repr(model.evs[0]) == "<EV Müller RPZ 2>"


def test_mesa_s_sets_of_agents_work():
    model = at_minute(V2GModel(small_paper()), 700)
    evs = model.agents_by_type[EV]
    assert len(evs) == len(model.evs) == 30
    assert all(isinstance(agent, mesa.Agent) for agent in model.agents)
    low = evs.select(lambda e: e.soc < 0.4)
    assert 0 < len(low) < 30
    assert sorted(low.get("soc")) == sorted(model.fleet.soc[model.fleet.soc < 0.4])
    assert evs.agg("capacity_kwh", sum) == pytest.approx(model.fleet.capacity_kwh.sum())
    counts = {cls: len(agents) for cls, agents in model.agents_by_type.items()}
    assert counts == {EV: 30, ResidentialParkingZone: 15, HomeEnergyManager: 1, GridAgent: 1}
    assert sorted(e.ev_id for zone in model.zones for e in zone.evs) == sorted(evs.get("ev_id"))


@pytest.mark.parametrize(
    ("departure", "minutes"), [(520.0, 40), (520.5, 40.5), (700.0, 220), (0.0, 20), (1e5, 960)]
)
def test_a_departure_that_changes_on_the_way_is_kept(departure, minutes):
    # 0.85 x 0.8 x 200 kWh would take longer than any of these
    model = V2GModel(
        scenario(ev(departure=600, capacity=200, soc=0.0), ev("b"), strategy="uncoordinated")
    )
    at_minute(model, 500).evs[0].departure_min = departure
    model.run()
    assert model.evs[0].charged_kwh == pytest.approx(5.4 * minutes / 60)
    assert model.evs[0].plugged == (departure > 1440)
    assert model.evs[1].charged_kwh == pytest.approx(17 / 0.98)


@pytest.mark.parametrize(("arrival", "minutes"), [(300.0, 300), (560.5, 39.5), (650.0, 0)])
def test_an_arrival_that_changes_beforehand_is_kept(arrival, minutes):
    model = V2GModel(scenario(ev(departure=600, capacity=200, soc=0.0), strategy="uncoordinated"))
    at_minute(model, 200).evs[0].arrival_min = arrival
    assert model.run().evs[0].charged_kwh == pytest.approx(5.4 * minutes / 60)


@pytest.mark.parametrize(
    ("kind", "goal"), [("as_printed", 0.3 + 0.85 * 0.6), ("energy_balanced", 0.9)]
)
def test_a_new_target_is_charged_to(kind, goal):
    model = V2GModel(scenario(ev(), strategy="uncoordinated", requirement={"kind": kind}))
    model.evs[0].soc_target = 0.9
    assert model.run().evs[0].soc == pytest.approx(goal)


def test_soc_written_before_arrival():
    model = V2GModel(scenario(ev(), strategy="uncoordinated"))
    model.evs[0].soc = 0.5
    assert model.run().evs[0].charged_kwh > 0


def test_soc_arrival_written_before_arrival():
    model = V2GModel(scenario(ev(), strategy="uncoordinated"))
    model.evs[0].soc_arrival = 0.6
    # 0.6 + 0.85 x 0.2
    assert model.run().evs[0].soc == pytest.approx(0.77)


def test_soc_written_while_waiting_cannot_lead_beyond_a_full_battery():
    model = at_minute(V2GModel(scenario(ev(), **WAITING)), 490)
    model.evs[0].soc = 0.95
    model.grid.limit_mw[:] = 9.0
    assert model.run().evs[0].soc <= 1.0


# --- EVs with a will of their own --------------------------------------------------------------


class Idle(EV):
    def decide(self):
        return Mode.IDLE


class Giver(EV):
    def decide(self):
        return Mode.V2G if self.soc > 0.25 else Mode.IDLE


class Late(EV):
    """Waits for midnight, then does what the rule says."""

    def decide(self):
        return self.requested if self.model.minute >= 720 else Mode.IDLE


class Plain(EV):
    pass


@pytest.mark.parametrize("own", [Idle, Giver, Late, Plain])
@pytest.mark.parametrize("which", [(3,), (0, 7, 29)])
def test_a_subclass_changes_only_its_own_evs(own, which):
    studied = small_paper(strategy="uncoordinated")
    plain = run(studied)
    model = run(studied, ev_class=dict.fromkeys(which, own))
    rows = [model.evs[i].row for i in which]
    assert len(model.agents_by_type[own]) == len(which)
    assert model.home.own_minds == ([] if own is Plain else [model.evs[i] for i in which])
    for name in STATE:
        mine, theirs = getattr(model.fleet, name), getattr(plain.fleet, name)
        assert same(np.delete(mine, rows), np.delete(theirs, rows)), name
    soc = model.fleet.soc_departure[rows]
    if own is Idle:
        assert same(soc, model.fleet.soc_arrival[rows])
    elif own is Giver:
        at_most = np.minimum(model.fleet.soc_arrival[rows], 0.25)
        assert (soc <= at_most).all()
        assert (soc >= 0.2).all()
    else:
        assert soc == pytest.approx(plain.fleet.soc_departure[rows])
    if own is Late:
        late = model.meter.charge_kw[:720].sum()
        assert late < plain.meter.charge_kw[:720].sum()


def test_ev_class_for_all_by_index_and_by_name():
    studied = scenario(ev("x", zone=9), ev("y"), ev("z", zone=4))

    def names(ev_class):
        return [type(agent).__name__ for agent in V2GModel(studied, ev_class=ev_class).evs]

    assert names(Idle) == ["Idle"] * 3
    assert names({0: Idle, 2: Late}) == ["Idle", "EV", "Late"]
    assert names({"y": Idle, "z": Late}) == ["EV", "Idle", "Late"]
    for wrong in ({"nobody": Idle}, {3: Idle}, {-1: Idle}):
        with pytest.raises(InputError, match="ev_class"):
            names(wrong)


def test_ev_class_by_name_holds_in_every_copy():
    model = V2GModel(scenario(ev("x"), ev("y")), seed=[1, 2], ev_class={"x": Idle})
    assert [type(agent) for agent in model.evs] == [Idle, EV, Idle, EV]


# --- RPZ ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["evms", "uncoordinated"])
def test_zones_add_up_their_columns(strategy):
    model = V2GModel(small_paper(strategy=strategy))
    fleet, waited = model.fleet, 0
    for _ in stepped(model):
        if model.minute % 37:
            continue
        for zone in model.zones:
            mine = fleet.zone == zone.number - 1
            assert zone.p_kw == pytest.approx(fleet.p_kw[mine].sum())
            assert zone.plugged == fleet.plugged[mine].sum()
            assert zone.charged_kwh == pytest.approx(fleet.charged_kwh[mine].sum())
            assert zone.discharged_kwh == pytest.approx(fleet.discharged_kwh[mine].sum())
            charging = mine & (fleet.mode > 0)
            assert zone.admitted_kw == pytest.approx(fleet.p_max_kw[charging].sum())
            waited += zone.waiting
    assert (waited > 0) == (strategy == "evms")
    assert [zone.bus for zone in model.zones] == list(range(1, 16))


def test_a_person_can_read_a_zone_and_the_rest():
    model = at_minute(V2GModel(scenario(ev(zone=3), ev("b", zone=3), **WAITING)), 500)
    assert str(model.zones[2]) == "RPZ 3 on bus N3: 2 EVs plugged in, +0.0 kW, 2 waiting"
    assert "20:20" in str(model)
    assert "2 EVs in 15 RPZs" in str(model)
    # 20:00: 3.715 MW, limit 1 MW
    assert "20:00: base demand 3.715 MW, limit 1.000 MW, headroom -2.715 MW" in str(model.grid)
    assert len(model.zones[0].evs) == 0


def test_nobody_waits_when_nobody_is_there():
    model = run(scenario(ev(departure=500), **WAITING))
    assert (model.zones[0].plugged, model.zones[0].waiting) == (0, 0)
    assert model.evs[0].requested == Mode.IDLE


# --- grid agent --------------------------------------------------------------------------------


def test_what_is_broadcast_every_hour():
    model, heard = V2GModel(small_paper(strategy="uncoordinated")), []
    for _ in stepped(model):
        if not heard or model.broadcast is not heard[-1]:
            heard.append(model.broadcast)
            assert model.minute % 60 == 1  # on the hour, before the minute's decisions
    hourly = model.results.hourly
    assert [b.hour for b in heard] == list(range(24))
    assert [b.clock_hour for b in heard] == hourly["hour"].tolist()
    for b, now in zip(heard, hourly.itertuples(), strict=True):
        assert b.demand_mw[0] == now.base_mw
        assert b.limit_mw[0] == 3.10
        assert b.headroom_mw[0] == pytest.approx(3.10 - now.base_mw) == now.headroom_mw
        assert b.price == now.price
        assert b.at_or_above_limit[0] == (now.base_mw >= 3.10)
    for b, ended in zip(heard[1:], hourly.itertuples(), strict=False):
        assert b.ev_mw[0] == ended.ev_mw
        assert b.loss_mw[0] == ended.loss_mw
        assert b.min_vm_pu[0] == ended.min_vm_pu
    assert np.isnan([heard[0].ev_mw, heard[0].loss_mw, heard[0].min_vm_pu]).all()
    assert max(b.ev_mw[0] for b in heard[1:]) > 0.05


def test_the_load_flow_keeps_the_energy_of_the_hour():
    results = run(small_paper(strategy="evms")).results
    mean = results.zone_minute.groupby(results.zone_minute["minute"] // 60)["p_kw"].sum() / 60e3
    assert results.hourly["ev_mw"].to_numpy() == pytest.approx(mean.to_numpy(), abs=1e-12)
    lines = results.line_hour.groupby("hour_index")["loss_mw"].sum()
    assert results.hourly["loss_mw"].to_numpy() == pytest.approx(lines.to_numpy(), abs=1e-9)
    buses = results.bus_hour.groupby("hour_index")["p_mw"].sum()
    assert results.hourly["total_mw"].to_numpy() == pytest.approx(buses.to_numpy())
    taken = results.hourly["slack_p_mw"] - results.hourly["loss_mw"]
    assert taken.to_numpy() == pytest.approx(results.hourly["total_mw"].to_numpy(), abs=1e-6)


def test_the_scenario_is_ours_under_every_mesa():
    studied = small_paper()
    model = V2GModel(studied)
    assert model.scenario is studied
    assert model.run().scenario is studied
