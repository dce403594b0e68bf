"""What rules, admissions and EVs of the user's own may answer, and what becomes of it."""

import numpy as np
import pytest
from helpers import ev, run, scenario, small_paper, tight

from abm import EV, InputError, Mode, V2GModel
from abm.control.answers import Answers


class Says:
    """A rule, or an admission, that answers with whatever it is given."""

    def __init__(self, answer):
        self.answer = answer

    def decide(self, fleet, broadcast, minute):
        return self.answer(fleet, minute)

    def admit(self, fleet, request, broadcast, minute):
        return self.answer(fleet, minute)


def asked(answer, *rows, admission=None, **fields):
    """A model whose rule answers so, and whose admission does where one is given."""
    rows = rows or (ev("a"), ev("b", arrival=500))
    model = V2GModel(scenario(*rows, strategy="uncoordinated", **fields))
    if answer is not None:
        model.home.rule = Says(answer)
    if admission is not None:
        model.admission = Says(admission)
    return model.run()


def test_a_float_is_a_power_and_an_integer_a_mode():
    half = asked(lambda fleet, minute: np.full(fleet.n, 2.7))
    full = asked(lambda fleet, minute: np.ones(fleet.n, dtype=int))
    for model, kw in ((half, 2.7), (full, 5.4)):
        charge = model.meter.charge_kw[490, 0]
        assert charge == pytest.approx(kw)
    assert half.fleet.charged_kwh == pytest.approx(full.fleet.charged_kwh)


def test_a_power_is_limited_by_the_rating_and_the_need():
    model = asked(lambda fleet, minute: 1000.0)
    assert model.fleet.p_kw.max() <= 5.4
    assert model.meter.charge_kw.max() == pytest.approx(2 * 5.4)
    # As printed: 0.3 + 0.85 x (0.8 - 0.3).
    assert model.results.soc_departure == pytest.approx([0.725, 0.725])


def test_a_negative_power_discharges_down_to_the_threshold():
    model = asked(lambda fleet, minute: -3.0)
    assert model.meter.discharge_kw[510, 0] == pytest.approx(6.0)
    assert model.results.soc_departure == pytest.approx([0.2, 0.2])


def test_an_admission_answers_with_powers():
    model = asked(None, admission=lambda fleet, minute: np.where(fleet.plugged, 1.5, 0.0))
    assert model.meter.charge_kw[510, 0] == pytest.approx(3.0)


def test_an_admission_that_answers_with_modes_grants_the_power_asked_for():
    model = asked(lambda fleet, minute: 2.0, admission=lambda fleet, minute: 1)
    assert model.meter.charge_kw[510, 0] == pytest.approx(4.0)


@pytest.mark.parametrize("power", [1.0, 1.37])
def test_below_the_least_power_a_charger_is_off(power):
    off = asked(lambda fleet, minute: power, ev={"min_charge_kw": 1.38})
    on = asked(lambda fleet, minute: 1.38, ev={"min_charge_kw": 1.38})
    assert not off.fleet.charged_kwh.any()
    assert not off.fleet.switches.any()
    assert on.meter.charge_kw[510, 0] == pytest.approx(2 * 1.38)


def test_a_charger_of_less_than_the_least_power_runs_at_its_rating():
    model = asked(lambda fleet, minute: 5.0, ev("a", p_max_kw=1.0), ev={"min_charge_kw": 1.38})
    assert model.meter.charge_kw[490, 0] == pytest.approx(1.0)


def test_the_least_power_is_not_above_the_rating():
    with pytest.raises(InputError, match=r"ev\.min_charge_kw = 6"):
        small_paper(ev={"min_charge_kw": 6.0})


