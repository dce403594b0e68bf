"""A Dask cluster that may be late, lose its workers, or never answer."""

from __future__ import annotations

import logging
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from abm.errors import InputError, MachineError, Problem, needs
from abm.study.aside import aside

# Seconds to wait for a scheduler or a worker before giving up; before a word is said of it; between
# two questions to the scheduler; for its goodbye.
TIMEOUT_S, QUIET_S, PULSE_S, CLOSE_S = 120.0, 5.0, 0.5, 2.0
# Answers of the scheduler older than this do not count.
STALE_S = 6 * PULSE_S
# Scheduler, worker and network say what happens to them; of those lines we say one ourselves.
# Of files that are no certificates, and of an address that needs them where there are none.
TLS_ERRORS = (ssl.SSLError, TypeError)
NO_TLS = "with --tls-ca, --tls-cert and --tls-key, or the same in Dask's own configuration"
LOGGERS = ("distributed", "tornado", "asyncio")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler. timeout_s: how long it, or its last worker, may be missed, s.

    tell: is given a line about what is waited for. tls: files of the authority's certificate, of
    our own and of its key, for an address that begins with tls://; None where Dask's own
    configuration names them.
    """

    address: str
    timeout_s: float = TIMEOUT_S
    tell: Callable[[str], None] = field(default=_say, compare=False)
    tls: tuple[str, str, str] | None = None

    def security(self) -> Any:
        """What Dask is told of encryption; None for its own configuration."""
        if self.tls is None:
            return None
        from distributed.security import Security

        ca, cert, key = self.tls
        make: Any = Security
        return make(
            tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True
        )

    def gave_up(self, missing: str) -> MachineError:
        """The error of a wait that was too long."""
        limit = f"{self.timeout_s:g} s (--cluster-timeout)"
        return MachineError(f"--cluster {self.address}: {missing} within {limit}")


class Connection:
    """A connected client, and when its scheduler last answered.

    `check` is to be called again and again while something is waited for.
    """

    def __init__(self, cluster: Cluster, client: Any) -> None:
        self.cluster, self._client = cluster, client
        self.executor: Executor = client.get_executor()
        self._threads, self._heard = 0, time.monotonic()
        self._well, self._told = time.monotonic(), False
        self._over = threading.Event()
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        # A thread of its own: a scheduler that never answers keeps only this one waiting.
        while not self._over.is_set():
            with suppress(Exception):  # whatever it is: no answer
                self._threads = sum(self._client.nthreads().values())
                self._heard = time.monotonic()
            self._over.wait(PULSE_S)

    @property
    def _answers(self) -> bool:
        return self._client.status == "running" and time.monotonic() - self._heard < STALE_S

    def slots(self) -> int:
        """Pieces of work to keep on the cluster: two for each thread, none while it is away."""
        return 2 * self._threads if self._answers else 0

    def check(self) -> None:
        """Say after a while what is missing; raise MachineError when it was missed too long."""
        now = time.monotonic()
        if self._answers and self._threads:
            self._well, self._told = now, False
            return
        missing = "no worker" if self._answers else "no answer from the scheduler"
        if now - self._well > self.cluster.timeout_s or self._client.status == "closed":
            raise self.cluster.gave_up(missing)
        if now - self._well > QUIET_S and not self._told:
            self._told = True
            _waiting(self.cluster, missing)

    def result_of(self, future: Future[Any]) -> Any:
        """What a future brings, checked while it is waited for; None when it got lost."""
        while not wait([future], timeout=PULSE_S).done:
            self.check()
        try:
            return future.result()
        except CancelledError:
            return None

    def close(self) -> None:
        """Say goodbye, but do not wait long for an answer."""
        self._over.set()
        with suppress(Exception):  # it is of no use any more, whatever is wrong with it
            self._client.close(timeout=CLOSE_S)


def _waiting(cluster: Cluster, missing: str) -> None:
    cluster.tell(
        f"--cluster {cluster.address}: {missing} so far; waiting up to {cluster.timeout_s:g} s "
        "(--cluster-timeout)"
    )


@contextmanager
def connect(cluster: Cluster) -> Iterator[Connection]:
    """A connection for the block, to workers that have this version of Evenfall.

    Raises InputError for an address that is none and for workers with another version,
    MachineError when nobody answers or no worker comes within the time limit.
    """
    try:
        from distributed import Client
    except ImportError:
        allowed = needs("distributed", "cluster")
        raise InputError([Problem("--cluster", cluster.address, allowed)]) from None
    if cluster.address.startswith("tls://") and cluster.tls is None:
        import dask

        if not dask.config.get("distributed.comm.tls.ca-file", None):
            raise InputError([Problem("--cluster", cluster.address, NO_TLS)])
    _hush()
    make: Any = Client  # its types are half there
    client = _made(
        cluster,
        partial(
            make,
            cluster.address,
            timeout=cluster.timeout_s,
            set_as_default=False,
            security=cluster.security(),
        ),
    )
    connection = Connection(cluster, client)
    try:
        _same_version(connection)
        yield connection
    finally:
        connection.close()


def _made(cluster: Cluster, make: Callable[[], Any]) -> Any:
    """A connected client; its own time limit does not hold where a port accepts and is silent."""
    making, told = aside(make), False
    began = time.monotonic()
    while not wait([making], timeout=PULSE_S).done:
        waited = time.monotonic() - began
        if waited > cluster.timeout_s + PULSE_S:
            break
        if waited > QUIET_S and not told:
            told = True
            _waiting(cluster, "no answer from a scheduler")
    try:
        return making.result(timeout=0.0)
    except TLS_ERRORS as error:
        allowed = f"certificates that can be used, --tls-ca, --tls-cert and --tls-key ({error})"
        raise InputError([Problem("--cluster", cluster.address, allowed)]) from None
    except ValueError as error:
        allowed = f"the address of a Dask scheduler, such as tcp://host:8786 ({error})"
        raise InputError([Problem("--cluster", cluster.address, allowed)]) from None
    except OSError:  # time limits are such, too
        raise cluster.gave_up("no scheduler answered") from None


def _hush() -> None:
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _same_version(connection: Connection) -> None:
    from abm import __version__

    there = None
    try:
        while there is None:
            connection.check()
            there = connection.result_of(connection.executor.submit(worker_version))
    except ImportError as error:
        there = f"none ({error})"
    if there != __version__:
        allowed = f"workers with evenfall {__version__}; they have {there}"
        raise InputError([Problem("--cluster", connection.cluster.address, allowed)])


def worker_version() -> str:
    """Version of Evenfall where this runs."""
    from abm import __version__

    return __version__
