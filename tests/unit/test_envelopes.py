"""Dynamic operating envelopes: what is shared out, and that the network holds."""

import numpy as np
import pytest
from helpers import ev, scenario

from abm import InputError, Scenario, V2GModel
from abm.control import make_admission
from abm.control.envelopes import LEVELS, PowerAsked, envelopes, largest

# Two points one after the other: the far one uses three times as much of the one limit.
PER_KW = np.array([[0.01], [0.03]])


def use(p_kw):
    return p_kw @ PER_KW + 0.1


def asked(*kw, at=(0, 1)):
    return PowerAsked(np.array(kw, dtype=float), np.eye(2)[list(at)])


def test_the_largest_part_is_found_to_a_fine_step():
    for edge in (0.0, 0.1234, 0.5, 0.999):
        found = largest(lambda parts, edge=edge: parts <= edge)
        assert edge - 1.0 / (LEVELS - 1) ** 2 <= found <= edge
    assert largest(lambda parts: parts <= 1.0) == 1.0


def test_without_a_limit_in_the_way_all_that_is_asked_for_is_allowed():
    for sharing in ("equal", "proportional", "least_cut"):
        assert envelopes(asked(5.0, 4.0), use, sharing, 0.05).tolist() == [5.0, 4.0]
        assert envelopes(asked(0.0, 0.0), use, sharing, 0.05).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("sharing", "by_hand"),
    [
        # 0.01 x + 0.03 x = 0.9; 0.01 x 40 a + 0.03 x 60 a = 0.9; 0.01 x 40 + 0.03 x y = 0.9.
        ("equal", (22.5, 22.5)),
        ("proportional", (40 * 0.9 / 2.2, 60 * 0.9 / 2.2)),
        ("least_cut", (40.0, 50.0 / 3.0)),
    ],
)
def test_what_the_limit_leaves_is_shared(sharing, by_hand):
    found = envelopes(asked(40.0, 60.0), use, sharing, 0.0)
    assert found == pytest.approx(by_hand, abs=60.0 / (LEVELS - 1) ** 2)
    assert (use(found[None, :]) <= 1.0 + 1e-9).all()
    less = envelopes(asked(40.0, 60.0), use, sharing, 0.1)
    assert use(less[None, :])[0, 0] == pytest.approx(0.9, abs=0.02)


def test_least_cut_leaves_the_most_and_equal_the_most_to_the_last():
    total = {}
    for sharing in ("equal", "proportional", "least_cut"):
        found = envelopes(asked(40.0, 60.0), use, sharing, 0.0)
        total[sharing] = found.sum()
    assert total["least_cut"] == max(total.values())


def test_two_connections_at_a_point_share_it_by_what_they_ask_for():
    found = envelopes(asked(40.0, 30.0, 60.0, at=(0, 1, 1)), use, "least_cut", 0.0)
    assert found[2] == pytest.approx(2.0 * found[1])
    found = envelopes(asked(40.0, 30.0, 60.0, at=(0, 1, 1)), use, "equal", 0.0)
    assert found[1] == found[2]


def test_what_is_broken_without_evs_leaves_nothing():
    def broken(p_kw):
        return p_kw @ PER_KW + 1.5

    for sharing in ("equal", "proportional", "least_cut"):
        assert (envelopes(asked(40.0, 60.0), broken, sharing, 0.0) < 1e-6).all()


def test_no_solution_is_no_envelope():
    def fails(p_kw):
        found = use(p_kw) * 0.0
        found[p_kw.sum(axis=1) > 50.0] = np.inf
        return found

    found = envelopes(asked(40.0, 60.0), fails, "proportional", 0.0)
    assert 49.0 <= found.sum() <= 50.0


ROWS = [
    ev(str(i), zone=zone, arrival=301, departure=1300, capacity=200.0, soc=0.2, target=1.0,
       p_max_kw=500.0)
    for i, zone in enumerate((1, 5, 15))
]  # fmt: skip


def followed(sharing, strategy="operating_envelopes"):
    """Powers by step in the order of the rows, and the model."""
    fields = {
        "strategy": strategy,
        "operating_envelopes": {"sharing": sharing},
        "broadcast": {"interval_min": 15},
        "grid": {"flow_interval_min": 15, "vm_min_pu": 0.9},
        "base_load": {"interpolation": "linear"},
        "requirement": {"kind": "energy_balanced"},
    }
    big = [{**row, "p_max_kw": 2500.0, "capacity_kwh": 9000.0} for row in ROWS]
    model = V2GModel(scenario(*big, **fields))
    found = np.zeros((model.clock.n_steps, len(big)))
    while not model.clock.finished:
        step = model.clock.step
        model.step()
        found[step] = model.fleet.p_kw[model.fleet.row_of]
    return found, model


@pytest.mark.parametrize("sharing", ["equal", "proportional", "least_cut"])
def test_chargers_keep_the_network_within_its_limits(sharing):
    found, model = followed(sharing)
    kpis = model.results.kpis
    assert kpis["min_vm_pu"] >= 0.9
    # What is there is used, and it binds.
    assert kpis["min_vm_pu"] < 0.906
    assert 0.0 < found[360:420].max() < 2500.0
    near, _, far = found[360:900].sum(axis=0)
    assert near >= far if sharing == "least_cut" else near == pytest.approx(far)


def test_who_plugs_in_waits_for_the_next_message():
    found, _ = followed("equal")
    assert not found[301:315].any()
    assert (found[315] > 0.0).all()


def test_without_envelopes_it_would_not_hold():
    _, model = followed("equal", strategy="uncoordinated")
    assert not model.results.kpis["min_vm_pu"] >= 0.9


@pytest.mark.parametrize(
    ("options", "said"),
    [({"sharing": "fair"}, "sharing = 'fair'"), ({"margin": 1.5}, "margin = 1.5: from 0")],
)
def test_options_that_cannot_be(options, said):
    spec = {"rule": "g2v_only", "admission": "operating_envelopes", "admission_options": options}
    with pytest.raises(InputError, match=said):
        make_admission(Scenario(strategy=spec))
