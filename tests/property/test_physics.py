"""Physics that holds for every strategy, both requirements, and odd sessions in odd steps."""

import math

import numpy as np
import pytest
from helpers import CONNECTED, KINDS, arrays, ev, run, same, scenario, small_paper, stepped, tight
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from abm import V2GModel
from abm.equations.battery import ALMOST_FULL, tapered_charge, tapered_rating
from abm.scenario.names import ADMISSIONS

KWH = 1e-6
STEPS = (30, 36, 60, 300)


@st.composite
def sessions(draw, most=8):
    """EVs with whole and fractional times, short and long stays, tiny and large batteries."""
    rows = []
    for i in range(draw(st.integers(1, most))):
        whole = draw(st.booleans())
        arrival = draw(st.integers(300, 1000) if whole else st.floats(300, 1000))
        stay = draw(
            st.one_of(st.integers(1, 600), st.floats(0.01, 600), st.sampled_from([0.01, 0.5, 4.5]))
        )
        values = {
            "zone": draw(st.sampled_from([1, 1, 2, 15])),
            "capacity": draw(st.sampled_from([0.01, 1.0, 25.0, 45.0, 100.0])),
            "soc": draw(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.95, 1.0]) | st.floats(0, 1)),
            "target": draw(st.sampled_from([0.0, 0.5, 0.85, 1.0]) | st.floats(0, 1)),
            "p_max_kw": draw(st.sampled_from([0.1, 3.7, 5.4, 22.0])),
            "p_discharge_kw": draw(st.sampled_from([0.0, 3.7, 7.5, 50.0])),
            "efficiency": draw(st.sampled_from([0.5, 0.9, 0.98, 1.0])),
        }
        rows.append(ev(f"ev{i}", arrival=arrival, departure=arrival + stay, **values))
    return rows


# The last is so close to the base demand of the night (2.2 MW) that a few EVs fill the room.
limits = st.sampled_from([3.24, 3.5, 2.25])
least_times = st.sampled_from(
    [
        {},
        {"min_on_min": 20.0, "min_off_min": 10.0},
        {"min_on_min": 7.0, "min_off_min": 45.0, "taper": 0.8},
    ]
)
every_strategy = pytest.mark.parametrize("strategy", CONNECTED)
both_kinds = pytest.mark.parametrize("kind", KINDS)


def fields_of(strategy, kind, step_s=60, limit=3.24, **more):
    return {
        "strategy": strategy,
        "requirement": {"kind": kind},
        "clock": {"step_s": step_s},
        **tight(limit),
        **more,
    }


@every_strategy
@both_kinds
@given(rows=sessions(), step_s=st.sampled_from(STEPS), limit=limits)
@settings(max_examples=12)
def test_energy_bounds_and_ratings(strategy, kind, rows, step_s, limit):
    model = V2GModel(scenario(*rows, **fields_of(strategy, kind, step_s, limit)))
    check_physics(model, step_s)


@both_kinds
@given(
    rows=sessions(),
    step_s=st.sampled_from(STEPS),
    least=st.sampled_from([0.0, 1.38]),
    times=least_times,
)
@settings(max_examples=10)
def test_physics_of_modulated_chargers(kind, rows, step_s, least, times):
    more = {"coordinated": {"modulate": True}, "ev": {"min_charge_kw": least, **times}}
    check_physics(
        V2GModel(scenario(*rows, **fields_of("coordinated", kind, step_s, **more))), step_s
    )


@every_strategy
@given(
    rows=sessions(),
    step_s=st.sampled_from(STEPS),
    cars=st.fixed_dictionaries(
        {
            name: st.sampled_from([0.0, 0.5, 1.0])
            for name in ("cannot_pause", "does_not_wake", "needs_six_amp")
        }
    ),
    times=least_times,
)
@settings(max_examples=5)
def test_physics_of_cars_with_a_will_of_their_own(strategy, rows, step_s, cars, times):
    more = {"coordinated": {"modulate": True}, "ev": {"cars": cars, **times}}
    model = V2GModel(scenario(*rows, **fields_of(strategy, "energy_balanced", step_s, **more)))
    exchange, fleet = model.fleet.exchange, model.fleet

    def watched(mode, power_kw):
        begun = fleet.cannot_pause & fleet.has_charged & fleet.can_charge
        assert (mode[begun] > 0).all()
        assert not mode[fleet.asleep].any()
        if power_kw is not None:
            least = np.minimum(fleet.min_charge_kw, fleet.p_max_kw)
            assert (power_kw >= least)[mode > 0].all()
        return exchange(mode, power_kw)

    fleet.exchange = watched
    check_physics(model, step_s)


