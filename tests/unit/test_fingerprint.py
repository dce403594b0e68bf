"""What a study depends on: files, modules and versions, and how two studies differ in it."""

import json
import shutil
import sys
from pathlib import Path

import pandapower as pp
import pandapower.networks
import pandas as pd
import pytest

from abm import Scenario, __version__
from abm.scenario.names import shipped_files
from abm.study import fingerprint
from abm.study.fingerprint import differences, question
from abm.study.sources import module_files

RULE = "class Mine:\n    def decide(self, fleet, broadcast, minute):\n        return [0]\n"


def write(folder, **files):
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_all_that_a_module_imports_and_is_not_installed_is_found(tmp_path):
    write(
        tmp_path,
        rules="import numpy, helper\nfrom pack.inner import deep\nimport importlib\n"
        "def f():\n    importlib.import_module('late')\n",
        helper="import os, scipy.linalg\nfrom spaces import one\n",
        late="",
        unused="",
        numpy="# numpy is installed, so this is not imported",
        pack__inner__deep="from ..near import x\nfrom . import beside\n",
        pack__inner__beside="",
        pack__near="x = 1\n",
        pack__unused="",
        spaces__one="import broken\n",
        broken="import (",
    )
    for package in ("pack", "pack/inner"):
        (tmp_path / package / "__init__.py").touch()
    wanted = "broken helper late pack/__init__ pack/inner/__init__ pack/inner/beside "
    wanted += "pack/inner/deep pack/near rules spaces/one"
    found = module_files("rules", tmp_path)
    assert list(found) == [f"{name}.py" for name in wanted.split()]
    assert found["pack/near.py"] == tmp_path / "pack" / "near.py"
    assert not {"numpy", "helper", "rules"} & (set(sys.modules) - {"numpy"})


def test_an_installed_module_comes_with_its_own_package():
    found = module_files("simpy.resources.base")
    assert {"simpy/__init__.py", "simpy/resources/base.py", "simpy/core.py"} <= set(found)
    assert all(name.startswith("simpy/") for name in found)
    assert module_files("no_such_module") == {}


def asked(scenario, **more):
    return json.loads(json.dumps(question("montecarlo", scenario, ["x"], 10, **more)))


def said(before, now):
    return [str(problem) for problem in differences(before, now, "study.json")]


def load(path):
    return Scenario.load(path, trust=True)


def test_versions_and_python_are_named_with_both_values():
    before = asked(Scenario())
    assert before["python"] == ".".join(map(str, sys.version_info[:2]))
    assert before["versions"]["evenfall"] == __version__
    for name in ("numpy", "numba", "power-grid-model", "pandapower", "scipy"):
        now = {**before, "versions": {**before["versions"], name: "0.0.1"}}
        (line,) = said(before, now)
        assert line.startswith(f'study.json: {name} = "0.0.1": the study was begun with ')
        assert before["versions"][name] in line
    (line,) = said({**before, "python": "2.7"}, before)
    assert 'begun with "2.7"' in line
    assert before["python"] in line
    assert said(before, {**before, "replications": 20, "until": "x", "at_least": 3}) == []


@pytest.mark.parametrize("module", ["rules", "helper"])
def test_a_changed_module_is_named_with_both_hashes(tmp_path, module):
    write(tmp_path, rules=f"import helper\n{RULE}", helper="A = 1\n")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: paper\nowners: {behaviour: 'rules:Owners'}\nstrategy: {rule: 'rules:Mine'}\n"
    )
    before = asked(load(path))
    hashes = before["files"]["strategy.rule"]
    assert list(hashes) == ["helper.py", "rules.py"]
    with (tmp_path / f"{module}.py").open("a") as source:
        source.write("# a word more\n")
    after = asked(load(path))
    lines = said(before, after)
    assert [line.split(": ")[1] for line in lines] == ["owners.behaviour", "strategy.rule"]
    for line in lines:
        assert "the file has changed since the study was begun" in line
        assert f"{module}.py was SHA-256 {hashes[f'{module}.py'][:16]}" in line
        assert after["files"]["strategy.rule"][f"{module}.py"][:16] in line


