"""Mutated scenarios, tables and nets: used, or refused in one clear error that a terminal can show.

How many tries of each class held is printed with `-s`.
"""

import copy
import json
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandapower as pp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from abm import Scenario, V2GModel
from abm.errors import EvenfallError
from abm.grid import build_feeder
from abm.scenario.code import Code
from abm.scenario.feeder import read_feeder
from abm.scenario.load_profiles import read_profile
from abm.scenario.names import shipped_dir
from abm.scenario.session_table import read_sessions
from abm.scenario.tables import read_edges, read_tariff
from abm.scenario.yamlio import parse_yaml, yaml_text

pytestmark = pytest.mark.faults

SHIPPED = shipped_dir()
SESSIONS = (
    "ev_id,zone,arrival_min,departure_min,capacity_kwh,soc_arrival,soc_target\n"
    "a,1,0,600,40,0.2,0.9\nb,2,30.5,900,25,0.5,0.6\n"
)
NASTY = st.sampled_from(
    [
        "", " ", "-1", "0", "1e308", "1e-320", "1e999", "-0.0", ".nan", ".inf", "nan", "NaN", "~",
        "null", "true", "yes", "0x10", "0o9", "1_000", "9" * 400, "9" * 5000, "1" + "0" * 18,
        "12:00", "24:01", "[]", "{}", "[1, 2]", "{a: 1}", "&a *a", "*b", "!!python/object x",
        "<<: 1", "'", '"', "a: b: c", "\t", "\x00", "\x1b[2J", "\x9b31m", "\u202e", "\u2028",
        "\ufeff", "\x85", "é", "\U0001d7d9", "[bold]", "$x$", "../../etc/passwd", "/etc/passwd",
        "/dev/zero", "subprocess:Popen", "os:_exit", "x" * 300, ",", ",,,", '"a,b"', "#", "\r",
        "- ", "---", "...", "%YAML 1.1",
    ]
)  # fmt: skip
HELD: Counter = Counter()


