"""Runs on streets of homes of all sorts: physics, both engines, KPIs against a street solved here."""

# ruff: noqa: E501
import numpy as np
import pytest
from helpers import COMPILED, SELDOM
from hypothesis import given, settings
from hypothesis import strategies as st
from test_physics import check_physics

from abm import Scenario, V2GModel
from abm.report.home_figure import home_voltage_figure
from abm.results.indicators import INDICATORS

LINECODES = """linecode,r1_ohm_per_km,x1_ohm_per_km,r0_ohm_per_km,x0_ohm_per_km,ampacity_a
cable,0.32,0.073,1.28,0.29,100
"""
# Two transformers, homes of each kind, one that belongs to no zone.
MIXED = {
    "feeder.yaml": "three_phase: true\nsource_bus: sub\n",
    "buses.csv": "bus,vn_kv\nsub,11\nt1,0.4\nt2,0.4\na1,0.4\na2,0.4\n",
    "linecodes.csv": LINECODES,
    "transformers.csv": """transformer,from_bus,to_bus,connection,vn_from_kv,vn_to_kv,sn_kva,r_percent,x_percent
T1,sub,t1,Dyn11,11,0.4,100,1,4
T2,sub,t2,Dyn11,11,0.4,50,1,4
""",
    "lines.csv": """line,from_bus,to_bus,phases,linecode,length_m
l1,t1,a1,abc,cable,150
l2,t2,a2,abc,cable,150
""",
    "homes.csv": """home,bus,phases,connection,p_kw,power_factor,zone,charger_phase
h1,a1,a,wye,2,0.95,1,
h2,a1,abc,wye,3,0.95,1,b
h3,t1,abc,delta,2,0.95,1,
h4,a2,bc,wye,2,0.95,2,c
h5,a2,c,wye,2,0.95,,
h6,t2,bc,delta,2,0.9,2,
""",
}  # fmt: skip


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    return written(tmp_path_factory.mktemp("street"), MIXED)


def written(folder, files):
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def on(folder, **fields) -> Scenario:
    base = {
        "grid.feeder": str(folder),
        "grid.demand_limit_mw": 0.02,
        "fleet.evs_per_customer": 1.6,
        "fleet.soc_arrival": {"low": 0.3, "high": 0.8},
        "fleet.capacity": {"unit_kwh": 10, "low": 2, "high": 6},
        **{f"{of}.{name}": v for of, section in SELDOM.items() for name, v in section.items()},
    }
    return Scenario.load("paper_balanced").override(
        base | {name.replace("__", "."): value for name, value in fields.items()}
    )


def balance(model):
    """Energy of the EVs is that at the points; the source gives the load and the losses."""
    record, flows = model.record, model.grid.flows
    hours, window_s = record.flow_min / 60.0, 60 * record.flow_min
    kwh = 1e3 * hours * record.flow_point_mw.sum(axis=(0, 2))
    moved = record.ev["charged_kwh"] - record.ev["discharged_kwh"]
    drawn = np.bincount(record.ev["feeder"], weights=moved, minlength=record.n_feeders)
    np.testing.assert_allclose(kwh, drawn, atol=1e-6)
    base_mw = record.base.mean_mw(record.begin_s(window_s), window_s)
    load_mw = base_mw + record.flow_point_mw.sum(axis=2)
    assert flows.converged.all()
    np.testing.assert_allclose(flows.slack_p_mw, load_mw + flows.loss_mw, atol=1e-9)
    np.testing.assert_allclose(flows.level_loss_mw.sum(axis=2), flows.loss_mw, atol=1e-9)


def same(one, other):
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(other, name), err_msg=name)


connections = st.fixed_dictionaries(
    {
        "connection.phase": st.sampled_from(["given", "random", "balanced"]),
        "connection.three_phase_share": st.sampled_from([0.0, 0.5, 1.0]),
        "ev.power_factor": st.sampled_from([1.0, 0.93]),
        "seed": st.integers(1, 99),
    }
)


@given(
    strategy=st.sampled_from(COMPILED),
    flow_min=st.sampled_from([1, 5, 10, 15, 60]),
    step_s=st.sampled_from([60, 300]),
    fields=connections,
)
@settings(max_examples=6)
def test_engines_steps_batches_and_energy(street, strategy, flow_min, step_s, fields):
    step_s = min(step_s, 60 * flow_min)
    scenario = on(street, strategy=strategy, grid__flow_interval_min=flow_min, clock__step_s=step_s)
    scenario = scenario.override(fields)
    seed = scenario.seed
    batch = V2GModel(scenario.override({"clock.engine": "compiled"}), seed=[seed + 1, seed]).run()
    assert batch.compiled is not None
    balance(batch)
    stepwise = V2GModel(scenario.override({"clock.engine": "numpy"}))
    while not stepwise.clock.finished:
        stepwise.step()
    same(stepwise.grid.flows, batch.grid.flows.each(lambda values: values[:, 1:2]))
    assert stepwise.results.kpis == batch.results_of(1).kpis
    bus_kwh = 1e3 * stepwise.results.bus_hour["p_mw"].sum() * flow_min / 60.0
    total_kwh = 1e3 * stepwise.results.kpis["feeder_energy_mwh"]
    assert bus_kwh == pytest.approx(total_kwh, abs=1e-6)


