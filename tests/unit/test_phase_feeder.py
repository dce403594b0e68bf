"""Folders of three-phase feeders: the arrays they give, and what is said about wrong ones."""

# ruff: noqa: E501
import shutil

import numpy as np
import pytest

from abm.errors import InputError
from abm.scenario.feeder import read_feeder
from abm.scenario.names import shipped_files

EUROPEAN = shipped_files("feeders")["ieee_european_lv"]

# Two streets below two transformers, and a third network without homes.
FILES = {
    "feeder.yaml": """three_phase: true
description: two streets
source_bus: sub
source_vm_pu: 1.02
source_r1_ohm: 0.5
source_x1_ohm: 2
source_r0_ohm: 1
source_x0_ohm: 5
""",
    "buses.csv": """bus,vn_kv,x,y
sub,11,0,0
mv,11,100,0
s1,0.4,100,10
s2,0.4,100,20
p1,0.4,200,10
p2,0.4,,
""",
    "linecodes.csv": """linecode,r1_ohm_per_km,x1_ohm_per_km,r0_ohm_per_km,x0_ohm_per_km,b1_us_per_km,b0_us_per_km,ampacity_a,r_aa,r_ba,r_bb,x_aa,x_ba,x_bb,b_aa,b_ba,b_bb
cable,0.3,0.1,1.2,0.4,60,30,200,,,,,,,,,
service,1.5,0.08,1.8,0.1,,,,,,,,,,,,
pair,,,,,,,90,0.5,0.1,0.6,0.3,0.12,0.35,4,-1,5
""",
    "lines.csv": """line,from_bus,to_bus,phases,linecode,length_m,ampacity_a,open
main,sub,mv,abc,cable,1000,,
street,s1,s2,abc,cable,200,150,
lane,p1,p2,cb,pair,50,,0
tie,s2,p1,abc,cable,80,,1
""",
    "transformers.csv": """transformer,from_bus,to_bus,connection,vn_from_kv,vn_to_kv,sn_kva,r_percent,x_percent,noload_percent,tap_from,tap_to
t_pond,mv,p1,Dyn11,11,0.42,100,1.5,4,0.2,1.05,
t_street,mv,s1,Dyn1,11,0.4,200,1.2,4,,,
""",
    "capacitors.csv": """capacitor,bus,phases,connection,kv,kvar
cap,mv,abc,wye,11,300
pair,mv,bc,delta,11,100
""",
    "homes.csv": """home,bus,phases,connection,p_kw,q_kvar,power_factor,customer_class,charger_phase
1 Street,s2,a,,2,0.5,,,
2 Street,s2,abc,wye,6,,0.9,commercial,b
1 Pond,p2,c,,1,0,,residential,
shop,s1,abc,delta,9,,0.95,,c
""",
}


def written(folder, changes=()):
    """The folder, with (file, old, new) changed in it; new None: the file is left out."""
    texts = dict(FILES)
    for name, old, new in changes:
        if new is None:
            del texts[name]
            continue
        assert old in texts[name]
        texts[name] = texts[name].replace(old, new)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def read(folder, *changes, classes=("residential", "commercial")):
    return read_feeder(written(folder, changes), classes)


def said(folder, *changes, classes=("residential", "commercial")):
    with pytest.raises(InputError) as caught:
        read(folder, *changes, classes=classes)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


# --- what is right -------------------------------------------------------------------------------


def test_homes_are_the_buses_of_the_table(tmp_path):
    table = read(tmp_path)
    assert table.labels.bus.tolist() == ["1 Street", "2 Street", "1 Pond", "shop"]
    assert table.buses.tolist() == [1, 2, 3, 4]
    assert table.customer_class.tolist() == [
        "residential", "commercial", "residential", "residential"]  # fmt: skip
    assert table.customers.tolist() == [1.0] * 4
    # Transformers in their order: the pond is first.
    assert table.zone.tolist() == [2, 2, 1, 2]
    assert table.labels.x.tolist()[:2] == [100.0, 100.0]
    assert np.isnan(table.labels.x[2])
    assert (table.line_from.dtype, table.ampacity_a.dtype) == (np.int64, np.float64)
    assert len(table.line_from) == len(table.line_to) == len(table.ampacity_a) == 0
    assert table.phases.n_home == 4


