"""Three-phase feeders out of pandapower nets with zero-sequence data."""

import copy
import warnings

import numpy as np
import pandapower as pp
import pandapower.networks as networks
import pytest

from abm.cli import main
from abm.errors import InputError
from abm.grid.import_rules import ImportedFeeder
from abm.grid.importing import import_feeder
from abm.grid.phase_importing import nominal_flow
from abm.scenario.feeder import read_feeder


def quietly(function, *given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*given, **options)


@pytest.fixture(scope="module")
def european():
    return quietly(networks.ieee_european_lv_asymmetric)


def street():
    """A Dyn5 transformer with a tap and two lines, one of them twice; loads of all kinds."""
    net = pp.create_empty_network()
    for kv in (20.0, 0.4, 0.4, 0.4):
        pp.create_bus(net, kv)
    pp.create_ext_grid(net, 0, 1.01, s_sc_max_mva=500.0, rx_max=0.2, x0x_max=1.0, r0x0_max=0.1)
    pp.create_transformer_from_parameters(
        net, 0, 1, 0.25, 20.0, 0.4, 1.4, 4.0, 0.5, 0.8, shift_degree=150, vector_group="Dyn",
        vk0_percent=4.0, vkr0_percent=1.4, mag0_percent=1e6, mag0_rx=0.4, si0_hv_partial=0.9,
        tap_side="hv", tap_neutral=0, tap_pos=-1, tap_step_percent=2.5, tap_changer_type="Ratio",
    )  # fmt: skip
    for one, parallel in ((1, 1), (2, 2)):
        pp.create_line_from_parameters(
            net, one, one + 1, 0.15, 0.3, 0.08, 200.0, max_i_ka=0.2, df=0.9, parallel=parallel,
            r0_ohm_per_km=1.2, x0_ohm_per_km=0.3, c0_nf_per_km=100.0,
        )  # fmt: skip
    pp.create_load(net, 3, 0.02, 0.005, name="shop")
    pp.create_asymmetric_load(net, 2, p_a_mw=0.004, q_a_mvar=0.001, name="one")
    pp.create_asymmetric_load(net, 3, p_a_mw=0.003, p_c_mw=0.005, q_c_mvar=0.002, name="two")
    pp.create_asymmetric_load(net, 3, p_b_mw=0.002, p_c_mw=0.002, scaling=2.0, name="three")
    return net


def imported(net, folder, **options):
    quietly(pp.to_json, net, str(folder / "street.json"))
    return quietly(import_feeder, str(folder / "street.json"), **options)


def values_of(made: ImportedFeeder, folder):
    for name, content in made.files.items():
        if isinstance(content, str):
            (folder / name).write_text(content)
        else:
            content.to_csv(folder / name, index=False)
    return read_feeder(folder, None).phases


def test_voltages_are_those_of_pandapower(tmp_path):
    net = street()
    # Its magnetising branch is half at each end, and its source holds the positive sequence.
    net.trafo[["i0_percent", "pfe_kw"]] = 0.0
    net.ext_grid["s_sc_max_mva"] = 1e7
    quietly(pp.runpp_3ph, net)
    values = values_of(imported(net, tmp_path), tmp_path)
    flow = nominal_flow(values)
    bus = [int(str(values.bus[at]).removeprefix("bus")) for at in values.home_bus]
    theirs = net.res_bus_3ph[["vm_a_pu", "vm_b_pu", "vm_c_pu"]].to_numpy()[bus]
    lowest = np.where(values.home_phases, theirs, np.inf).min(axis=1)
    assert flow.vm_pu[0] == pytest.approx(lowest, abs=1e-6)


def test_what_is_in_the_folder(tmp_path):
    made = imported(street(), tmp_path)
    values = values_of(made, tmp_path)
    (trafo,) = made.files["transformers.csv"].to_dict("records")
    assert (trafo["connection"], trafo["sn_kva"], trafo["tap_from"]) == ("Dyn5", 250.0, 0.975)
    assert trafo["noload_percent"] == 0.2
    assert trafo["magnetising_percent"] == pytest.approx((0.8**2 - 0.2**2) ** 0.5)
    assert values.line_ampacity_a.tolist() == [180.0, 360.0]
    assert values.line_z_ohm[0] == pytest.approx(2 * values.line_z_ohm[1])
    assert made.files["homes.csv"]["home"].tolist() == ["shop", "one", "two_a", "two_c", "three"]
    assert values.home_p_kw.tolist() == [20.0, 4.0, 3.0, 5.0, 8.0]
    assert values.home_phases[4].tolist() == [False, True, True]
    assert any("two" in note and "unequal phases" in note for note in made.notes)