@given(strategy=st.sampled_from(COMPILED), fields=connections)
@settings(max_examples=3)
def test_physics_on_a_street(street, strategy, fields):
    scenario = on(street, strategy=strategy, record__zone_minute=True).override(fields)
    check_physics(V2GModel(scenario), scenario.clock.step_s)


def test_homes_in_another_order_have_the_same_voltages(street, tmp_path):
    head, *rows = MIXED["homes.csv"].splitlines()
    order = [3, 0, 5, 4, 1, 2]
    text = "\n".join([head, *(rows[i] for i in order), ""])
    other = written(tmp_path, MIXED | {"homes.csv": text})
    one, two = (V2GModel(on(f, strategy="none")).run() for f in (street, other))
    np.testing.assert_allclose(
        two.grid.flows.vm_pu, one.grid.flows.vm_pu[:, :, order], atol=1e-12, rtol=0.0
    )
    names = ("min_vm_home", "min_vm_time", "max_neutral_line", "max_vuf_bus", "homes_below")
    assert [two.results.kpis[name] for name in names] == [one.results.kpis[name] for name in names]


def test_balanced_chargers_take_the_phase_with_the_fewest_of_all_homes_of_the_zone(tmp_path):
    kinds = ["a"] * 4 + ["bc"] * 3 + ["abc"] * 5
    rows = [f"h{i},a1,{phases},1,0.95" for i, phases in enumerate(kinds)]
    homes = "\n".join(["home,bus,phases,p_kw,power_factor", *rows, ""])
    folder = written(tmp_path, MIXED | {"homes.csv": homes})
    scenario = on(folder)
    model = V2GModel(scenario)
    stays, feeder = model.population.stays(), model.grid.feeder
    points = feeder.points
    for seed in (1, 2, 3):
        chosen = feeder.points_of(stays, scenario.connection, [seed])
        counts, seen = dict.fromkeys("abc", 0), []
        for point in chosen:
            phases, phase = kinds[points.home[point]], "abc"[points.phase[point]]
            assert counts[phase] == min(counts[own] for own in phases)
            counts[phase] += 1
            seen.append(phases)
        assert set(seen) == {"a", "bc", "abc"}


TWO_HOMES = MIXED | {
    "buses.csv": "bus,vn_kv\nsub,11\nm,11\nt,0.4\nh,0.4\n",
    "transformers.csv": """transformer,from_bus,to_bus,connection,vn_from_kv,vn_to_kv,sn_kva,r_percent,x_percent
T,m,t,Dyn11,11,0.4,50,1,4
""",
    "lines.csv": """line,from_bus,to_bus,phases,linecode,length_m
k,sub,m,abc,cable,2000
l,t,h,abc,cable,900
""",
    "homes.csv": """home,bus,phases,p_kw,power_factor
one,h,a,4,0.95
two,h,b,2,0.95
""",
}  # fmt: skip
TURN = np.exp(-2j * np.pi / 3)


def by_sweeps(p_mw, q_mvar):
    """The street of two homes by backward and forward sweeps: voltages of h, losses, currents."""
    z1, z0 = 0.32 + 0.073j, 1.28 + 0.29j
    z = np.full((3, 3), (z0 - z1) / 3) + np.eye(3) * z1
    z_winding = (0.01 + 0.04j) * 0.4**2 / 0.05
    turns = 0.4 / np.sqrt(3) / 11
    # Dyn11: each phase is wound on the core between its own and the next one of the other side.
    wound = turns * (np.eye(3) - np.roll(np.eye(3), 1, axis=1))
    source = 11e3 / np.sqrt(3) * np.array([1, TURN, TURN**2])
    power = 1e6 * (np.append(p_mw, 0.0) + 1j * np.append(q_mvar, 0.0))
    v = wound @ source
    for _ in range(200):
        i = np.conj(power / v)
        above = wound.T @ i
        v = wound @ (source - 2.0 * z @ above) - z_winding * i - 0.9 * z @ i
    i = np.conj(power / v)
    above = wound.T @ i
    lost = [
        np.vdot(above, 2.0 * z @ above).real,
        np.vdot(i, z_winding * i).real,
        np.vdot(i, 0.9 * z @ i).real,
    ]
    return v, np.array(lost) / 1e6, i


