"""Where chunks run: one interface, `concurrent.futures.Executor`, in three makes.

In this process, in a pool of local processes, or on a Dask cluster. A worker that dies takes the
chunks in flight with it; they run again, and what kills workers again and again is given up.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any, TypeVar

from abm.errors import InputError, Problem

_T = TypeVar("_T")

# A worker uses one core; what it calls must not start threads on all of them.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# Times that work is handed out before it is taken for what kills the workers.
TRIES = 3
CONNECT_S = 20
# What a worker imports before its first piece of work, for what that imports.
PRELOAD = "abm.study.preload"
# A scheduler may give one process several threads; a model has the process to itself.
ONE_AT_A_TIME = threading.Lock()


def default_workers() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class SerialExecutor(Executor):
    """Runs what it is given at once, in this process."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """A future that is done."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class Backend:
    """An executor, how much to keep in it, and how to make a new one when it breaks."""

    make: Callable[[], Executor]
    slots: Callable[[], int]

    def __post_init__(self) -> None:
        self.executor = self.make()

    def replace(self) -> None:
        """A new executor in place of a broken one."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self.make()


@contextmanager
def open_backend(workers: int = 1, cluster: str | None = None) -> Iterator[Backend]:
    """A backend for the block; workers started are stopped when it ends.

    cluster: address of a Dask scheduler, which goes before `workers`. Raises InputError when it
    cannot be used.
    """
    if cluster is not None:
        with _dask(cluster) as backend:
            yield backend
        return
    if workers < 1:
        raise InputError([Problem("--workers", str(workers), "a whole number from 1")])
    backend = Backend(SerialExecutor, lambda: 1) if workers == 1 else _pool(workers)
    with _environment():
        try:
            yield backend
        finally:
            backend.executor.shutdown(wait=True, cancel_futures=True)


# --- local processes ---------------------------------------------------------------------------


def _pool(workers: int) -> Backend:
    # A server that has imported everything forks a worker in milliseconds; a fork of this process
    # would copy its threads' locks.
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([PRELOAD])
    else:
        # A context of another class, which mypy does not see as the same interface.
        context = multiprocessing.get_context("spawn")  # type: ignore[assignment]
    # One chunk waits behind each that runs, so that no worker is ever idle.
    return Backend(
        lambda: ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker),
        lambda: 2 * workers,
    )


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who then stops us
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()
    importlib.import_module(PRELOAD)


def _die_with(sentinel: int) -> None:
    # The queues of a pool never tell a worker that its parent was killed.
    wait_for([sentinel])
    os._exit(1)


@contextmanager
def _environment() -> Iterator[None]:
    """What processes started in the block inherit: one thread each, and where this package is."""
    package = str(Path(__file__).absolute().parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    changes = dict.fromkeys(ONE_THREAD, "1") | {"PYTHONPATH": os.pathsep.join(paths)}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# --- a cluster ---------------------------------------------------------------------------------


@contextmanager
def _dask(address: str) -> Iterator[Backend]:
    try:
        from distributed import Client
    except ImportError:
        allowed = "needs the package distributed: pip install 'evenfall[cluster]'"
        raise InputError([Problem("--cluster", address, allowed)]) from None
    try:
        connect: Any = Client  # its types are half there
        client = connect(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        allowed = f"the address of a Dask scheduler, such as tcp://host:8786 ({error})"
        raise InputError([Problem("--cluster", address, allowed)]) from None
    with client:
        backend = Backend(client.get_executor, lambda: 2 * max(1, sum(client.nthreads().values())))
        _same_version(backend, address)
        yield backend


def _same_version(backend: Backend, address: str) -> None:
    from abm import __version__

    try:
        there = backend.executor.submit(worker_version).result()
    except ImportError as error:
        there = f"none ({error})"
    if there != __version__:
        allowed = f"workers with evenfall {__version__}; they have {there}"
        raise InputError([Problem("--cluster", address, allowed)])


def worker_version() -> str:
    """Version of Evenfall where this runs."""
    from abm import __version__

    # Rules named module:Class are looked for where a worker was started, as on the command line.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return __version__


# --- handing out -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """Something to hand out. tries: how often a worker has died, or been lost, on it."""

    what: Any
    tries: int = 0


def hand_out(
    backend: Backend,
    work: Sequence[Any],
    call: Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]],
    split: Callable[[Any], Sequence[Any]],
) -> Generator[tuple[Any, Any, BaseException | None], None, None]:
    """Run all of `work`; yields (work, result, None), or (work, None, error) for what is given up.

    call: function and arguments for a piece of work. split: its smaller pieces, tried one by one
    when the whole has killed its workers; empty when it cannot be smaller. Results come as they are
    ready. Raises InputError when a worker does. Closing the iterator drops what was not begun.
    """
    waiting: deque[Work] = deque(Work(what) for what in work)
    suspects: deque[Work] = deque()
    running: dict[Future[Any], Work] = {}
    try:
        while waiting or suspects or running:
            broken = _submit(backend, waiting, suspects, running, call)
            finished = wait(running, return_when=FIRST_COMPLETED).done if running else set()
            for future in finished:
                piece = running.pop(future)
                error = future.exception() if not future.cancelled() else CancelledError()
                if error is None:
                    yield piece.what, future.result(), None
                    continue
                if isinstance(error, InputError):
                    raise error
                broken = broken or isinstance(error, BrokenExecutor)
                yield from _once_more(piece, error, suspects, split)
            if broken:
                # All that was in the pool is lost with it, whoever was to blame; each runs again,
                # alone, so that the next death has one suspect.
                for future, piece in running.items():
                    future.cancel()
                    suspects.append(piece)
                running.clear()
                backend.replace()
    finally:
        for future in running:
            future.cancel()


def _submit(
    backend: Backend,
    waiting: deque[Work],
    suspects: deque[Work],
    running: dict[Future[Any], Work],
    call: Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]],
) -> bool:
    """Fill the executor, suspects first and alone; True when it turns out to be broken."""
    slots = backend.slots()
    while (suspects and not running) or (waiting and not suspects and len(running) < slots):
        queue = suspects or waiting
        function, arguments = call(queue[0].what)
        try:
            future = backend.executor.submit(function, *arguments)
        except BrokenExecutor:
            return True
        running[future] = queue.popleft()
    return False


def _once_more(
    piece: Work,
    error: BaseException,
    suspects: deque[Work],
    split: Callable[[Any], Sequence[Any]],
) -> Iterator[tuple[Any, None, BaseException]]:
    tries = piece.tries + 1
    if tries < TRIES:
        suspects.append(Work(piece.what, tries))
        return
    smaller = split(piece.what)
    if smaller:
        suspects.extend(Work(part, TRIES - 1) for part in smaller)
    else:
        yield piece.what, None, error