@given(
    rows=sessions(),
    step_s=st.sampled_from(STEPS),
    sharing=st.sampled_from(["equal", "proportional", "least_cut"]),
    lowest=st.sampled_from([0.9, 0.913, 0.93]),
)
@settings(max_examples=20)
def test_physics_within_envelopes(rows, step_s, sharing, lowest):
    more = {"operating_envelopes": {"sharing": sharing}, "broadcast": {"interval_min": 15}}
    fields = fields_of("operating_envelopes", "energy_balanced", step_s, **more)
    fields["grid"] = fields["grid"] | {"vm_min_pu": lowest}
    check_physics(V2GModel(scenario(*rows, **fields)), step_s)


class AnyPower:
    """A rule and an admission of powers that go anywhere, ratings and needs or not."""

    def __init__(self, seed, least):
        self.random, self.least = np.random.default_rng(seed), least

    def decide(self, fleet, broadcast, minute):
        power = self.random.uniform(-60.0, 60.0, fleet.n)
        return np.where(self.random.random(fleet.n) < 0.3, power / 20.0, power)

    def admit(self, fleet, request, broadcast, minute):
        power = self.decide(fleet, broadcast, minute)
        return np.where(request != 0, power, 0.0)


@pytest.mark.parametrize("admission", [*ADMISSIONS, "own"])
@both_kinds
@given(
    rows=sessions(),
    step_s=st.sampled_from(STEPS),
    limit=limits,
    seed=st.integers(0, 99),
    least=st.sampled_from([0.0, 1.38]),
    taper=st.sampled_from([None, 0.5, 0.9]),
)
@settings(max_examples=8)
def test_physics_of_powers(admission, kind, rows, step_s, limit, seed, least, taper):
    spec = {"rule": "g2v_only", "admission": "all_at_once" if admission == "own" else admission}
    fields = fields_of(spec, kind, step_s, limit, ev={"min_charge_kw": least, "taper": taper})
    model = V2GModel(scenario(*rows, **fields))
    model.home.rule = AnyPower(seed, least)
    if admission == "own":
        model.admission = AnyPower(seed + 1, least)
    exchange, fleet = model.fleet.exchange, model.fleet

    def watched(mode, power_kw):
        charges = mode > 0
        assert power_kw is not None
        assert (power_kw[charges] >= np.minimum(least, fleet.p_max_kw[charges])).all()
        return exchange(mode, power_kw)

    fleet.exchange = watched
    check_physics(model, step_s)


