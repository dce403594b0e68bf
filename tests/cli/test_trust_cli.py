"""--trust on the command line, what validate does with code, and code that raises."""

import re
import sys
from pathlib import Path

import pytest
import test_cli
from test_cli import folder

from abm.cli.common import TLS

__all__ = ["folder"]  # a fixture that every test takes


def call(*argv, **kwargs):
    return test_cli.call(*map(str, argv), **kwargs)


def refused(folder, *argv, says):
    test_cli.refused(folder, *map(str, argv), says=says)


SMALL = "extends: paper\nfleet: {evs_per_zone: 1}\nclock: {step_s: 3600}\n"
RULES = """
import sys
open("loaded", "w").close()
class Night:
    def decide(self, fleet, broadcast, minute):
        return [1]
    def admit(self, fleet, request, broadcast, minute):
        return request
class Raises:
    def decide(self, fleet, broadcast, minute):
        raise KeyError("gone\\x1b[31m")
class Exits:
    def decide(self, fleet, broadcast, minute):
        sys.exit(0)
    def plan(self, plan, rng):
        sys.exit(0)
class Interrupts:
    def decide(self, fleet, broadcast, minute):
        raise KeyboardInterrupt
    def admit(self, fleet, request, broadcast, minute):
        raise KeyboardInterrupt
def leave():
    sys.exit(0)
"""


@pytest.fixture(autouse=True)
def mine(folder, monkeypatch):
    """A scenario with a rule of its own, in a folder below the working folder."""
    monkeypatch.setenv("EVENFALL_CONFIG", str(folder / "config.toml"))
    place = folder / "study"
    place.mkdir()
    (place / "my_rules.py").write_text(RULES)
    (place / "mine.yaml").write_text(SMALL + "strategy: {rule: 'my_rules:Night'}\n")
    return place / "mine.yaml"