def test_sequence_impedances_become_matrices(tmp_path):
    values = read(tmp_path).phases
    assert values.line.tolist() == ["main", "street", "lane"]  # the tie is open
    own, mutual = (2 * (0.3 + 0.1j) + 1.2 + 0.4j) / 3, (1.2 + 0.4j - 0.3 - 0.1j) / 3
    wanted = np.full((3, 3), mutual) + np.eye(3) * (own - mutual)
    assert values.line_z_ohm[0] == pytest.approx(wanted, rel=1e-14)
    assert values.line_z_ohm[1] == pytest.approx(0.2 * wanted, rel=1e-14)
    assert np.linalg.eigvals(values.line_y_siemens[0]).imag == pytest.approx(
        [60e-6, 60e-6, 30e-6], rel=1e-6
    ) or sorted(np.linalg.eigvals(values.line_y_siemens[0]).imag) == pytest.approx(
        [30e-6, 60e-6, 60e-6]
    )
    assert values.line_ampacity_a.tolist() == [200.0, 150.0, 90.0]


def test_a_matrix_goes_by_the_phases_of_its_line(tmp_path):
    values = read(tmp_path).phases
    z, y = values.line_z_ohm[2] / 0.05, values.line_y_siemens[2] / 0.05
    assert values.line_phases[2].tolist() == [False, True, True]
    assert z[1:, 1:] == pytest.approx(
        np.array([[0.5 + 0.3j, 0.1 + 0.12j], [0.1 + 0.12j, 0.6 + 0.35j]])
    )
    assert y[1:, 1:] == pytest.approx(1e-6j * np.array([[4, -1], [-1, 5]]))
    assert not z[0].any()
    assert not z[:, 0].any()


def test_transformers_capacitors_and_homes(tmp_path):
    values = read(tmp_path).phases
    assert values.to_lag_degree.tolist() == [330.0, 30.0]
    assert values.from_delta.all()
    assert not values.to_delta.any()
    assert values.tap_from.tolist() == [1.05, 1.0]
    assert values.noload_percent.tolist() == [0.2, 0.0]
    wye, delta = values.capacitor_y_siemens
    assert wye == pytest.approx(1j * np.eye(3) * 0.1 / (11**2 / 3))
    b = 1j * 0.1 / 11**2
    assert delta == pytest.approx(np.array([[0, 0, 0], [0, b, -b], [0, -b, b]]))
    # 300 kvar at rated voltage.
    v = 11 / 3**0.5 * np.exp(-2j * np.pi / 3 * np.arange(3))
    assert (v @ np.conj(wye @ v)).imag == pytest.approx(-0.3)
    assert values.home_q_kvar == pytest.approx([0.5, 6 * np.tan(np.arccos(0.9)), 0.0,
                                                9 * np.tan(np.arccos(0.95))])  # fmt: skip
    assert values.home_delta.tolist() == [False, False, False, True]
    assert values.charger_phase.tolist() == [-1, 1, -1, 2]
    assert values.source_z0_ohm == 1 + 5j
    assert values.source_vm_pu == 1.02


def test_what_may_be_left_out(tmp_path):
    nothing = ("transformers.csv", "", None), ("capacitors.csv", "", None)
    low = ("buses.csv", ",11,", ",0.4,")
    joined = ("lines.csv", "tie,", "on,mv,s1,abc,cable,10,,\ntie,")
    values = read(tmp_path, *nothing, low, joined, ("lines.csv", "80,,1", "80,,0")).phases
    assert len(values.transformer) == len(values.capacitor) == 0
    assert values.capacitor_y_siemens.shape == (0, 3, 3)