def check_physics(model, step_s):
    """Step to the end: energy, bounds and ratings in every step, and what the tables make of it."""
    fleet, hours = model.fleet, step_s / 3600
    lowest = np.minimum(fleet.soc_arrival, fleet.soc_min)
    begin, before, drawn = 0.0, fleet.soc_arrival.copy(), np.zeros(fleet.n)
    for _ in stepped(model):
        end = model.minute
        soc = np.where(np.isnan(fleet.soc), before, fleet.soc)
        assert ((soc >= 0) & (soc <= 1)).all()
        # Below the threshold nobody gives; a charger carries its rating for the time plugged in.
        assert (soc >= lowest).all()
        gave = soc < before
        assert (soc[gave] >= fleet.soc_min[gave]).all()
        there = np.minimum(fleet.departure_min, end) - np.maximum(fleet.arrival_min, begin)
        window_h = np.clip(there / 60, 0.0, hours)
        if not model.clock.finished:
            energy = fleet.charged_kwh - fleet.discharged_kwh - drawn
            # A battery takes the most where the step begins.
            most_kw = fleet.p_max_kw
            if fleet.taper:
                at = np.where(np.isnan(before), fleet.soc_arrival, before)
                lowest_now = np.minimum(at, soc)
                most_kw = tapered_rating(lowest_now, most_kw, fleet.taper)
            assert (energy <= most_kw * window_h + KWH).all()
            assert (energy >= -fleet.p_discharge_kw * window_h - KWH).all()
            assert fleet.p_kw[fleet.plugged] * hours == pytest.approx(
                energy[fleet.plugged], abs=KWH
            )
            assert not fleet.p_kw[~fleet.plugged].any()
        begin, before, drawn = end, soc, fleet.charged_kwh - fleet.discharged_kwh

    stored = (model.results.soc_departure - fleet.soc_arrival) * fleet.capacity_kwh
    eta = fleet.efficiency
    assert stored == pytest.approx(fleet.charged_kwh * eta - fleet.discharged_kwh / eta, abs=KWH)
    assert model.results.kpis["energy_balance_error_kwh"] <= KWH

    # The tables hold the same energy, and none of it outside the stays.
    power = model.results.zone_minute
    for way in ("charge", "discharge"):
        energy = power.groupby("zone")[f"{way}_kw"].sum() * hours
        expected = model.results.zones[f"{way}d_kwh"].to_numpy()
        assert energy.to_numpy() == pytest.approx(expected, abs=KWH)
    used = power[(power["charge_kw"] != 0) | (power["discharge_kw"] != 0)]
    for minute, zone in zip(used["minute"], used["zone"], strict=True):
        mine = fleet.zone == zone - 1
        overlap = (fleet.arrival_min < minute + step_s / 60) & (fleet.departure_min > minute)
        assert (mine & overlap).any()


@every_strategy
@both_kinds
@given(rows=sessions(), order=st.randoms(use_true_random=False))
@settings(max_examples=6)
def test_the_order_of_the_file_changes_nothing_but_the_order(strategy, kind, rows, order):
    # Exact twins are told apart by nothing but their names, so who is served first is chance.
    assume(len({tuple(row.values())[1:] for row in rows}) == len(rows))
    shuffled = list(rows)
    order.shuffle(shuffled)
    fields = fields_of(strategy, kind, limit=2.25)
    first, second = (run(scenario(*r, **fields)).results for r in (rows, shuffled))
    a, b = first.ev, second.ev.set_index("ev_id").loc[first.ev["ev_id"]].reset_index()
    assert second.ev["ev_id"].tolist() == [row["ev_id"] for row in shuffled]
    assert [name for name in a.columns[1:] if not same(a[name], b[name])] == []
    for name in ("hourly", "zone_minute", "zones", "bus_hour"):
        assert getattr(first, name).equals(getattr(second, name)), name
    assert first.kpis == second.kpis


@both_kinds
@pytest.mark.parametrize("strategy", ["evms_guaranteed", "coordinated", "modulated"])
@given(rows=sessions(most=12), step_s=st.sampled_from(STEPS), limit=limits, least=least_times)
@settings(max_examples=30)
def test_the_guarantee_leaves_nobody_short_who_can_be_helped(
    strategy, kind, rows, step_s, limit, least
):
    """Full is what charging all the time would reach from the step that ended the discharge."""
    more = {"ev": least, "coordinated": {"modulate": strategy == "modulated"}}
    named = "coordinated" if strategy == "modulated" else strategy
    model = V2GModel(scenario(*rows, **fields_of(named, kind, step_s, limit, **more)))
    fleet = model.fleet
    since, from_soc = fleet.arrival_min.copy(), fleet.soc_arrival.copy()
    for _ in stepped(model):
        gave = fleet.plugged & (fleet.p_kw < 0)
        since[gave], from_soc[gave] = model.minute, fleet.soc[gave]
    hours = np.maximum(fleet.departure_min - since, 0.0) / 60
    reach = from_soc + fleet.p_max_kw * hours * fleet.efficiency / fleet.capacity_kwh
    goal = fleet.soc_target
    if kind == "as_printed":
        goal = from_soc + 0.85 * np.maximum(fleet.soc_target - fleet.soc_arrival, 0.0)
    if fleet.taper:
        # What charging all the time gives, up to where its time can be said.
        goal = np.minimum(goal, ALMOST_FULL)
        goal = np.minimum(goal, reachable(fleet, from_soc, hours, goal))
    missing = (np.minimum(reach, goal) - model.results.soc_departure) * fleet.capacity_kwh
    # Who leaves after the end of the horizon still has time.
    assert (missing[fleet.departure_min <= 1440] <= KWH).all()