VERBS = {
    "run": ("--no-figures",),
    "compare": ("--no-bound", "--strategies", "my_rules:Night+my_rules:Night"),
    "bound": ("--no-figures",),
    "montecarlo": ("--replications", "2", "--workers", "1"),
    "sweep": ("--replications", "1", "--vary", "fleet.evs_per_zone=1", "--workers", "1"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_computes_needs_the_flag(folder, mine, verb):
    says = ["strategy.rule = my_rules:Night", "my_rules", "--trust"]
    refused(folder, verb, mine, *VERBS[verb], says=says)
    assert not (folder / "loaded").exists()
    call(verb, mine, *VERBS[verb], "--trust", "--out", "here")
    if verb != "bound":  # which asks no rule
        assert (folder / "loaded").exists()


@pytest.mark.parametrize(
    "word", ["strategy.rule=my_rules:Night", "owners.behaviour=my_rules:Exits"]
)
def test_what_is_typed_needs_the_flag_too(folder, word):
    says = [word.replace("=", " = "), "--trust"]
    refused(folder, "run", "paper", "--set", "strategy={rule: eq13}", "--set", word, says=says)


def test_a_folder_of_results_runs_again_with_the_flag(folder, mine):
    call("run", mine, "--trust", "--no-figures", "--out", "one")
    saved = "one/scenario.yaml"
    refused(folder, "run", saved, says=["strategy.rule", "my_rules", "--trust"])
    call("run", saved, "--trust", "--no-figures", "--out", "two")
    one, two = (sorted(p.name for p in Path(name).iterdir()) for name in ("one", "two"))
    assert one == two
    for name in ("scenario.yaml", "kpis.json", "ev.parquet"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


@pytest.mark.parametrize("flag", [(), ("--trust",)])
def test_validate_runs_no_code(folder, mine, flag):
    said = call("validate", mine, *flag)
    assert "mine.yaml: valid (mine)" in said.out
    assert "strategy.rule = my_rules:Night is code; it was read and not run" in said.err
    text = SMALL + "strategy: {rule: 'my_rules:leave'}\nowners: {behaviour: 'my_rules:Nobody'}\n"
    mine.write_text(text)
    says = ["strategy.rule = my_rules:leave: a class", "no attribute 'Nobody'"]
    refused(folder, "validate", mine, *flag, says=says)
    (mine.parent / "feeder").mkdir()
    (mine.parent / "feeder" / "feeder.yaml").write_text("net: my_rules:leave\n")
    (mine.parent / "feeder" / "buses.csv").write_text("bus,customer_class,zone\n1,residential,1\n")
    (mine.parent / "feeder" / "lines.csv").write_text("from_bus,to_bus,ampacity_a\n1,2,400\n")
    mine.write_text(SMALL + "grid: {feeder: feeder}\n")
    refused(folder, "validate", mine, *flag, says=["to_bus = 2"])
    (mine.parent / "feeder" / "buses.csv").write_text(
        "bus,customer_class,zone\n1,residential,1\n2,residential,\n"
    )
    said = call("validate", mine, *flag)
    assert "net = my_rules:leave is code" in said.err
    assert not (folder / "loaded").exists()
    refused(folder, "run", mine, says=["net = my_rules:leave", "--trust"])
    assert_is_a_plugin_s(
        call("run", mine, "--trust", code=2).err, r"leave\(\) raised SystemExit: 0"
    )
    assert not (folder / "outputs").exists()


def assert_is_a_plugin_s(err, says):
    """One line that names the code, and a log with its traceback."""
    line = err.splitlines()[-1]
    assert re.search(says, line)
    log = re.search(r"details in (.+\.log)$", line)[1]
    text = Path(log).read_text()
    assert "Traceback (most recent call last)" in text
    assert "my_rules.py" in text
    assert "\x1b[31m" not in err


STRATEGY = ("--set", "strategy={{rule: '{}', admission: '{}'}}")
RAISING = {
    "rule raises": ("my_rules:Raises", "first_come", r"KeyError: 'gone\\x1b\[31m' \(my_rules.py"),
    "rule exits": ("my_rules:Exits", "first_come", "strategy.rule = .*SystemExit: 0"),
    "rule interrupts": ("my_rules:Interrupts", "first_come", "decide raised KeyboardInterrupt"),
    "admission": ("g2v_only", "my_rules:Interrupts", "strategy.admission = my_rules:Interrupts"),
}


@pytest.mark.parametrize("kind", RAISING)
def test_code_that_raises_is_one_line_and_exit_code_2(folder, mine, kind):
    rule, admission, says = RAISING[kind]
    mine.write_text(SMALL + f"strategy: {{rule: '{rule}', admission: '{admission}'}}\n")
    run = call("run", mine, "--trust", code=2)
    assert_is_a_plugin_s(run.err, says)
    pair = f"{rule}+{admission}"
    compared = ("compare", mine, "--trust", "--no-bound", "--strategies", f"none,{pair}")
    assert_is_a_plugin_s(call(*compared, code=2).err, says)
    assert not (folder / "outputs").exists()
    many = ("montecarlo", mine, "--trust", "--replications", "2", "--workers", "1")
    err = call(*many, "--out", "many", code=2).err
    assert "2 of 2 replications failed" in err
    assert re.search(says, err)
    assert_is_a_plugin_s(err, "the traceback of one of them")


def test_a_behaviour_that_exits(folder, mine):
    mine.write_text(SMALL + "owners: {behaviour: 'my_rules:Exits'}\n")
    assert_is_a_plugin_s(call("run", mine, "--trust", code=2).err, "plan raised SystemExit: 0")


def test_workers_load_the_same_code(folder, mine):
    for name in ("numexpr", "bottleneck", "my_rules"):
        evil = "import os\nos._exit(0)\n"
        (folder / f"{name}.py").write_text(evil)
        if name != "my_rules":
            (mine.parent / f"{name}.py").write_text(evil)
    many = ("montecarlo", mine, "--trust", "--replications", "2")
    call(*many, "--workers", "2", "--out", "two")
    call(*many, "--workers", "1", "--out", "one")
    for name in ("replications.parquet", "summary.csv"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    assert not any(str(mine.parent) in path for path in sys.path)


def test_files_that_lead_out_are_warned_of(folder, mine):
    (folder / "base.yaml").write_text(SMALL)
    mine.write_text("extends: ../base.yaml\n")
    assert "leads out of its folder, to" in call("validate", mine).err
    assert "leads out" not in call("validate", mine, "--trust").err
    mine.write_text("extends: /etc/passwd\n")
    said = refused_text(folder, mine)
    assert "/etc/passwd" in said
    assert "root" not in said


def refused_text(folder, mine):
    return call("validate", mine, code=2).err


def test_certificates_go_together_and_with_tls(folder):
    files = [word for name in TLS for word in (f"--tls-{name}", "nowhere.pem")]
    many = ("montecarlo", "paper", "--replications", "1", "--cluster")
    refused(folder, *many, "tcp://127.0.0.1:9", *files, says=["--tls-ca", "goes with"])
    refused(folder, *many, "tls://127.0.0.1:9", *files, says=["--tls-key = nowhere.pem: a file"])
    refused(folder, *many, "tls://127.0.0.1:9", *files[:2], says=["--tls-key: missing"])
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    refused(folder, *many, "tls://127.0.0.1:9", says=["--tls-ca, --tls-cert and --tls-key"])


def test_words_that_nobody_knows_are_shown_and_not_obeyed(folder):
    for words in (("run", "paper", "--\x1b[31mx"), ("\x1b[31m",), ("run", "\x1b[31m.yaml")):
        err = call(*words, code=2).err
        assert "\x1b" not in err
        assert "[31m" in err