@pytest.mark.parametrize("admission", ["first_come", "least_laxity", "coordinated"])
def test_what_is_asked_for_counts_against_the_headroom(admission):
    """At half of their rating twice as many EVs charge in the same room."""
    rows = [ev(f"ev{i}", zone=i % 3 + 1, arrival=480, departure=1400) for i in range(80)]
    fields = {"strategy": {"rule": "g2v_only", "admission": admission}, **tight(3.55)}
    most = {}
    for kw in (5.4, 2.7):
        model = V2GModel(scenario(*rows, **fields))
        model.home.rule = Says(lambda fleet, minute, kw=kw: np.full(fleet.n, kw))
        model.run()
        by_step = model.meter.charge_kw[500:540].sum(axis=1)
        most[kw] = round(by_step.max() / kw)
        assert model.fleet.p_max_kw.max() == 5.4
    assert most[2.7] == pytest.approx(2 * most[5.4], abs=1)


def test_who_is_out_of_slack_has_its_rating_though_it_asked_for_less():
    row = ev("a", arrival=480, departure=480 + 240, capacity=40.0, soc=0.3, target=0.8)
    spec = {
        "rule": "g2v_only",
        "admission": "least_laxity",
        "admission_options": {"guarantee": True},
    }
    model = V2GModel(scenario(row, strategy=spec, requirement={"kind": "energy_balanced"}))
    model.home.rule = Says(lambda fleet, minute: np.full(fleet.n, 0.5))
    model.run()
    assert model.results.soc_departure[0] == pytest.approx(0.8)