def test_kpis_of_a_street_are_those_of_sweeps_over_it(tmp_path):
    folder = written(tmp_path, TWO_HOMES)
    scenario = on(
        folder, strategy="uncoordinated", grid__flow_interval_min=5, ev__power_factor=0.97
    )
    model = V2GModel(
        scenario.override({"fleet.evs_per_customer": 1.0, "base_load.scale": 1.3})
    ).run()
    record, found = model.record, model.results.kpis
    begin = record.begin_s(300)
    at_points = record.flow_point_mw[:, 0]
    p = record.base.mean_p_mw(begin, 300)[:, 0] + at_points
    q = record.base.mean_q_mvar(begin, 300)[:, 0] + at_points * np.tan(np.arccos(0.97))
    solved = [by_sweeps(*row) for row in zip(p, q, strict=True)]
    v, lost, i = (np.array(values) for values in zip(*solved, strict=True))
    vm = np.abs(v[:, :2]) / (400 / np.sqrt(3))
    np.testing.assert_allclose(record.flows.vm_pu[:, 0], vm, atol=1e-9)
    flow, home = np.unravel_index(vm.argmin(), vm.shape)
    assert found["min_vm_home"] == ("one", "two")[home]
    minute = (720 + 5 * int(flow)) % 1440
    assert found["min_vm_time"] == f"{minute // 60}:{minute % 60:02d}"
    for level, total in zip(
        ("medium_voltage", "transformers", "low_voltage"), lost.sum(0), strict=True
    ):
        assert found[f"loss_{level}_mwh"] == pytest.approx(total / 12, abs=1e-8)
    assert found["max_neutral_a"] == pytest.approx(np.abs(i.sum(axis=1)).max(), abs=1e-5)
    # Symmetrical components: the second sequence over the first.
    ahead = np.conj(TURN)
    first = np.abs(v @ [1, ahead, ahead**2])
    second = np.abs(v @ [1, ahead**2, ahead])
    assert found["max_vuf_percent"] == pytest.approx(100 * (second / first).max(), abs=1e-6)
    means = vm.reshape(-1, 2, 2).mean(axis=1)
    low, high = scenario.grid.vm_min_pu, scenario.grid.vm_max_pu
    outside = (means < low) | (means > high)
    assert found["outside_10min_means"] == outside.sum() > 0
    assert found["homes_outside_10min"] == outside.any(axis=0).sum()
    assert found["homes_below"] == (vm < low).any(axis=0).sum()
    fails = (means < 0.85).any(axis=0) | ((means < 0.9).mean(axis=0) > 0.05)
    assert found["homes_en50160"] == fails.sum() == 1
    vuf = (100 * second / first).reshape(-1, 2).mean(axis=1)
    assert found["vuf_over_10min_means"] == (vuf > 2.0).sum() > 0
    rated = np.array([50e3 / np.sqrt(3) / kv for kv in (11e3, 400)])
    above = np.abs(i - np.roll(i, 1, axis=1)).max() * 400 / np.sqrt(3) / 11e3
    highest = (np.array([above, np.abs(i).max()]) / rated).max()
    assert found["max_transformer_loading_percent"] == pytest.approx(100 * highest, rel=1e-6)


def test_what_did_not_converge_has_no_number(street):
    """Load flows of the evening alone have no solution."""
    model = V2GModel(on(street, strategy="none", base_load__scale=27.0)).run()
    results, found = model.results, model.results.kpis
    failed = ~model.grid.flows.converged[:, 0]
    assert 0 < failed.sum() < len(failed)
    for name, row in INDICATORS.items():
        # Counts of what is known to be outside stay; they are less than there is.
        if row.section == "Three phases" or name in ("min_vm_pu", "max_vm_pu", "loss_energy_mwh"):
            assert found[name] is None, name
    assert found["nonconverged_hours"] == failed.sum()
    spans = results.violations[results.violations["kind"] == "not_converged"]
    assert spans["hours"].sum() == failed.sum()
    homes = results.homes
    unknown = ["min_vm_pu", "max_vm_pu", "min_vm_min", "outside_10min", "breaks_en50160"]
    assert homes[unknown].isna().all(axis=None)
    assert results.bus_hour["vm_pu"].isna().to_numpy().reshape(-1, 6).all(axis=1).tolist() == list(
        failed
    )
    fig = home_voltage_figure("street", results)
    said = [text.get_text() for text in fig.legends[0].get_texts()]
    assert f"{failed.sum()} of 24 not converged" in said


def test_without_tables_of_flows_all_but_the_spans_of_lines_is_the_same(street):
    """Which lines are too full is known one by one only where their currents are kept."""
    fields = {"strategy": "uncoordinated", "base_load__scale": 12.0}
    kept, light = (
        V2GModel(on(street, record__flow_tables=tables, **fields)).run().results
        for tables in (True, False)
    )
    assert kept.kpis["line_over_line_hours"] > 0
    assert {**kept.kpis, "violations": 0} == {**light.kpis, "violations": 0}
    assert kept.homes.equals(light.homes)
    lines = [found.violations.query("kind == 'line'") for found in (kept, light)]
    assert set(lines[0]["element"]) <= {"l1", "l2"}
    assert set(lines[1]["element"]) == {"the highest of all"}
    assert lines[0]["worst"].max() == lines[1]["worst"].max()
