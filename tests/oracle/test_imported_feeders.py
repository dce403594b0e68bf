"""Nets of pandapower, SimBench and MATPOWER, imported: voltages as pandapower solves the source."""

import warnings

import numpy as np
import pandapower as pp
import pytest

from abm.cli import main
from abm.grid import build_feeder, make_solver
from abm.grid.importing import import_feeder
from abm.grid.sources import read_source
from abm.results.staging import write_content
from abm.scenario.feeder import read_feeder
from abm.scenario.names import shipped_files

SHIPPED = shipped_files("feeders")["case33bw"]

# Those of Kerber draw lengths at random, so that each call gives another net.
NETS = (
    "case33bw",
    "create_cigre_network_mv",
    "create_cigre_network_mv,with_der=pv_wind",
    "create_cigre_network_lv",
    "mv_oberrhein",
    "four_loads_with_branches_out",
    "panda_four_load_branch",
    "simple_four_bus_system",
    "simple_mv_open_ring_net",
    "create_kerber_landnetz_freileitung_1",
    "create_kerber_landnetz_freileitung_2",
    "create_kerber_landnetz_kabel_1",
    "create_kerber_dorfnetz",
    "kb_extrem_landnetz_freileitung",
    "kb_extrem_landnetz_kabel_trafo",
    "create_dickert_lv_network",
    "create_synthetic_voltage_control_lv_network",
)


