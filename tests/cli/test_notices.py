"""What is said beside a result, once: a limit that cannot be meant, and V2G never given back."""

import json

from helpers import ev, write_sessions
from test_cli import SMALL, call, folder

__all__ = ["folder"]  # a fixture that every test takes

GETS_BACK = "nobody gets back what V2G took"
FEW = (*SMALL, "--no-figures", "--out", "out")


def other_feeder(folder):
    """Two buses in tables, 0.5 MW, with the zone at the second."""
    place = folder / "street"
    place.mkdir()
    (place / "feeder.yaml").write_text("vn_kv: 20\nslack_bus: 1\n")
    (place / "buses.csv").write_text(
        "bus,customer_class,zone,p_mw,q_mvar\n1,residential,,0,0\n2,residential,1,0.5,0.1\n"
    )
    (place / "lines.csv").write_text("from_bus,to_bus,ampacity_a,r_ohm,x_ohm\n1,2,300,0.1,0.1\n")
    return ("--set", "grid.feeder=street")


def warnings_in(folder):
    return json.loads((folder / "out" / "manifest.json").read_text()).get("warnings")


def test_a_limit_that_was_never_set_for_the_feeder_is_warned_of_once(folder):
    street = other_feeder(folder)
    said = call("run", "paper", *street, *FEW).err
    assert said.count("warning:") == 1
    assert "3.24 MW was fitted to case33bw and never set for feeder 'street'" in said
    assert len(warnings_in(folder)) == 1
    (folder / "mine.yaml").write_text("extends: paper\ngrid: {feeder: street}\n")
    assert "never set" in call("validate", "mine.yaml").err
    # One that was set before, for another feeder, was not set for this one.
    (folder / "other.yaml").write_text("extends: paper\ngrid: {demand_limit_mw: 3.5}\n")
    (folder / "ours.yaml").write_text("extends: other.yaml\ngrid: {feeder: street}\n")
    said = call("validate", "ours.yaml").err
    assert "3.5 MW is another feeder's and never set for feeder 'street'" in said
    # Whoever sets it, be it to the same number, means it.
    limit = ("--set", "grid.demand_limit_mw=3.24")
    assert "warning" not in call("run", "paper", *street, *limit, *FEW, "--force").err
    assert warnings_in(folder) is None


def test_a_limit_below_the_base_load_is_warned_of(folder):
    low = ("--set", "grid.demand_limit_mw=2.5")
    said = call("compare", "paper", *SMALL, *low, "--strategies", "none", "--no-bound").err
    assert said.count("2.5 MW is below the mean base load of feeder 'case33bw'") == 1
    assert "2.71 MW: 16 of 24 hours are above it" in said
    vary = ("--vary", "grid.demand_limit_mw=3.3,1.5,1", "--replications", "1", "--workers", "1")
    said = call("sweep", "paper", *SMALL, *vary, "--json").err
    assert said.count("no charging can keep to it") == 2
    assert "3.3 MW" not in said
    said = call("run", "paper", "--set", "grid.demand_limit_mw=2.8", *FEW).err
    assert "warning" not in said


def test_as_printed_says_once_that_v2g_is_not_given_back(folder):
    said = " ".join(call("run", "paper", *FEW).out.split())
    assert said.count(GETS_BACK) == 1
    assert "paper_balanced" in said
    both = ("--strategies", "uncoordinated,evms,evms_herd")
    said = " ".join(call("compare", "paper", *SMALL, *both, "--no-bound").out.split())
    assert said.count(GETS_BACK) == 1
    few = ("--replications", "2", "--workers", "1", "--out", "many")
    said = " ".join(call("montecarlo", "paper", *SMALL, *both, *few).out.split())
    assert said.count(GETS_BACK) == 1
    few = ("--replications", "1", "--workers", "1", "--out", "grid")
    swept = ("sweep", "paper", *SMALL, "--vary", "base_load.scale=1,1.1", *few)
    said = " ".join(call(*swept).out.split())
    assert said.count(GETS_BACK) == 1
    # The sweep's own table says what its voltages are.
    assert "Lowest voltage, hourly means" in said
    said = call("run", "paper", *FEW, "--json", "--force")
    assert GETS_BACK not in said.out
    assert said.err.count(GETS_BACK) == 1
    for argv in (("run", "paper_balanced"), ("run", "paper", "--strategy", "uncoordinated")):
        assert GETS_BACK not in " ".join(call(*argv, *FEW, "--force").out.split())


def test_compare_says_that_stays_are_cut_off(folder):
    rows = [ev("a", arrival=1380, departure=1500), ev("b", zone=2)]
    write_sessions(folder / "cars.csv", rows)
    (folder / "mine.yaml").write_text("extends: paper_balanced\nfleet: {sessions: cars.csv}\n")
    both = ("--strategies", "uncoordinated,none", "--no-bound")
    said = " ".join(call("compare", "mine.yaml", *both).out.split())
    assert said.count("1 EV is still plugged in at the end of the horizon") == 1
    said = call("compare", "paper", *SMALL, *both, "--out", "out").out
    assert "still plugged in" not in said