def reachable(fleet, soc, hours, goal):
    drawn = tapered_charge(
        np.maximum(goal - soc, 0.0) * fleet.capacity_kwh, fleet.p_max_kw, fleet.efficiency, hours,
        soc, fleet.capacity_kwh, fleet.p_max_kw, fleet.taper,
    )  # fmt: skip
    return soc + drawn * fleet.efficiency / fleet.capacity_kwh


@every_strategy
@both_kinds
@given(rows=sessions(), step_s=st.sampled_from(STEPS), limit=limits, least=least_times)
@settings(max_examples=8)
def test_no_mode_is_shorter_than_its_least_time(strategy, kind, rows, step_s, limit, least):
    model = V2GModel(scenario(*rows, **fields_of(strategy, kind, step_s, limit, ev=least)))
    fleet = model.fleet
    exchange, watched = fleet.exchange, []

    def watch(mode, power_kw):
        # What has just been assessed: whether it could have gone on.
        watched.append((model.clock.step, mode.copy(), fleet.need_kwh > 1e-9))
        watched[-1] += (fleet.surplus_kwh > 1e-9, fleet.plugged.copy())
        return exchange(mode, power_kw)

    fleet.exchange = watch
    check_physics(model, step_s)
    least_steps = {
        True: math.ceil(least.get("min_on_min", 0.0) * 60 / step_s),
        False: math.ceil(least.get("min_off_min", 0.0) * 60 / step_s),
    }
    since = dict.fromkeys(range(fleet.n), -(10**9))
    before = np.zeros(fleet.n, dtype=int)
    for step, mode, need, surplus, plugged in watched:
        for row in range(fleet.n):
            if not plugged[row]:
                since[row], before[row] = -(10**9), 0
            elif mode[row] != before[row]:
                could = {1: need[row], -1: surplus[row] and fleet.v2g[row], 0: True}
                if could[int(before[row])]:
                    assert step - since[row] >= least_steps[before[row] != 0]
                since[row], before[row] = step, mode[row]


@both_kinds
@given(rows=sessions(), step_s=st.sampled_from(STEPS))
@settings(max_examples=20)
def test_uncoordinated_charges_the_requirement_or_what_time_allows(kind, rows, step_s):
    fleet = (model := run(scenario(*rows, **fields_of("uncoordinated", kind, step_s)))).fleet
    factor = 0.85 if kind == "as_printed" else 1.0
    wanted = factor * np.maximum(fleet.soc_target - fleet.soc_arrival, 0) * fleet.capacity_kwh
    hours = (np.minimum(fleet.departure_min, 1440) - fleet.arrival_min) / 60
    expected = np.minimum(wanted / fleet.efficiency, fleet.p_max_kw * hours)
    # Times within a millionth of a step's edge count as on it.
    assert fleet.charged_kwh == pytest.approx(expected, abs=KWH + 22 / 3600 * step_s * 1e-6)
    assert not fleet.discharged_kwh.any()
    left = model.results.soc_departure
    assert (left <= np.maximum(fleet.soc_target, fleet.soc_arrival)).all()