def solved(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp(net, numba=False, tolerance_mva=1e-10)
    return net


def written(made, folder):
    for name, content in made.files.items():
        write_content(folder / name, content, (folder / name).suffix)
    return build_feeder(read_feeder(folder, None))


def compare(feeder, net):
    flow = make_solver("power-grid-model", feeder).solve(feeder.p_mw[None], feeder.q_mvar[None])
    vm_pu = net.res_bus["vm_pu"].loc[feeder.bus_index].to_numpy()
    assert np.abs(flow.vm_pu[0] - vm_pu).max() < 1e-9
    lines = net.res_line["i_ka"].loc[feeder.line_index].to_numpy()
    assert np.abs(flow.i_a[0] - 1e3 * lines).max() < 1e-4
    assert flow.slack_p_mw[0] == pytest.approx(net.res_ext_grid["p_mw"].sum(), abs=1e-6)
    named = [int(name.removeprefix("N")) for name in feeder.bus_names]
    assert named == sorted(net.res_bus.index[net.res_bus["vm_pu"].notna()])


@pytest.mark.parametrize("name", NETS)
def test_a_net_of_pandapower(name, tmp_path):
    net = read_source(f"pandapower:{name}").net
    path = tmp_path / "source.json"
    pp.to_json(net, str(path))
    compare(written(import_feeder(str(path)), tmp_path), solved(net))


@pytest.mark.parametrize("code", ["1-MV-urban--0-sw"])
def test_a_net_of_simbench(code, tmp_path, monkeypatch):
    """Seconds are spent on reading SimBench's tables, so that it is read once."""
    source = read_source(f"simbench:{code}")
    monkeypatch.setattr("abm.grid.importing.read_source", lambda reference: source)
    made = import_feeder(f"simbench:{code}")
    assert {"pv", "residential"} <= set(made.classes)
    # The same bytes in each process.
    for kind in ("bus", "line", "trafo", "load", "sgen"):
        assert list(source.net[kind]) == sorted(source.net[kind])
    compare(written(made, tmp_path), solved(source.net))


def everything():
    """Three voltages, two transformers in parallel with taps, three windings, switches, sgen."""
    net = pp.create_empty_network(f_hz=50.0)
    grid = pp.create_bus(net, 110.0, index=3, name="HV")
    bar = pp.create_bus(net, 20.0, index=5, name="MV bar")
    twin = pp.create_bus(net, 20.0, index=6)
    town, farm = pp.create_bus(net, 20.0, index=9), pp.create_bus(net, 20.0, index=11)
    low, ten = pp.create_bus(net, 0.4, index=20), pp.create_bus(net, 10.0, index=21)
    pp.create_ext_grid(net, grid, vm_pu=1.02)
    for tap in (2, -1):
        index = pp.create_transformer(net, grid, bar, "25 MVA 110/20 kV", tap_pos=tap)
        net.trafo.loc[index, "tap_changer_type"] = "Ratio"
    pp.create_switch(net, bar, twin, et="b")
    cable = "NA2XS2Y 1x240 RM/25 12/20 kV"
    pp.create_line(net, twin, town, 3.0, cable, parallel=2)
    pp.create_line(net, twin, town, 3.5, cable)
    out = pp.create_line(net, town, farm, 2.0, cable)
    tie = pp.create_line(net, bar, farm, 4.0, cable)
    pp.create_switch(net, farm, tie, et="l", closed=False)
    pp.create_switch(net, town, out, et="l", closed=True)
    pp.create_transformer(net, town, low, "0.63 MVA 20/0.4 kV", tap_pos=1)
    pp.create_transformer3w_from_parameters(
        net, grid, twin, ten, 110.0, 20.0, 10.0, 40.0, 25.0, 15.0,
        vk_hv_percent=10.0, vk_mv_percent=11.0, vk_lv_percent=12.0, vkr_hv_percent=0.3,
        vkr_mv_percent=0.31, vkr_lv_percent=0.32, pfe_kw=30.0, i0_percent=0.1,
    )  # fmt: skip
    pp.create_load(net, town, 3.0, 1.0, name="shops and offices")
    pp.create_load(net, farm, 1.0, 0.2, scaling=0.5)
    pp.create_load(net, ten, 2.0, 0.4, name="industrial")
    pp.create_load(net, low, 0.2, 0.05)
    pp.create_load(net, low, 9.9, 0.0, in_service=False)
    pp.create_load(net, farm, -0.3, 0.0, name="old wind turbine")
    pp.create_sgen(net, low, 0.1, 0.01, type="PV")
    pp.create_sgen(net, low, 0.05, 0.0, type="PV", scaling=0.8)
    pp.create_sgen(net, low, 0.03, 0.0, name="CHP")
    pp.create_shunt(net, bar, q_mvar=-1.0)
    return net


def test_voltages_transformers_switches_and_generation_together(tmp_path):
    net = everything()
    pp.to_json(net, str(tmp_path / "source.json"))
    made = import_feeder(str(tmp_path / "source.json"))
    feeder = written(made, tmp_path)
    compare(feeder, solved(net))
    assert feeder.load_p_mw.sum() == pytest.approx(3.0 + 0.5 + 2.0 + 0.2)
    rows = made.files["generation.csv"].to_dict("list")
    assert rows["bus"] == [11, 20, 20]
    assert rows["generation_class"] == ["wind", "generation", "pv"]
    assert rows["p_mw"] == pytest.approx([0.3, 0.03, 0.14])
    loading = net.res_trafo["loading_percent"]
    flow = make_solver("power-grid-model", feeder).solve(feeder.p_mw[None], feeder.q_mvar[None])
    assert flow.transformer_percent[0, :3] == pytest.approx(loading.to_numpy(), abs=1e-6)
    buses = made.files["buses.csv"].set_index("bus")["customer_class"]
    assert (buses[9], buses[21], buses[20]) == ("commercial", "industrial", "residential")


def excel(net, path):
    """As pandapower.to_excel writes it, with the library that reads it."""
    import pandas as pd
    from pandapower.io_utils import to_dict_of_dfs

    with pd.ExcelWriter(path, engine="openpyxl") as book:
        for sheet, table in to_dict_of_dfs(net).items():
            table.to_excel(book, sheet_name=sheet)


def test_a_workbook_of_pandapower(tmp_path):
    net = read_source("pandapower:create_cigre_network_mv,with_der=pv_wind").net
    excel(net, tmp_path / "mv.xlsx")
    compare(written(import_feeder(str(tmp_path / "mv.xlsx")), tmp_path), solved(net))


# --- MATPOWER ----------------------------------------------------------------------------------


def case_tables():
    """Bus, generator and branch tables with lines, a tie, taps and a shift, a shunt, ratings."""
    bus = [
        [10, 3, 0, 0, 0, 0, 1, 1, 0, 110, 1, 1.1, 0.9],
        [20, 1, 5, 2, 0, 0, 1, 1, 0, 20, 1, 1.1, 0.9],
        [30, 1, 2, 1, 0, 0.5, 1, 1, 0, 20, 1, 1.1, 0.9],
        [41, 1, 1, 0.3, 0, 0, 1, 1, 0, 20, 1, 1.1, 0.9],
        [42, 1, -0.5, 0, 0, 0, 1, 1, 0, 10, 1, 1.1, 0.9],
    ]
    gen = [
        [10, 0, 0, 10, -10, 1.02, 100, 1, 10, 0],
        [41, 0.4, 0.1, 10, -10, 1, 100, 1, 10, 0],
    ]
    branch = [
        [10, 20, 0.001, 0.05, 0, 40, 0, 0, 0.975, 30, 1, -360, 360],
        [20, 30, 0.02, 0.03, 0.001, 12, 0, 0, 0, 0, 1, -360, 360],
        [20, 41, 0.02, 0.03, 0.001, 0, 0, 0, 0, 0, 1, -360, 360],
        [30, 41, 0.02, 0.03, 0.001, 0, 0, 0, 0, 0, 0, -360, 360],
        [41, 42, 0.01, 0.2, 0, 0, 0, 0, 0, 0, 1, -360, 360],
    ]
    return {"bus": bus, "gen": gen, "branch": branch}


def case_text(tables, tail=""):
    text = "function mpc = small\n% A case.\nmpc.version = '2';\nmpc.baseMVA = 10;\n"
    for name, rows in tables.items():
        lines = ";\n".join("\t" + "\t".join(f"{value:g}" for value in row) for row in rows)
        text += f"mpc.{name} = [\n{lines};\n];\n"
    return text + tail


def mismatch(tables, feeder):
    """Largest power missing at a bus, MVA, with MATPOWER's own admittances and our voltages."""
    from pandapower.pypower.makeYbus import makeYbus

    ppc = {name: np.array(rows, dtype=float) for name, rows in tables.items()}
    number = ppc["bus"][:, 0].copy()
    place = {one: at for at, one in enumerate(number)}
    branch = np.zeros((int(ppc["branch"][:, 10].sum()), 26))
    branch[:, :13] = ppc["branch"][ppc["branch"][:, 10] == 1]
    for end in (0, 1):
        branch[:, end] = [place[one] for one in branch[:, end]]
    bus = np.hstack([ppc["bus"], np.zeros((len(number), 2))])
    bus[:, 0] = np.arange(len(bus))
    flow = make_solver("pandapower", feeder).solve(feeder.p_mw[None], feeder.q_mvar[None])
    v = flow.vm_pu[0] * np.exp(1j * flow.va_rad[0])
    power = 10.0 * v * np.conj(makeYbus(10.0, bus, branch)[0] @ v)
    wanted = -(bus[:, 2] + 1j * bus[:, 3])
    wanted[place[41]] += 0.4 + 0.1j
    return np.abs(power - wanted)[1:].max()


@pytest.mark.parametrize("suffix", [".m", ".mat"])
def test_a_case_of_matpower_keeps_its_power_flow(suffix, tmp_path):
    tables = case_tables()
    path = tmp_path / f"small{suffix}"
    if suffix == ".m":
        path.write_text(case_text(tables))
    else:
        from scipy.io import savemat

        savemat(path, {"mpc": {"version": "2", "baseMVA": 10.0, **tables}})
    made = import_feeder(str(path))
    feeder = written(made, tmp_path)
    assert feeder.bus_numbers.tolist() == [10, 20, 30, 41, 42]
    assert mismatch(tables, feeder) < 1e-8
    lines = made.files["lines.csv"]
    assert lines["open"].tolist() == [0, 0, 1]
    assert lines["ampacity_a"].iloc[0] == pytest.approx(12e3 / np.sqrt(3) / 20)
    assert lines["ampacity_a"].isna().tolist() == [False, True, True]
    rows = made.files["generation.csv"]
    assert rows[["bus", "p_mw"]].values.tolist() == [[41, 0.4], [42, 0.5]]


TAIL = """
%% convert branch impedances from Ohms to p.u.
[PQ, PV, REF, NONE, BUS_I, BUS_TYPE, PD, QD, GS, BS, BUS_AREA, VM, ...
    VA, BASE_KV, ZONE, VMAX, VMIN, LAM_P, LAM_Q, MU_VMAX, MU_VMIN] = idx_bus;
[F_BUS, T_BUS, BR_R, BR_X, BR_B, RATE_A, RATE_B, RATE_C, ...
    TAP, SHIFT, BR_STATUS, PF, QF, PT, QT, MU_SF, MU_ST, ...
    ANGMIN, ANGMAX, MU_ANGMIN, MU_ANGMAX] = idx_brch;
Vbase = mpc.bus(1, BASE_KV) * 1e3;      %% in Volts
Sbase = mpc.baseMVA * 1e6;              %% in VA
mpc.branch(:, [BR_R BR_X]) = mpc.branch(:, [BR_R BR_X]) / (Vbase^2 / Sbase);

%% convert loads from kW to MW
mpc.bus(:, [PD, QD]) = mpc.bus(:, [PD, QD]) / 1e3;
"""
POWER_FACTOR = """
pf = 0.85;
mpc.bus(:, QD) = mpc.bus(:, PD) * sin(acos(pf));
mpc.bus(:, PD) = mpc.bus(:, PD) * pf;
"""


def in_kw_and_ohm():
    """The shipped feeder as MATPOWER has it."""
    values = read_feeder(SHIPPED, None)
    bus = [
        [n, 3 if n == 1 else 1, p * 1e3, q * 1e3, 0, 0, 1, 1, 0, 12.66, 1, 1.1, 0.9]
        for n, p, q in zip(values.buses, values.values.p_mw, values.values.q_mvar, strict=True)
    ]
    branch = [
        [one, other, r, x, 0, 0, 0, 0, 0, 0, 1 - is_open, -360, 360]
        for one, other, r, x, is_open in zip(
            values.line_from,
            values.line_to,
            values.values.r_ohm,
            values.values.x_ohm,
            values.is_open.astype(int),
            strict=True,
        )
    ]
    return {"bus": bus, "gen": [[1, 0, 0, 10, -10, 1, 100, 1, 10, 0]], "branch": branch}


def test_kw_and_ohm_are_converted_as_the_case_says(tmp_path):
    path = tmp_path / "case33bw.m"
    path.write_text(case_text(in_kw_and_ohm(), TAIL))
    feeder = written(import_feeder(str(path)), tmp_path)
    own = build_feeder(read_feeder(SHIPPED, None))
    found, wanted = (
        make_solver("power-grid-model", one).solve(own.p_mw[None], own.q_mvar[None])
        for one in (feeder, own)
    )
    assert np.abs(found.vm_pu - wanted.vm_pu).max() < 1e-9
    assert found.loss_mw[0] == pytest.approx(0.202677, abs=1e-6)
    assert feeder.p_mw == pytest.approx(own.p_mw, abs=1e-12)


def test_a_power_factor_is_heeded(tmp_path):
    path = tmp_path / "kva.m"
    path.write_text(case_text(in_kw_and_ohm(), TAIL + POWER_FACTOR))
    feeder = written(import_feeder(str(path)), tmp_path)
    assert feeder.p_mw.sum() == pytest.approx(3.715 * 0.85)
    assert feeder.q_mvar.sum() == pytest.approx(3.715 * np.sin(np.arccos(0.85)))


def test_the_verb_writes_a_folder_that_run_takes(tmp_path, capsys):
    out = tmp_path / "mv"
    assert main(["feeder", "import", "pandapower:create_cigre_network_mv", "--out", str(out),
                 "--zones", "buses:3,5"]) == 0  # fmt: skip
    said = capsys.readouterr()
    assert "2 zones with " in said.out
    assert "0.9230 p.u. at N11" in said.out
    changes = (f"grid.feeder={out}", "grid.demand_limit_mw=50", "fleet.evs_per_zone=3")
    run = ["run", "paper", "--out", str(tmp_path / "run"), "--no-figures"]
    for change in changes:
        run += ["--set", change]
    assert main(run) == 0
    import pandas as pd

    buses = pd.read_parquet(tmp_path / "run" / "bus_hour.parquet")
    assert sorted(buses["bus"].unique()) == list(range(15))
    zones = pd.read_parquet(tmp_path / "run" / "zones.parquet")
    assert zones["bus"].tolist() == [3, 5]
    # Nothing is overwritten without being told to.
    again = ["feeder", "import", "pandapower:case33bw", "--out", str(out)]
    assert main(again) == 2
    assert "--force" in capsys.readouterr().err