def test_a_mesh_is_no_island(tmp_path):
    assert len(read(tmp_path, ("lines.csv", "80,,1", "80,,0")).phases.line) == 4


def test_zones_of_the_table(tmp_path):
    columns = ("homes.csv", "charger_phase\n", "charger_phase,zone\n")
    rows = [("homes.csv", "\n2 Street", ",2\n2 Street"), ("homes.csv", ",b\n", ",b,1\n"),
            ("homes.csv", "residential,\n", "residential,,\n"), ("homes.csv", ",c\n", ",c,2\n")]  # fmt: skip
    table = read(tmp_path, columns, *rows)
    assert table.zone.tolist() == [2, 1, 0, 2]
    assert table.n_zones == 2
    rows[3] = ("homes.csv", ",c\n", ",c,4\n")
    assert said(tmp_path, columns, *rows) == [
        "homes.csv:5: zone = 4: zones without gaps from 1 up; zone 3 is missing (home shop)"
    ]


def test_the_european_feeder_is_shipped():
    table = read_feeder(EUROPEAN, ("residential",))
    values = table.phases
    assert (len(values.bus), len(values.line), values.n_home) == (907, 905, 55)
    assert np.isfinite(values.x[1:]).all()
    assert table.n_zones == 1
    assert values.home_phases.sum(axis=0).tolist() == [21, 19, 15]
    assert values.home_q_kvar == pytest.approx(np.full(55, np.tan(np.arccos(0.95))))


# --- what is wrong -------------------------------------------------------------------------------

