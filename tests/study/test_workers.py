"""The same bytes whoever did the work, and whoever died at it."""

import os
import re
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import small_paper
from study_helpers import HERE, call, environment, same_files

from abm.errors import InputError
from abm.scenario import Scenario
from abm.study.ensemble import Ensemble
from abm.study.montecarlo import montecarlo

RULE = {"rule": "study_rules:Deadly"}


def rule(scenario: Scenario, **options) -> Scenario:
    strategy = {**RULE, "rule_options": options}
    return scenario.override({"clock.step_s": 900}, strategy=strategy, trust=True)


def same_tables(a: Ensemble, b: Ensemble) -> bool:
    return a.table.drop_columns("error").equals(b.table.drop_columns("error"))


@pytest.mark.parametrize("workers", [2, 4])
def test_bytes_do_not_depend_on_the_workers(study, alone, tmp_path, workers):
    call(*study, "--workers", workers, "--out", tmp_path / "study")
    same_files(tmp_path / "study", alone)


@pytest.fixture
def scheduler(tmp_path):
    """Address of a Dask scheduler with two workers, all processes of their own."""
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    base = [sys.executable, "-m", "distributed.cli"]
    log = (tmp_path / "scheduler.log").open("wb")
    run = {"env": environment(), "stdout": log, "stderr": log, "cwd": HERE}
    address = tmp_path / "scheduler.json"
    shared = ["--scheduler-file", str(address)]
    base = [sys.executable, "-m", "dask"]
    processes = [
        subprocess.Popen(
            [*base, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *shared],
            **run,
        )
    ]
    worker = ["worker", *shared, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    processes += [subprocess.Popen([*base, *worker], **run) for _ in range(2)]
    try:
        for _ in range(600):
            if address.exists() and (found := re.search(r"tcp://[\d.:]+", address.read_text())):
                yield found[0]
                return
            time.sleep(0.05)
        pytest.fail("no scheduler: " + (tmp_path / "scheduler.log").read_text())
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        log.close()


def test_bytes_on_a_dask_cluster(study, alone, tmp_path, scheduler):
    call(*study, "--cluster", scheduler, "--out", tmp_path / "study")
    same_files(tmp_path / "study", alone)


def test_a_city_on_a_dask_cluster(tmp_path, scheduler):
    city = ("run", "city", "--set", "feeder.copies=60", "--set", "fleet.evs_per_zone=1")
    call(*city, "--no-figures", "--out", tmp_path / "alone")
    call(*city, "--no-figures", "--out", tmp_path / "shards", "--cluster", scheduler)
    tables = sorted(path.name for path in (tmp_path / "alone").glob("*.parquet"))
    assert len(tables) == 9
    for name in (*tables, "kpis.json", "scenario.yaml"):
        assert (tmp_path / "shards" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_cluster_that_is_not_there(study, tmp_path):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    out, more = tmp_path / "study", ("--cluster-timeout", "0.3")
    said = call(*study, "--cluster", "tcp://127.0.0.1:9", *more, "--out", out, code=1)
    assert said.err.splitlines()[-1] == (
        "--cluster tcp://127.0.0.1:9: no scheduler answered within 0.3 s (--cluster-timeout); "
        f"{out} was left as it was"
    )
    assert not out.exists()


@pytest.mark.parametrize("address", ["", "nonsense", "carrier-pigeon://host:1"])
def test_cluster_address_that_is_none(study, tmp_path, address):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    more = ("--cluster-timeout", "0.3", "--out", tmp_path / "study")
    said = call(*study, "--cluster", address, *more, code=2)
    assert "--cluster" in said.err
    assert not (tmp_path / "study").exists()


def test_worker_that_is_killed_is_replaced(tmp_path):
    scenario, alive = small_paper(), tmp_path / "alive"
    wanted = montecarlo(rule(scenario), 60)
    alive.touch()
    found = montecarlo(rule(scenario, alive=str(alive)), 60, workers=2)
    assert not alive.exists()
    assert found.failures == []
    assert same_tables(found, wanted)


def test_replication_that_kills_every_worker_is_given_up(tmp_path):
    scenario, alive = small_paper(), tmp_path / "alive"
    wanted = montecarlo(rule(scenario), 6)
    first = [arrivals_begin(scenario, seed) for seed in wanted.seeds]
    early = sorted(first)[1] - 1e-6  # holds for one of the six only
    alive.touch()
    deadly = rule(scenario, alive=str(alive), once=False, early=early)
    found = montecarlo(deadly, 6, workers=2)
    assert [(k, seed) for k, seed, _, _ in found.failures] == [
        (int(np.argmin(first)), wanted.seeds[int(np.argmin(first))])
    ]
    assert found.failures[0][3].startswith(
        "given up after 3 tries: its worker was killed by SIGKILL"
    )
    assert found.lost == 1
    kept = np.arange(6) != np.argmin(first)
    peak = "system_peak_mw"
    assert found.values(peak)[:, kept].tobytes() == wanted.values(peak)[:, kept].tobytes()


def arrivals_begin(scenario, seed):
    from abm import V2GModel

    return V2GModel(scenario, seed=seed).fleet.arrival_min.min()


def test_workers_stay_on_one_core(tmp_path):
    from abm.study.executor import ONE_THREAD, open_backend

    with open_backend(2) as backend:
        found = [backend.executor.submit(os.getenv, name).result() for name in ONE_THREAD]
    assert set(found) == {"1"}


def test_a_script_that_workers_cannot_import(tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("raise ImportError('as where work without a guard begins anew')\n")
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    for file in (str(script), "<stdin>"):
        monkeypatch.setattr(main, "__file__", file, raising=False)
        with pytest.raises(InputError, match="--workers = 2: a script that workers can import"):
            montecarlo(small_paper(), 2, workers=2)


def test_parts_are_read_whole(alone):
    for path in (alone / "parts").iterdir():
        assert pq.read_table(path).num_rows
