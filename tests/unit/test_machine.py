"""Memory and disk that are left, and what a run needs of them."""

import os
import resource
import warnings

import pytest

from abm import Scenario
from abm.machine import disk_there, in_words, memory_there, over_spans, threads_there
from abm.study import size
from abm.study.replications import BATCH_VOLTAGES, BLOCK, Case, most_together
from abm.study.size import run_size, study_size

KB = 1024


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A /proc with 1,000 kB available and 500 kB of swap, and no control groups yet."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    groups.mkdir()
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 1000 kB\nSwapFree: 500 kB\n")
    (proc / "self" / "status").write_text("Name:\tpython\nVmSize:\t 300 kB\n")
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)
    return proc, groups


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_memory_is_what_is_available_and_the_swap(machine):
    assert memory_there(*machine) == 1500 * KB


def test_a_control_group_and_those_around_it_count(machine):
    proc, groups = machine
    (proc / "self" / "cgroup").write_text("0::/outer/inner\n")
    group(groups / "outer" / "inner", memory__max="max\n", memory__current="7\n")
    assert memory_there(*machine) == 1500 * KB
    # What is cached and idle can be freed.
    stat = "anon 5\ninactive_file 40\n"
    group(groups / "outer", memory__max="1000\n", memory__current="300\n", memory__stat=stat)
    assert memory_there(*machine) == 740


def test_in_a_container_the_limit_stands_at_the_root(machine):
    proc, groups = machine
    (proc / "self" / "cgroup").write_text("0::/kubepods/pod1\n")
    group(groups, memory__max="5000\n", memory__current="1000\n")
    assert memory_there(*machine) == 4000


def test_groups_of_version_one(machine):
    proc, groups = machine
    (proc / "self" / "cgroup").write_text("5:cpu:/x\n3:memory,hugetlb:/job\n")
    unlimited = {"memory__limit_in_bytes": f"{2**63 - 4096}\n"}
    group(groups / "memory", **unlimited)
    limit = {"memory__limit_in_bytes": "900\n", "memory__usage_in_bytes": "950\n"}
    group(groups / "memory" / "job", **limit)
    assert memory_there(*machine) == 0


def test_a_limit_of_address_space_counts(machine, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (800 * KB, 800 * KB))
    assert memory_there(*machine) == 500 * KB


def test_disk_is_that_of_the_folder_around(tmp_path):
    free = disk_there(tmp_path / "not" / "there")
    assert abs(free - disk_there(tmp_path)) < 1e9
    assert free > 0


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (72_100_000_000, "72.1 GB"), (4e16, "4e+04 TB")]
)
def test_sizes_in_words(size, words):
    assert in_words(size) == words


def test_a_run_needs_its_evs_steps_and_load_flows():
    found = run_size(Scenario(fleet={"evs_per_zone": 2}))
    # 15 zones, 1,440 steps, 33 buses and 32 lines in 24 load flows.
    assert found.counts["EVs"] == 30
    assert found.counts["steps of feeders"] == 1440
    assert found.counts["steps of zones"] == 1440 * 15
    assert found.counts["buses and lines of load flows"] == 24 * 65
    assert "stays" not in found.counts


def test_a_city_of_several_days_needs_more():
    city = Scenario(
        feeder={"copies": 10},
        horizon={"days": 3},
        grid={"flow_interval_min": 30},
        fleet={"evs_per_zone": 4},
    )
    found = run_size(city)
    assert found.counts == {
        "EVs": 600,
        "stays": 1800,
        "steps of feeders": 10 * 3 * 1440,
        "buses and lines of load flows": 10 * 3 * 48 * 65,
    }


def test_the_file_of_the_record_counts_where_there_is_one():
    small, city = Scenario(), Scenario(feeder={"copies": 1000})
    assert run_size(small).disk["EVs"] == 600 * (size.EV_FILE + size.OF_RECORD["EVs"][1])
    assert run_size(city).disk["EVs"] == 600_000 * size.EV_FILE


def test_a_study_needs_one_batch_per_worker_and_all_rows():
    cases = [Case({}, Scenario(fleet={"evs_per_zone": n})) for n in (1, 3)]
    alone, four = study_size(cases, 500, 1), study_size(cases, 500, 4)
    assert four.memory["EVs"] == 4 * alone.memory["EVs"] == 4 * 45 * 50 * size.EV
    assert four.memory["replications"] == 1000 * size.ROW
    assert study_size(cases, 500, 0).memory == {"replications": 1000 * size.ROW}
    assert study_size(cases, 1, 64).memory["EVs"] == 2 * 45 * size.EV


def test_replications_with_many_load_flows_come_in_smaller_batches():
    street = Scenario.load("ieee_european_lv")
    assert most_together(street) == BLOCK
    week = street.override({"horizon.days": 7})
    assert most_together(week) == BATCH_VOLTAGES // (7 * 1440 * 55) == 36
    year = Scenario.load("transformer_year")
    assert most_together(year) == 1
    assert study_size([Case({}, week)], 500, 1).memory["EVs"] == 55 * 36 * size.EV


def test_a_street_s_year_by_the_minute_keeps_no_lines():
    year = Scenario.load("transformer_year")
    what = "buses and lines of load flows"
    assert run_size(year).memory[what] == 525_600 * 55 * size.FLOW_ALONE
    day = year.override({"horizon.days": 1})
    assert run_size(day).memory[what] == 1440 * (55 + 905) * size.FLOW


@pytest.mark.parametrize(
    ("wanted", "threads"), [(None, 4), ("1", 1), ("3", 3), ("64", 4), ("0", 4), ("many", 4)]
)
def test_threads_are_the_cores_or_fewer(wanted, threads, monkeypatch):
    monkeypatch.setattr("abm.machine.cores_there", lambda: 4)
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("NUMBA_NUM_THREADS", wanted)
    assert threads_there() == threads


def test_threads_share_a_range_and_a_fork_has_its_own():
    def here(first, last):
        return first, last, os.getpid()

    def spans(n, threads):
        found = over_spans(n, threads, here)
        assert {process for *_, process in found} == {os.getpid()}
        return [span[:2] for span in found]

    assert spans(10, 1) == [(0, 10)]
    assert spans(10, 3) == [(0, 3), (3, 6), (6, 10)]
    with warnings.catch_warnings():
        # Python 3.12 and later warn of what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(spans(7, 2) != [(0, 3), (3, 7)])
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