def tries(n):
    """The same n examples on every machine, none of them made smaller."""
    return settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def held(kind, call):
    """Whatever `call` does is used or refused; what is said can be shown and is not endless."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found, what = call(), "used"
        except EvenfallError as error:
            found, what = None, "refused"
            for line in str(error).split("\n"):
                assert line.isprintable()
                assert 0 < len(line) < 3000
                assert "root:" not in line
    HELD[kind, what] += 1
    return found


@pytest.fixture(scope="module", autouse=True)
def told():
    yield
    for kind in dict.fromkeys(kind for kind, _ in HELD):
        used, refused = HELD[kind, "used"], HELD[kind, "refused"]
        tried = used + refused
        print(f"{kind}: {tried} tried, {tried} held ({used} used, {refused} refused)")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("inputs")


def mutated(data, text):
    """Text with a few places changed: cut out, doubled, replaced."""
    for _ in range(data.draw(st.integers(1, 3))):
        lines = text.split("\n")
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["cell", "drop", "double", "insert", "char", "end"]))
        line = lines[at]
        cut = data.draw(st.integers(0, len(line)))
        if how == "drop":
            del lines[at]
        elif how == "double":
            lines.insert(at, line)
        elif how == "insert":
            lines[at] = line[:cut] + data.draw(NASTY) + line[cut:]
        elif how == "char":
            lines[at] = line[:cut] + line[cut + 1 :]
        elif how == "end":
            lines = [*lines[:at], line[:cut]]
        else:
            mark = "," if "," in line else ":"
            words = line.split(mark)
            words[data.draw(st.integers(0, len(words) - 1))] = data.draw(NASTY)
            lines[at] = mark.join(words)
        text = "\n".join(lines)
    return text


def write(path, text):
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


SCENARIOS = {name: (SHIPPED / f"{name}.yaml").read_text() for name in ("paper", "weekend")}


@tries(150)
@given(data=st.data())
def test_the_text_of_scenarios(place, data):
    text = mutated(data, SCENARIOS[data.draw(st.sampled_from(list(SCENARIOS)))])
    path = write(place / "mutated.yaml", text)
    held("scenarios, text", lambda: Scenario.load(path))


def paths_of(data, path=()):
    for key, value in data.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from paths_of(value, (*path, key))


PAPER, _ = parse_yaml(SCENARIOS["paper"])
PATHS = list(paths_of(PAPER))
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=5), st.integers()),
    st.sampled_from([2**63, -(2**63), 10**400, "12:00", "os:_exit", "pathlib:Path", "../x"]),
)  # fmt: skip
FACTORS = st.sampled_from([0, -1, 0.5, 2, 1 + 1e-9, 1e-9, 1e9, 1e300])
CLOCKS = st.sampled_from(["0:00", "3:00", "12:00", "23:59", "24:00"])


def other(data, value):
    """A value in the place of another one: often of its kind."""
    if isinstance(value, bool) or data.draw(st.integers(0, 3)) == 0:
        return data.draw(PLAIN)
    if isinstance(value, int):
        return data.draw(st.one_of(st.integers(-2, 60), st.integers()))
    if isinstance(value, float):
        return value * data.draw(FACTORS)
    if isinstance(value, str) and ":" in value:
        return data.draw(CLOCKS)
    return data.draw(PLAIN)


@tries(200)
@given(data=st.data(), evs=st.integers(0, 2))
def test_values_of_scenarios(place, data, evs):
    mine = copy.deepcopy(PAPER)
    for _ in range(data.draw(st.integers(1, 2))):
        *around, last = data.draw(st.sampled_from(PATHS))
        inner = mine
        for key in around:
            inner = inner[key] if isinstance(inner, dict) and key in inner else {}
        if isinstance(inner, dict):
            inner[last] = other(data, inner.get(last))
    for section, small in (("fleet", {"evs_per_zone": evs}), ("clock", {"step_s": 3600})):
        if isinstance(mine.get(section), dict):
            mine[section] |= small
    file = write(place / "values.yaml", yaml_text(mine))
    scenario = held("scenarios, values", lambda: Scenario.load(file))
    if scenario is not None:
        assert held("saved scenarios", lambda: Scenario.load(again(file, scenario))) == scenario
        hours = scenario.horizon.days * scenario.clock.hours
        if hours < 100 and scenario.fleet.evs_per_zone < 10 and scenario.feeder.copies == 1:
            held("runs", lambda: run(scenario))


def run(scenario):
    with np.errstate(all="ignore"):
        return V2GModel(scenario).run().results.kpis


def again(file, scenario):
    return write(file.with_name("again.yaml"), scenario.to_yaml())


THREE_STEP = (SHIPPED / "tariffs" / "three_step.csv").read_text()
BDEW_FIT = (SHIPPED / "profiles" / "bdew_fit.csv").read_text()
DAY = Scenario()
READERS = {
    "sessions": (
        SESSIONS,
        lambda path: read_sessions(path, path.name, Scenario(), 15, Scenario().calendar),
    ),
    "edges": ("ev_a,ev_b\n1,2\n2,3\n", lambda path: read_edges(path, path.name, 30)),
    "tariffs": (THREE_STEP, lambda path: read_tariff(path, path.name)),
    "profiles": (BDEW_FIT, lambda path: read_profile(path, path.name)),
}


@pytest.mark.parametrize("kind", READERS)
@tries(80)
@given(data=st.data())
def test_tables(place, kind, data):
    text, read = READERS[kind]
    path = write(place / f"{kind}.csv", mutated(data, text))
    held(kind, lambda: read(path))


FEEDER = {
    "feeder.yaml": "vn_kv: 12.66\nslack_bus: 1\nslack_vm_pu: 1.0\n",
    "buses.csv": "bus,customer_class,zone,p_mw,q_mvar\n1,a,,0,0\n2,a,1,0.1,0.05\n3,a,,0.2,0.1\n",
    "lines.csv": "from_bus,to_bus,ampacity_a,r_ohm,x_ohm\n1,2,400,0.09,0.05\n2,3,400,0.5,0.25\n",
}


@tries(150)
@given(name=st.sampled_from(list(FEEDER)), data=st.data())
def test_feeders(place, name, data):
    folder = place / "feeder"
    folder.mkdir(exist_ok=True)
    for file, text in FEEDER.items():
        write(folder / file, mutated(data, text) if file == name else text)
    table = held("feeders, tables", lambda: read_feeder(folder, ("a",)))
    if table is not None:
        held("feeders, built", lambda: build_feeder(table))


def net_file():
    made = pp.create_empty_network()
    for _ in range(3):
        pp.create_bus(made, vn_kv=20.0)
    pp.create_ext_grid(made, 0)
    for to in (1, 2):
        pp.create_line_from_parameters(made, to - 1, to, 1.0, 0.1, 0.1, 0.0, 0.3)
    pp.create_load(made, 1, p_mw=0.1, q_mvar=0.05)
    return json.loads(pp.to_json(made))


NET = net_file()
TABLES = ("bus", "line", "load", "ext_grid")
EVIL = {"_module": "antigravity", "_class": "Fly", "_object": "{}"}
CELLS = st.sampled_from(
    [None, 0, -1, 7, 10**12, 1e300, 1e-300, float("nan"), float("inf"), "x", "", True, [1],
     {"a": 1}, EVIL, "[bold]\x1b[31m"]
)  # fmt: skip


@tries(80)
@given(kind=st.sampled_from(TABLES), value=CELLS, data=st.data())
def test_nets(place, kind, value, data):
    folder = place / "net"
    folder.mkdir(exist_ok=True)
    net = copy.deepcopy(NET)
    table = json.loads(net["_object"][kind]["_object"])
    row = data.draw(st.integers(0, len(table["data"]) - 1))
    column = data.draw(st.integers(0, len(table["columns"]) - 1))
    table["data"][row][column] = value
    net["_object"][kind]["_object"] = json.dumps(table)
    write(folder / "net.json", json.dumps(net))
    write(folder / "feeder.yaml", "net: net.json\n")
    write(folder / "buses.csv", "bus,customer_class,zone\n1,a,\n2,a,1\n3,a,\n")
    write(folder / "lines.csv", "from_bus,to_bus,ampacity_a\n1,2,400\n")
    held("nets", lambda: build_feeder(read_feeder(folder, ("a",))))
    assert "antigravity" not in sys.modules


MODULES = sorted(sys.stdlib_module_names - {"test"})
NAMES = st.sampled_from(["Popen", "_exit", "system", "run", "X", "main", "Path", "Thread", "call"])


@tries(200)
@given(module=st.sampled_from(MODULES), name=NAMES, field=st.sampled_from(["strategy.rule", "net"]))
def test_python_s_own_library_is_never_loaded(place, module, name, field):
    before = set(sys.modules)
    code = Code(field, f"{module}:{name}", (Path(place),), trusted=True)
    assert held("Python's own", code.load) is None
    assert code.look()
    assert set(sys.modules) == before
