"""Workers without memory, pools that break again and again, and clusters that go silent."""

import socket
import threading
import time
from concurrent.futures import BrokenExecutor, Future
from types import SimpleNamespace

import pytest
from helpers import small_paper

from abm.errors import MachineError
from abm.study import cluster, executor
from abm.study.aside import aside
from abm.study.cluster import Cluster, Connection, connect
from abm.study.executor import Backend, SerialExecutor, hand_out
from abm.study.montecarlo import montecarlo


def test_a_replication_without_memory_is_given_up_and_the_others_are_not(monkeypatch):
    from abm.study import replications

    simulate, tries = replications.simulate_batch, []

    def too_large(scenario, seeds):
        if poor in seeds:
            tries.append(len(seeds))
            raise MemoryError("Unable to allocate 9 GiB")
        return simulate(scenario, seeds)

    poor = replications.replication_seed(1, 2)
    monkeypatch.setattr(replications, "simulate_batch", too_large)
    found = montecarlo(small_paper(clock={"step_s": 3600}), 4)
    assert tries == [4, 4, 4, 1]
    ((number, _, _, why),) = found.failures
    assert number == 2
    assert why == "given up after 3 tries: MemoryError: Unable to allocate 9 GiB"
    assert found.lost == 1  # in no part: `--resume` tries again


class Breaking(SerialExecutor):
    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_exception(BrokenExecutor("gone"))
        return future


def test_a_pool_that_breaks_again_and_again_is_an_end(monkeypatch):
    monkeypatch.setattr(executor, "MOST_BREAKS", 5)
    backend = Backend(Breaking, lambda: 2)
    results = hand_out(backend, range(100), lambda n: (int, (n,)), lambda _: ())
    with pytest.raises(MachineError, match="workers died one after the other"):
        list(results)


def test_a_server_that_cannot_start_a_worker_is_tried_again_and_then_given_up(monkeypatch):
    tried = []

    def refuse(*_, **__):
        tried.append(1)
        raise EOFError("unexpected EOF")

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor.submit", refuse)
    with executor.open_backend(2) as backend:
        results = hand_out(backend, range(9), lambda n: (int, (n,)), lambda _: ())
        with pytest.raises(MachineError, match="no worker could be started: unexpected EOF"):
            list(results)
    # One of them when the pool was opened, to see whether workers can import the script.
    assert len(tried) == 5


def test_what_is_called_aside_returns_or_raises():
    assert aside(lambda: 3).result(10) == 3
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 / 0).result(10)


# --- a cluster that is there, or is not --------------------------------------------------------


class Client:
    """As much of Dask's as a connection asks."""

    def __init__(self, threads):
        self.status, self.threads, self.closed = "running", threads, []

    def get_executor(self):
        return SerialExecutor()

    def nthreads(self):
        if self.threads is None:
            raise OSError("nobody answers")
        return self.threads

    def close(self, timeout):
        self.closed.append(timeout)


@pytest.fixture
def quick(monkeypatch):
    for name, seconds in {"QUIET_S": 0.05, "PULSE_S": 0.01, "STALE_S": 0.1}.items():
        monkeypatch.setattr(cluster, name, seconds)


@pytest.fixture
def connection(quick):
    said = []
    client = Client({"a": 2, "b": 1})
    made = Connection(Cluster("tcp://x:1", 0.3, said.append), client)
    yield SimpleNamespace(of=made, client=client, said=said)
    made.close()
    assert client.closed


def until_it_ends(connection):
    def wait():
        for _ in range(2000):
            connection.of.check()
            time.sleep(0.01)

    with pytest.raises(MachineError) as caught:
        wait()
    return str(caught.value)


def until(true):
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def test_a_cluster_that_is_well_has_two_slots_per_thread(connection):
    until(lambda: connection.of.slots() == 6)
    connection.of.check()
    assert connection.said == []


@pytest.mark.parametrize(
    ("threads", "missing"), [({}, "no worker"), (None, "no answer from the scheduler")]
)
def test_what_is_missing_is_said_once_and_then_ends_it(connection, threads, missing):
    connection.client.threads = threads
    where = "--cluster tcp://x:1: " + missing
    assert until_it_ends(connection) == f"{where} within 0.3 s (--cluster-timeout)"
    assert connection.said == [f"{where} so far; waiting up to 0.3 s (--cluster-timeout)"]
    assert connection.of.slots() == 0


def test_a_worker_that_comes_back_in_time_is_taken(connection):
    connection.client.threads = {}
    until(lambda: not connection.of.slots())
    connection.client.threads = {"c": 1}
    until(lambda: connection.of.slots() == 2)
    connection.of.check()


def test_a_connection_that_dask_gave_up_ends_it(connection):
    connection.client.status = "closed"
    assert "no answer from the scheduler" in until_it_ends(connection)


def test_a_port_that_accepts_and_is_silent_is_given_up(quick):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    said = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        accepted = []
        threading.Thread(target=lambda: accepted.append(silent.accept()), daemon=True).start()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(MachineError, match=r"no scheduler answered within 0\.4 s"),
            connect(Cluster(address, 0.4, said.append)),
        ):
            raise AssertionError("there is no scheduler")
        for connected, _ in accepted:
            connected.close()
    assert len(said) == 1
    assert "no answer from a scheduler so far" in said[0]
