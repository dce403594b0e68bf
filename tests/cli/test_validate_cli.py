"""`validate` and `run` agree: what one refuses the other does, in the same words."""

from pathlib import Path

import pandapower as pp
import pytest
from test_cli import call, folder

__all__ = ["folder"]  # a fixture that every test takes


ONE_FEEDER = "grid: {feeder: one}\n"
RUN_REFUSES = {
    "option": (
        "strategy: {rule: eq13, admission: least_laxity, admission_options: {guarantee: 'no'}}",
        'strategy.admission_options.guarantee = "no": least_laxity: true or false',
    ),
    "option of a rule": (
        "strategy: {rule: coordinated, rule_options: {price_weight: 2.0}}",
        "price_weight = 2.0: 0 to 1",
    ),
    "option that is not there": (
        "strategy: {rule: eq13, rule_options: {v2g_whem: always}}",
        "v2g_whem",
    ),
    "class": ("strategy: {rule: 'nowhere_at_all:X'}", "nowhere_at_all"),
    "no rule": ("strategy: {rule: 'helpers:run'}", "strategy.rule = helpers:run: a class"),
    "Python's own": ("strategy: {rule: 'os:_exit'}", "strategy.rule = os:_exit: a class"),
    "behaviour": ("owners: {behaviour: 'nowhere_at_all:Y'}", "nowhere_at_all"),
    "bus": ("grid: {feeder: other_bus}", "feeder.buses = N9: a bus of the net"),
    "supply": ("grid: {feeder: dark}", "buses without supply: N3"),
    "too much load": ("grid: {feeder: overloaded}", "does not converge at nominal load"),
    "generation": ("grid: {feeder: solar}", "feeder.generation = N3 of feeder 'solar'"),
    "storage": ("grid: {feeder: stored}", "the net has 1 x storage"),
    "field": ("ev: {efficiency: 2}", "ev.efficiency"),
}


def feeders_that_cannot_be_run(folder: Path) -> None:
    for name in ("other_bus", "dark", "overloaded", "solar", "stored"):
        net = pp.create_empty_network()
        for _ in range(3):
            pp.create_bus(net, vn_kv=20.0)
        pp.create_ext_grid(net, 0)
        for last in (1,) if name == "dark" else (1, 2):
            pp.create_line(net, last - 1, last, 1.0, "NA2XS2Y 1x185 RM/25 12/20 kV")
        pp.create_load(net, 1, p_mw=1e4 if name == "overloaded" else 1.0)
        if name == "solar":
            pp.create_sgen(net, 2, p_mw=0.5)
        if name == "stored":
            pp.create_storage(net, 2, p_mw=0.5, max_e_mwh=1.0)
        place = folder / name
        place.mkdir()
        pp.to_json(net, str(place / "net.json"))
        (place / "feeder.yaml").write_text("net: net.json\n")
        last = 9 if name == "other_bus" else 3
        (place / "buses.csv").write_text(
            f"bus,customer_class,zone\n1,residential,\n2,residential,1\n{last},residential,\n"
        )
        (place / "lines.csv").write_text("from_bus,to_bus,ampacity_a\n1,2,300\n")


@pytest.mark.parametrize(("text", "says"), RUN_REFUSES.values(), ids=RUN_REFUSES)
def test_validate_refuses_what_run_refuses_in_the_same_words(folder, text, says):
    feeders_that_cannot_be_run(folder)
    (folder / "mine.yaml").write_text(f"extends: paper\n{text}\n")
    found = [call(verb, "mine.yaml", "--trust", code=2).err for verb in ("validate", "run")]
    assert says in found[0]
    heads = [err.strip().splitlines()[-1].strip() for err in found]
    assert heads[0].removeprefix("mine.yaml: ") == heads[1]
    assert not (folder / "outputs").exists()


def test_validate_names_all_files_that_cannot_be_solved(folder):
    feeders_that_cannot_be_run(folder)
    for name in ("dark", "stored"):
        (folder / f"{name}.yaml").write_text(f"grid: {{feeder: {name}}}\n")
    (folder / "bad.yaml").write_text("ev: {efficiency: 2}\n")
    said = call("validate", "dark.yaml", "stored.yaml", "paper", code=2)
    assert "dark.yaml: " in said.err
    assert "stored.yaml: " in said.err
    assert "paper: valid" in said.out
    said = call("validate", "dark.yaml", "bad.yaml", code=2)
    assert "dark.yaml: " in said.err
    assert "bad.yaml:1: ev.efficiency" in said.err