def test_the_european_feeder_of_pandapower(european, tmp_path, capsys):
    net = copy.deepcopy(european)
    net.trafo["mag0_percent"] = 1e6
    made = imported(net, tmp_path)
    quietly(pp.runpp_3ph, net, tolerance_mva=1e-12)
    values = values_of(made, tmp_path)
    theirs = net.res_bus_3ph[["vm_a_pu", "vm_b_pu", "vm_c_pu"]].to_numpy()[values.home_bus]
    vm_pu = nominal_flow(values).vm_pu[0]
    assert vm_pu == pytest.approx(theirs[values.home_phases], abs=5e-6)
    assert any("homes on b, c have next to no reactive power" in note for note in made.notes)
    assert not any("mag0_percent" in note for note in made.notes)


def test_by_its_name(european, tmp_path, capsys):
    source, out = "pandapower:ieee_european_lv_asymmetric", str(tmp_path / "out")
    assert quietly(main, ["feeder", "import", source, "--out", out]) == 0
    shown = capsys.readouterr()
    assert "55 homes (21 on a, 19 on b, 15 on c)" in shown.out
    assert "mag0_percent" in shown.err
    table = read_feeder(tmp_path / "out", ("residential",))
    assert table.phases.line_ampacity_a.min() > 0.0
    assert np.isfinite(table.labels.x).all()


def refused(net, folder, **options):
    with pytest.raises(InputError) as caught:
        imported(net, folder, **options)
    return [(problem.field, problem.allowed) for problem in caught.value.problems]


def test_a_net_is_asked_to_be_three_phase(tmp_path):
    net = street()
    net.asymmetric_load = net.asymmetric_load.iloc[:0]
    assert "net.json" in imported(net, tmp_path).files
    made = imported(net, tmp_path, three_phase=True)
    assert made.files["homes.csv"]["phases"].tolist() == ["abc"]
    net.line = net.line.drop(columns=["r0_ohm_per_km"])
    net.trafo.loc[0, "vector_group"] = "Yzn"
    assert refused(net, tmp_path, three_phase=True) == [
        ("line.r0_ohm_per_km", "missing; a load flow of three phases needs it, and no line has it"),
        ("trafo 0", "Dyn, YNyn, YNd or Dd: windings in delta, or in wye with an earthed neutral"),
    ]


def test_elements_that_are_not_supported_are_named(tmp_path):
    net = street()
    pp.create_sgen(net, 2, 0.01)
    pp.create_shunt(net, 2, 0.01)
    pp.create_switch(net, 2, 3, "b")
    net.line.loc[1, "x0_ohm_per_km"] = np.nan
    assert [field for field, _ in refused(net, tmp_path)] == [
        "sgen 0", "shunt 0", "switch 0", "line 1"]  # fmt: skip


def test_loads_and_taps_that_are_not_supported_are_named(tmp_path):
    net = street()
    net.load["const_z_p_percent"] = 50.0
    assert refused(net, tmp_path) == [
        ("load 0", "constant power; it has shares of impedance or current")
    ]
    net.load["const_z_p_percent"] = 0.0
    net.trafo["tap_changer_type"] = "Ideal"
    assert refused(net, tmp_path) == [
        ("trafo 0", "a tap changer of type Ratio, or in its neutral position")
    ]


def test_what_is_assumed_is_said(tmp_path):
    net = street()
    pp.create_asymmetric_load(net, 2, name="nobody")
    net.trafo["tap_changer_type"] = None
    notes = imported(net, tmp_path).notes
    assert "1 x load of 0 kW left out: nobody" in notes
    assert any("impedance of s_sc_max_mva, 500 MVA" in note for note in notes)
    assert any(note.startswith("trafo 0: tap_pos -1 has no effect") for note in notes)


def test_a_shift_that_does_not_go_with_the_group(tmp_path):
    net = street()
    net.trafo.loc[0, "shift_degree"] = 0.0
    assert refused(net, tmp_path) == [
        ("trafo 0", "a shift_degree that goes with Dyn: 30, 90 and so on")
    ]


def test_open_lines_stay_and_lines_out_of_service_go(tmp_path):
    net = street()
    pp.create_line_from_parameters(net, 1, 3, 0.1, 0.3, 0.1, 0.0, 0.2, r0_ohm_per_km=1.0,
                                   x0_ohm_per_km=0.3, c0_nf_per_km=0.0)  # fmt: skip
    pp.create_switch(net, 1, 2, "l", closed=False)
    net.line = net.line._append(net.line.loc[0], ignore_index=True)
    net.line.loc[3, "in_service"] = False
    made = imported(net, tmp_path)
    assert made.files["lines.csv"]["open"].fillna(0).tolist() == [0, 0, 1]
    assert "1 x line out of service left out" in made.notes