@every_strategy
@both_kinds
@given(rows=sessions(), step_s=st.sampled_from(STEPS), limit=limits)
@settings(max_examples=8)
def test_indicators_of_emergence_stay_within_their_bounds(strategy, kind, rows, step_s, limit):
    clock = {"clock": {"step_s": step_s, "engine": "numpy"}}
    model = V2GModel(scenario(*rows, **fields_of(strategy, kind, step_s, limit, **clock)))
    fleet, clock, exchange, n = model.fleet, model.clock, model.fleet.exchange, len(rows)
    modes, plugged = np.zeros((clock.n_steps, n), int), np.zeros((clock.n_steps, n), bool)

    def watched(mode, power_kw):
        modes[clock.step], plugged[clock.step] = mode, fleet.plugged
        return exchange(mode, power_kw)

    fleet.exchange = watched
    model.run()
    results, kpis = model.results, model.results.kpis

    # Who changed mode, and when, seen from outside; unplugging is no change.
    changed = plugged & (np.diff(modes, axis=0, prepend=0) != 0)
    assert fleet.switches.tolist() == changed.sum(axis=0).tolist()
    assert kpis["mode_switches_per_ev"] == pytest.approx(fleet.switches.mean())
    window = max(1, 300 // step_s)
    early = np.vstack([np.zeros((window - 1, n), bool), changed])
    lately = np.lib.stride_tricks.sliding_window_view(early, window, axis=0).any(axis=2)
    switched = results.record.switched_evs[:, 0]
    assert switched.tolist() == lately.sum(axis=1).tolist()
    assert kpis["synchronisation"] == switched.max() / n

    assert 0 <= kpis["synchronisation"] <= 1
    assert 0 < kpis["load_factor"] <= 1
    assert kpis["peak_to_average"] == pytest.approx(1 / kpis["load_factor"])
    assert kpis["coincidence_factor"] is None or kpis["coincidence_factor"] <= 1 + 1e-9
    zones = len({row["zone"] for row in rows})
    for group, members in (("evs", n), ("zones", zones)):
        assert 1 / members - 1e-9 <= kpis[f"fairness_unmet_{group}"] <= 1
        assert 0 <= kpis[f"fairness_benefit_{group}"] <= 1
    assert kpis["equivalent_full_cycles_per_ev"] >= 0
    hours = results.record.ev_kw.reshape(24, -1).mean(axis=1) / 1e3
    assert hours == pytest.approx(results.ev_mw, abs=1e-9)
    period, amplitude = kpis["oscillation_period_min"], kpis["oscillation_amplitude_mw"]
    assert (period is None) == (amplitude is None)
    if period is not None:
        assert 2 * step_s / 60 <= period <= 360
        assert 1e-6 <= amplitude <= np.ptp(results.record.ev_kw) / 1e3 * 2
    if strategy == "uncoordinated":
        assert results.reference_cost_usd == pytest.approx(fleet.purchase_usd, abs=1e-6)


@every_strategy
@given(rows=sessions())
@settings(max_examples=10)
def test_balanced_charging_never_passes_the_target(strategy, rows):
    model = V2GModel(scenario(*rows, **fields_of(strategy, "energy_balanced", limit=3.5)))
    most = np.maximum(model.fleet.soc_target, model.fleet.soc_arrival)
    for _ in stepped(model):
        assert not (model.fleet.soc > most).any()


@every_strategy
def test_a_copy_does_not_see_its_neighbours(strategy):
    studied = small_paper(strategy=strategy, record={"zone_minute": True})
    batch = run(studied, seed=[1, 2, 3])
    for k, seed in enumerate((1, 2, 3)):
        one, alone = batch.results_of(k), run(studied, seed=seed).results
        assert one.kpis == alone.kpis
        for name in ("hourly", "zone_minute", "ev", "bus_hour", "line_hour", "zones"):
            assert getattr(one, name).equals(getattr(alone, name)), name


@given(rows=sessions(), strategy=st.sampled_from(CONNECTED), kind=st.sampled_from(KINDS))
@settings(max_examples=12)
def test_copies_of_the_same_sessions_are_the_same(rows, strategy, kind):
    # Chargers with a random delay draw it by the seed of their feeder.
    more = {"record": {"zone_minute": True}, "off_peak": {"delay_s": 0.0}}
    studied = scenario(*rows, **fields_of(strategy, kind, limit=2.25, **more))
    batch, alone = run(studied, seed=[4, 9]), run(studied)
    found = arrays(alone)
    for name in ("soc", "charged_kwh", "discharged_kwh", "purchase_usd"):
        assert same(getattr(batch.fleet, name), np.tile(found[name], 2)), name
    assert same(batch.meter.charge_kw, np.tile(found["charge"], 2))
    assert batch.results_of(0).kpis == batch.results_of(1).kpis == alone.results.kpis