WRONG = {
    "unknown bus": (
        [("lines.csv", "street,s1,s2", "street,s1,p22")],
        ["lines.csv:3: to_bus = p22: a bus of buses.csv (line street; did you mean 'p2'?)"],
    ),
    "unknown linecode": (
        [("lines.csv", "cable,200", "cabel,200")],
        [
            "lines.csv:3: linecode = cabel: a linecode of linecodes.csv "
            "(line street; did you mean 'cable'?)"
        ],
    ),
    "doubled names": (
        [("homes.csv", "2 Street", "1 Street"), ("buses.csv", "p2,0.4", "p1,0.4"),
         ("lines.csv", "p1,p2", "p1,s2"), ("homes.csv", "Pond,p2", "Pond,s2")],
        ["buses.csv:7: bus = p1: each name once; it is on line 6 already",
         "homes.csv:3: home = 1 Street: each name once; it is on line 2 already"],
    ),
    "an island": (
        [("transformers.csv", "t_street,mv,s1", "t_street,mv,p1")],
        [
            "buses.csv:4: bus = s1: a bus that closed lines and transformers join to source_bus "
            "sub; it is one of 2 (s1, s2), with 3 homes"
        ],
    ),
    "a phase that is not there": (
        [("homes.csv", "1 Pond,p2,c", "1 Pond,p2,a")],
        ["homes.csv:4: phases = a: phases that bus p2 has from the source: bc (home 1 Pond)"],
    ),
    "a line with a phase that nothing feeds": (
        [("lines.csv", "tie,s2,p1,abc,cable,80,,1", "more,p2,x,abc,cable,80,,0"),
         ("buses.csv", "p2,0.4,,\n", "p2,0.4,,\nx,0.4,,\n")],
        ["lines.csv:5: phases = abc: phases with supply; a has none (line more)"],
    ),
    "zero impedance": (
        [("linecodes.csv", "cable,0.3,0.1", "cable,0,0")],
        [
            "linecodes.csv:2: r1_ohm_per_km = 0: an impedance: r1 and x1 are both 0; join the "
            "buses of a busbar (linecode cable)"
        ],
    ),
    "a matrix without inverse": (
        [("linecodes.csv", "0.5,0.1,0.6,0.3,0.12,0.35", "0.5,0.5,0.5,0.3,0.3,0.3")],
        [
            "linecodes.csv:4: linecode = pair: an impedance matrix that has an inverse; this of 2 "
            "conductors has none"
        ],
    ),
    "a matrix of another size": (
        [("lines.csv", "p1,p2,cb", "p1,p2,c")],
        [
            "lines.csv:4: linecode = pair: a code of 1 conductors, one for each phase of the "
            "line; this has 2 (line lane)"
        ],
    ),
    "volts for kV": (
        [("transformers.csv", "Dyn11,11,0.42", "Dyn11,11,420")],
        ["transformers.csv:2: vn_to_kv = 420: close to the 0.4 kV of to_bus; is it in V? "
         "(transformer t_pond)"],
    ),
    "volts for kV at every bus": (
        [("buses.csv", "s1,0.4", "s1,11"), ("buses.csv", "s2,0.4", "s2,11"), ("buses.csv", "p1,0.4", "p1,11"),
         ("buses.csv", "p2,0.4", "p2,11"), ("buses.csv", ",11,", ",400,"),
         ("transformers.csv", "11,0.42", "400,420"), ("transformers.csv", "11,0.4", "400,400"),
         ("transformers.csv", "420,100", "420,10000"), ("transformers.csv", ",200,", ",2000,"),
         ("capacitors.csv", ",11,", ",400,")],
        ["homes.csv:5: bus = s1: a bus of homes; at its 400 kV 9 kW are a few mA: is vn_kv in V? "
         "(home shop)"],
    ),
    "ends of a transformer": (
        [("transformers.csv", "t_street,mv,s1", "t_street,s1,mv")],
        ["transformers.csv:3: vn_from_kv = 11: close to the 0.4 kV of from_bus; are the ends the "
         "other way round? (transformer t_street)",
         "transformers.csv:3: vn_to_kv = 0.4: close to the 11 kV of to_bus; are the ends the "
         "other way round? (transformer t_street)"],
    ),
    "a connection that is none": (
        [("transformers.csv", "Dyn11", "Dyn4"), ("transformers.csv", "Dyn1,", "Yyn0,")],
        [f"transformers.csv:{line}: connection = {word}: windings and clock hour, such as Dyn11, "
         "YNyn0, YNd1, Dd0: D, YN, d and yn (wye with an earthed neutral); the hour is even from "
         f"wye to wye and delta to delta, odd between them (transformer {name})"
         for line, word, name in ((2, "Dyn4", "t_pond"), (3, "Yyn0", "t_street"))],
    ),
    "MVA for kVA": (
        [("transformers.csv", "0.42,100", "0.42,0.1"), ("transformers.csv", "0.4,200", "0.4,1.2")],
        ["transformers.csv:2: sn_kva = 0.1: from 1 to 1000000 kVA; is it in MVA? "
         "(transformer t_pond)",
         "transformers.csv:3: sn_kva = 1.2: kVA; at 0.4 kV it is 1.73 A: is it in MVA? "
         "(transformer t_street)"],
    ),
    "VA for kVA": (
        [("transformers.csv", "0.42,100", "0.42,100000")],
        ["transformers.csv:2: sn_kva = 100000: kVA; at 0.42 kV it is 1.37e+05 A: is it in VA? "
         "(transformer t_pond)"],
    ),
    "W for kW": (
        [("homes.csv", "s2,a,,2,", "s2,a,,2000,")],
        ["homes.csv:2: p_kw = 2000: kW; at 0.4 kV it is 8.66e+03 A in a phase: is it in W? "
         "(home 1 Street)"],
    ),
    "homes beyond their transformer": (
        [("homes.csv", "1 Pond,p2,c,,1,", "1 Pond,p2,c,,300,"), ("transformers.csv", "100,1.5", "20,1.5")],
        ["transformers.csv:2: sn_kva = 20: a rating that goes with its 1 homes, which add up to "
         "300 kW: are they in W, or is it in MVA? (transformer t_pond)"],
    ),
    "MW for kW": (
        [("homes.csv", ",2,0.5", ",0.002,0.5"), ("homes.csv", "wye,6", "wye,0.006"),
         ("homes.csv", "c,,1,0", "c,,0.001,0"), ("homes.csv", "delta,9", "delta,0.009")],
        ["homes.csv:2: p_kw = 0.002: kW; the largest home has 0.009 kW: are they in MW? "
         "(home 1 Street)"],
    ),
    "kA for A": (
        [("lines.csv", "200,150", "200,0.15")],
        ["lines.csv:3: ampacity_a = 0.15: from 1 to 20000 A, or empty where it is not known; is "
         "it in kA? (line street)"],
    ),
    "ohm per m": (
        [("linecodes.csv", "0.3,0.1,1.2,0.4", "0.0003,0.0001,0.0012,0.0004"),
         ("linecodes.csv", "1.5,0.08,1.8,0.1", "0.0015,0.00008,0.0018,0.0001"),
         ("linecodes.csv", "0.5,0.1,0.6,0.3,0.12,0.35", "0.0005,0.0001,0.0006,0.0003,0.00012,0.00035")],
        ["linecodes.csv:2: r1_ohm_per_km = 0.0003: ohm per km; the largest of all is 0.0016: are "
         "they ohm per m? (linecode cable)"],
    ),
    "km for m": (
        [("lines.csv", "1000,,", "1,,"), ("lines.csv", "200,150", "0.2,150"), ("lines.csv", "50,,0", "0.05,,0"),
         ("lines.csv", "tie,s2,p1,abc,cable,80,,1", "t2,s2,s1,abc,cable,0.02,,\ntie,s2,p1,abc,cable,0.03,,1")],
        ["lines.csv:2: length_m = 1: m; the lines have 0.26 m on average: are they in km?"
         " (line main)"],
    ),
    "a line between two voltages": (
        [("lines.csv", "tie,s2,p1", "tie,mv,p1")],
        ["lines.csv:5: to_bus = p1: a bus of the voltage of from_bus, 11 kV; it has 0.4 kV "
         "(line tie)"],
    ),
    "homes": (
        [("homes.csv", "s2,a,,2,0.5,,", "s2,a,delta,2,0.5,0.9,"), ("homes.csv", "p2,c,,1,0,,residential,",
          "p2,c,,1,,,residential,a")],
        ["homes.csv:2: connection = delta: wye, with one phase (home 1 Street)",
         "homes.csv:2: power_factor = 0.9: either q_kvar or power_factor, not both "
         "(home 1 Street)",
         "homes.csv:4: charger_phase = a: one of the phases of the home, c (home 1 Pond)",
         "homes.csv:4: power_factor: missing; power_factor or q_kvar (home 1 Pond)"],
    ),
    "the head": (
        [("feeder.yaml", "source_bus: sub", "source_bus: sup"), ("feeder.yaml", "1.02", "11"),
         ("feeder.yaml", "description", "net: x.json\ndescription")],
        ["feeder.yaml:5: source_vm_pu = 11: a number at least 0.8 and at most 1.2",
         "feeder.yaml:2: net = \"x.json\": unknown field (known: three_phase, description, source, f_hz, source_bus, source_vm_pu, source_va_degree, source_r1_ohm, source_x1_ohm, source_r0_ohm, source_x0_ohm)",
         "feeder.yaml:4: source_bus = \"sup\": a bus of buses.csv (did you mean 'sub'?)",
         ],
    ),
    "a tap in per cent": (
        [("transformers.csv", "0.2,1.05,", "0.2,5,")],
        ["transformers.csv:2: tap_from = 5: from 0.5 to 1.5 p.u. of the rated voltage, or empty "
         "for 1 (transformer t_pond)"],
    ),
    "both kinds of impedance": (
        [("linecodes.csv", "cable,0.3,0.1,1.2,0.4,60,30,200,,", "cable,0.3,0.1,1.2,0.4,60,30,200,0.3,")],
        ["linecodes.csv:2: r_aa = 0.3: empty: the code has sequence impedances (linecode cable)"],
    ),
    "half of the impedances": (
        [("linecodes.csv", "cable,0.3,0.1,1.2,0.4", "cable,0.3,0.1,,0.4"),
         ("linecodes.csv", "0.12,0.35", "0.12,")],
        ["linecodes.csv:2: r0_ohm_per_km: missing; all of r1, x1, r0 and x0 (linecode cable)",
         "linecodes.csv:4: x_bb: missing; the lower triangles of r and x of 2 conductors "
         "(linecode pair)"],
    ),
    "a capacitor": (
        [("capacitors.csv", "wye,11", "wye,0.4"), ("capacitors.csv", "pair,mv,bc", "pair,mv,b")],
        ["capacitors.csv:2: kv = 0.4: close to the 11 kV of its bus (capacitor cap)",
         "capacitors.csv:3: connection = delta: wye, with one phase (capacitor pair)"],
    ),
    "files": (
        [("homes.csv", "", None), ("linecodes.csv", "cable,0.3", "cable,zero")],
        ["homes.csv: file: not found",
         "linecodes.csv:2: r1_ohm_per_km = zero: from 0 to 100 ohm per km; is it in milliohm?"
         " (linecode cable)"],
    ),
    "a class without a column": (
        [("homes.csv", "commercial", "commerce")],
        ["homes.csv:3: customer_class = commerce: a class of the load profile: residential, "
         "commercial; or base_load.class_profiles (home 2 Street; did you mean 'commercial'?)"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_bad_folders_are_refused_with_file_line_and_element(case, tmp_path):
    changes, wanted = WRONG[case]
    assert said(tmp_path, *changes) == wanted


def test_homes_without_a_class_need_the_one_they_stand_for(tmp_path):
    found = said(tmp_path, classes=("house", "commercial"))
    assert found[-1] == (
        "homes.csv:1: customer_class: a class of the load profile for each home, else it is "
        "residential: house, commercial"
    )


def test_three_phases_are_not_denied(tmp_path):
    assert said(tmp_path, ("feeder.yaml", "three_phase: true", "three_phase: false")) == [
        "feeder.yaml:1: three_phase = false: true, or no such key"
    ]


def test_generation_is_not_read(tmp_path):
    (tmp_path / "generation.csv").write_text("bus,generation_class,p_mw,q_mvar\n")
    assert said(tmp_path)[0].startswith("generation.csv: file: no such file in a three-phase")


def test_problems_of_all_files_come_together(tmp_path):
    shutil.copytree(EUROPEAN, tmp_path / "own")
    for name, old, new in (
        ("lines.csv", "line7,7,", "line7,700000,"),
        ("homes.csv", "load3,70,a", "load3,70,d"),
        ("transformers.csv", "0.416", "416"),
    ):
        path = tmp_path / "own" / name
        path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError) as caught:
        read_feeder(tmp_path / "own", ("residential",))
    found = [(p.file.rpartition("/")[2], p.line, p.field, p.value) for p in caught.value.problems]
    assert found == [
        ("lines.csv", 8, "from_bus", "700000"),
        ("transformers.csv", 2, "vn_to_kv", "416"),
        ("homes.csv", 4, "phases", "d"),
    ]


def test_of_a_head_that_cannot_be_read_the_tables_are_not_blamed(tmp_path):
    found = said(tmp_path, ("feeder.yaml", "source_bus: sub", "source_bus: [sub"))
    assert [line.split(": ")[0].partition(":")[0] for line in found] == ["feeder.yaml"]