@pytest.fixture
def own_net(tmp_path):
    """A scenario whose feeder has its net from a function, or a file, beside it."""
    feeder = tmp_path / "feeder"
    shutil.copytree(shipped_files("feeders")["case33bw"], feeder)
    for name, unwanted in (("buses", ["p_mw", "q_mvar"]), ("lines", ["r_ohm", "x_ohm"])):
        table = pd.read_csv(feeder / f"{name}.csv", comment="#", dtype=str)
        table.drop(columns=unwanted).to_csv(feeder / f"{name}.csv", index=False)
    (tmp_path / "mine.yaml").write_text("extends: paper\ngrid: {feeder: feeder}\n")
    return tmp_path


def test_a_changed_net_function_is_named(own_net):
    feeder = own_net / "feeder"
    (feeder / "feeder.yaml").write_text("net: my_net:make\n")
    text = (
        "import wires\ndef make():\n    import pandapower.networks as n\n    return n.case33bw()\n"
    )
    write(feeder, my_net=text, wires="")
    before = asked(load(own_net / "mine.yaml"))
    assert set(before["files"]["grid.feeder.net"]) == {"my_net.py", "wires.py"}
    write(feeder, wires="# thicker\n")
    lines = said(before, asked(load(own_net / "mine.yaml")))
    assert any("grid.feeder.net: the file has changed" in line for line in lines)


def test_a_changed_net_file_is_named(own_net):
    feeder = own_net / "feeder"
    (feeder / "feeder.yaml").write_text("net: nets/net.json\n")
    (feeder / "nets").mkdir()
    net = pp.networks.case33bw()
    pp.to_json(net, str(feeder / "nets" / "net.json"))
    before = asked(load(own_net / "mine.yaml"))
    net.line.loc[0, "length_km"] *= 2
    pp.to_json(net, str(feeder / "nets" / "net.json"))
    (line,) = said(before, asked(load(own_net / "mine.yaml")))
    assert "grid.feeder.net: the file has changed since the study was begun: net.json was" in line


@pytest.mark.parametrize("name", ["feeder.yaml", "buses.csv", "lines.csv"])
def test_a_changed_file_of_a_feeder_is_named(tmp_path, name):
    shutil.copytree(shipped_files("feeders")["case33bw"], tmp_path / "feeder")
    (tmp_path / "mine.yaml").write_text("extends: paper\ngrid: {feeder: feeder}\n")
    before = asked(load(tmp_path / "mine.yaml"))
    path = tmp_path / "feeder" / name
    text = path.read_text()
    path.write_text(text + "# a word more\n" if name == "feeder.yaml" else text.rstrip("\n"))
    (line,) = said(before, asked(load(tmp_path / "mine.yaml")))
    assert f"grid.feeder: the file has changed since the study was begun: {name} was" in line


def test_files_of_a_varied_scenario_are_named_by_field_and_name(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("hour,price\n" + "".join(f"{hour},0.1\n" for hour in range(24)))
    varied = [Scenario().override({"tariff.prices": str(path)})]
    before = asked(Scenario(), varied=varied)
    path.write_text(path.read_text().replace("0.1", "0.2"))
    varied = [Scenario().override({"tariff.prices": str(path)})]
    (line,) = said(before, asked(Scenario(), varied=varied))
    assert line.startswith(f"study.json: tariff.prices={path}: the file has changed")


def test_a_changed_checkout_of_ours_is_named(tmp_path, monkeypatch):
    before = asked(Scenario())
    package = tmp_path / "abm"
    shutil.copytree(Path(fingerprint.__file__).parents[1], package)
    for name, same in (("report/figures.py", True), ("equations/battery.py", False)):
        with (package / name).open("a") as source:
            source.write("# a word more\n")
        monkeypatch.setattr(fingerprint, "__file__", str(package / "study" / "fingerprint.py"))
        fingerprint._own_sources.cache_clear()
        lines = said(before, asked(Scenario()))
        assert lines == [] if same else "evenfall: the file has changed" in lines[0]
    fingerprint._own_sources.cache_clear()