WRONG = {
    "nan": lambda fleet, minute: np.full(fleet.n, np.nan),
    "infinite": lambda fleet, minute: np.inf,
    "complex": lambda fleet, minute: np.ones(fleet.n, dtype=complex),
    "mode 2": lambda fleet, minute: np.full(fleet.n, 2),
    "too long": lambda fleet, minute: np.zeros(fleet.n + 1, dtype=int),
    "a matrix": lambda fleet, minute: np.zeros((fleet.n, 1), dtype=int),
    "text": lambda fleet, minute: "charge",
    "texts": lambda fleet, minute: ["1"] * fleet.n,
    "None": lambda fleet, minute: None,
    "objects": lambda fleet, minute: np.array([None] * fleet.n),
    "ragged": lambda fleet, minute: [[1], [1, 2]],
    "a dict": lambda fleet, minute: {"mode": 1},
    "a float among integers": lambda fleet, minute: [1] * (fleet.n - 1) + [0.001],
    "floats after integers": lambda fleet, minute: 1 if minute < 500 else 0.001,
    "integers after floats": lambda fleet, minute: 1.5 if minute < 500 else 1,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("who", ["rule", "admission"])
def test_what_is_neither_is_one_clear_error(wrong, who):
    with pytest.raises(InputError) as raised:
        asked(*((WRONG[wrong],) if who == "rule" else (None,)),
              admission=WRONG[wrong] if who == "admission" else None)  # fmt: skip
    assert len(raised.value.problems) == 1
    text = str(raised.value)
    assert text.startswith(f"strategy.{who} = ")
    assert "test_answers:Says." in text
    assert "at minute " in text
    assert "\n" not in text


def test_zeros_of_either_kind_are_idle():
    model = asked(lambda fleet, minute: np.zeros(fleet.n) if minute % 2 else np.int64(0))
    assert not model.fleet.charged_kwh.any()
    model = asked(lambda fleet, minute: np.ones(fleet.n, dtype=int) if minute > 500 else 0.0)
    assert model.fleet.charged_kwh.all()


@pytest.mark.parametrize(
    "write",
    [
        lambda fleet: fleet.soc.fill(1.0),
        lambda fleet: fleet.mode.__setitem__(0, 1),
        lambda fleet: fleet.capacity_kwh.sort(),
        lambda fleet: np.add(fleet.soc, 1.0, out=fleet.soc),
        lambda fleet: fleet.unplug(np.array([0])),
    ],
)
@pytest.mark.parametrize("who", ["rule", "admission"])
def test_who_writes_to_a_column_is_found_out(write, who):
    def answer(fleet, minute):
        write(fleet)
        return 1

    with pytest.raises(InputError, match="are read, and not written to") as raised:
        asked(answer if who == "rule" else None, admission=answer if who == "admission" else None)
    assert "test_answers:Says." in str(raised.value)


def test_what_a_rule_sets_on_the_view_does_not_reach_the_fleet():
    def answer(fleet, minute):
        fleet.soc = np.ones(fleet.n)
        fleet.plugged = None
        return 1

    model = asked(answer)
    assert model.fleet.charged_kwh == pytest.approx(asked(lambda f, m: 1).fleet.charged_kwh)


def test_a_rule_sees_the_fleet_of_now():
    seen = []

    def answer(fleet, minute):
        seen.append((minute, int(fleet.plugged.sum()), float(fleet.soc[0]), int(fleet.mode[0])))
        return 1

    asked(answer, ev("a"))
    assert seen[0] == (480.0, 1, 0.3, 0)
    assert seen[1][2] > 0.3
    assert seen[1][3] == 1


def test_the_broadcast_is_not_written_to():
    class Writes:
        def decide(self, fleet, broadcast, minute):
            broadcast.demand_mw[:] = 0.0
            return 1

    model = V2GModel(scenario(ev("a"), strategy="uncoordinated"))
    model.home.rule = Writes()
    with pytest.raises(InputError, match="values of the broadcast"):
        model.run()


class HalfPower(EV):
    def decide(self):
        return 2.5


class Mixed(EV):
    def decide(self):
        return 1.0 if self.model.minute < 500 else Mode.G2V


class Lost(EV):
    def decide(self):
        return float("nan")


def test_an_ev_answers_with_a_power_or_a_mode():
    studied = scenario(ev("a"), ev("b"), strategy="uncoordinated")
    model = run(studied, ev_class={"a": HalfPower})
    assert model.meter.charge_kw[490, 0] == pytest.approx(2.5 + 5.4)
    model = run(studied, ev_class={"a": Mixed})
    assert model.meter.charge_kw[490, 0] == pytest.approx(1.0 + 5.4)
    assert model.meter.charge_kw[510, 0] == pytest.approx(5.4 + 5.4)


def test_an_ev_that_answers_nonsense_is_one_clear_error():
    with pytest.raises(InputError, match=r"ev_class = nan, answered by test_answers:Lost\.decide"):
        run(scenario(ev("a"), strategy="uncoordinated"), ev_class=Lost)


def test_booleans_are_modes():
    answers = Answers(Says(None), "decide", "strategy.rule")
    assert answers.checked(np.array([True, False]), 2, 0.0).tolist() == [1, 0]
    assert answers.checked(np.uint8(1), 2, 0.0).dtype == np.int8


def test_chargers_set_to_powers_meet_the_level_in_every_minute():
    peaks = {}
    for modulate in (False, True):
        fields = {"requirement": {"kind": "energy_balanced"}, "strategy": "coordinated"}
        fields["coordinated"] = {"modulate": modulate}
        fields["ev"] = {"charger_kw": 22.0, "discharger_kw": 22.0, "efficiency": 0.9}
        fields["fleet"] = {"evs_per_zone": 12}
        kpis = run(small_paper(**fields), seed=3).results.kpis
        assert kpis["evs_short"] == 0
        peaks[modulate] = kpis["plugged_peak_1min_mw"] - kpis["plugged_peak_15min_mw"]
    assert peaks[False] > 1e-3
    assert peaks[True] < 0.2 * peaks[False]


def test_what_is_set_to_a_power_is_not_below_the_least():
    fields = {"strategy": "coordinated", "coordinated": {"modulate": True}}
    model = V2GModel(small_paper(ev={"min_charge_kw": 1.38}, **fields), seed=2)
    exchange, partial = model.fleet.exchange, []

    def watched(mode, power_kw):
        charging = power_kw[mode > 0]
        partial.extend(charging[charging < 5.4 - 1e-9])
        assert (charging >= 1.38).all()
        return exchange(mode, power_kw)

    model.fleet.exchange = watched
    model.run()
    assert partial
