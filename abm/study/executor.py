"""Where chunks run: one interface, `concurrent.futures.Executor`, in three makes.

In this process, in a pool of local processes, or on a Dask cluster. A worker that dies takes the
chunks in flight with it; they run again, and what kills workers again and again is given up.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any, TypeVar

from abm.errors import InputError, MachineError, PluginError, Problem
from abm.scenario import Scenario
from abm.scenario.objects import check_sendable
from abm.study.cluster import PULSE_S, Cluster, connect

_T = TypeVar("_T")

# A worker uses one core; what it calls must not start threads on all of them.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# Times that work is handed out before it is taken for what kills the workers.
TRIES = 3
# Times that a pool breaks, or cannot even start, one after the other and without a result, before
# it is given up.
MOST_BREAKS, MOST_STARTS = 100, 3
GONE = "gone with exit code {}"
SCRIPT = (
    "a script that workers can import, being a file whose work stands under `if __name__ == "
    "'__main__':`; this one ended each worker that imported it, and one worker imports none"
)
# What a worker imports before its first piece of work, for what that imports.
PRELOAD = "abm.study.preload"
# A scheduler may give one process several threads; a model has the process to itself.
ONE_AT_A_TIME = threading.Lock()


class SerialExecutor(Executor):
    """Runs what it is given at once, in this process."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """A future that is done."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except (Exception, SystemExit) as error:
            future.set_exception(error)
        return future


@dataclass
class Backend:
    """An executor, how much to keep in it, and how to make a new one when it breaks.

    check: called while work is waited for, every pulse_s seconds; raises when it is in vain.
    """

    make: Callable[[], Executor]
    slots: Callable[[], int]
    check: Callable[[], None] = lambda: None
    pulse_s: float | None = None

    def __post_init__(self) -> None:
        self.executor = self.make()

    def replace(self) -> str:
        """A new executor in place of a broken one; how the worker of that died, in words."""
        self.executor.shutdown(wait=True)
        death = self.executor.death() if isinstance(self.executor, Pool) else "lost"
        self.executor = self.make()
        return death


@contextmanager
def open_backend(
    workers: int = 1,
    cluster: str | Cluster | None = None,
    scenarios: Iterable[Scenario] = (),
) -> Iterator[Backend]:
    """A backend for the block; workers started are stopped when it ends, at once by an exception.

    cluster: a Dask scheduler, or its address, which goes before `workers`. scenarios: what will be
    handed out. Raises InputError when the cluster, or an object of a scenario with it or with
    several workers, cannot be used, MachineError when the cluster is not there.
    """
    if cluster is not None or workers > 1:
        check_sendable((one.objects for one in scenarios), here=cluster is None)
    if cluster is not None:
        with connect(Cluster(cluster) if isinstance(cluster, str) else cluster) as found:
            yield Backend(lambda: found.executor, found.slots, found.check, PULSE_S)
        return
    if workers < 1:
        raise InputError([Problem("--workers", str(workers), "a whole number from 1")])
    with _environment():
        backend = Backend(SerialExecutor, lambda: 1) if workers == 1 else _pool(workers)
        try:
            if workers > 1:
                _check_script(backend, workers)
            yield backend
        except BaseException:
            if isinstance(backend.executor, Pool):
                backend.executor.kill()
            raise
        finally:
            backend.executor.shutdown(wait=True, cancel_futures=True)


# --- local processes ---------------------------------------------------------------------------


class Pool(ProcessPoolExecutor):
    """Processes that are killed at once when need be, and that know nothing of our signals.

    Ctrl-C and a closing terminal reach all processes of a group, and are for us alone. A process
    begins with the signals held back that the thread held back that started it: a thread of its
    own, so that the one which waits for it can be stopped meanwhile.
    """

    def __init__(self, workers: int, context: Any) -> None:
        self._starter = ThreadPoolExecutor(1, initializer=_hold_signals)
        make = partial(super().__init__, workers, mp_context=context, initializer=_start_worker)
        self._starter.submit(make).result()
        self.workers: Mapping[int, Any] = self._processes  # which `shutdown` forgets

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """As in the standard library; BrokenExecutor also when no process can be started."""
        try:
            return self._starter.submit(super().submit, fn, *args, **kwargs).result()
        except (OSError, EOFError) as error:
            raise BrokenExecutor(f"no worker could be started: {error}") from error

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in the standard library."""
        self._starter.shutdown(wait)
        super().shutdown(wait, cancel_futures=cancel_futures)

    def kill(self) -> None:
        """Stop all workers, whatever they are at."""
        if not self.workers:
            _kill_server()  # or the first would have to wait for all its imports
        self._starter.shutdown(cancel_futures=True)
        for process in list(self.workers.values()):
            process.kill()

    def death(self) -> str:
        """How a worker died, in words; to be asked after `shutdown`."""
        for process in list(self.workers.values()):
            code = process.exitcode or 0
            name = signal.Signals(-code).name if code < 0 else ""
            if name == "SIGKILL":
                return "killed by SIGKILL, as the system does when memory runs out"
            # The pool itself terminates those that are left.
            if code and name != "SIGTERM":
                return f"killed by {name}" if name else GONE.format(code)
        return "gone"


def _hold_signals() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


def _kill_server() -> None:
    """Kill the server that is about to fork the first worker, if there is one."""
    from multiprocessing import forkserver

    server = getattr(forkserver, "_forkserver", None)
    if (pid := getattr(server, "_forkserver_pid", None)) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


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
    return Backend(lambda: Pool(workers, context), lambda: 2 * workers)


def _check_script(backend: Backend, workers: int) -> None:
    """Raise InputError where the script ends a worker that imports it, as each of them has to."""
    try:
        backend.executor.submit(os.getpid).result()
    except BrokenExecutor:
        backend.executor.shutdown()
        if isinstance(backend.executor, Pool) and backend.executor.death() == GONE.format(1):
            raise InputError([Problem("--workers", str(workers), SCRIPT)]) from None
        # Any other death is counted when there is work.
        backend.replace()


def _start_worker() -> None:
    if hasattr(signal, "pthread_sigmask"):
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()
    # What is wrong will show in the work, where it can be told.
    with suppress(Exception):
        importlib.import_module(PRELOAD)


def _die_with(sentinel: int) -> None:
    # The queues of a pool never tell a worker that its parent was killed.
    wait_for([sentinel])
    os._exit(1)


@contextmanager
def _environment() -> Iterator[None]:
    """What processes started in the block inherit.

    One thread each, where this package is, and not to import from the working folder.
    """
    package = str(Path(__file__).absolute().parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    # Killed with its parent, the standard library's tracker tidies up; nobody need be told.
    filters = [*filter(None, [os.environ.get("PYTHONWARNINGS")]), "ignore:resource_tracker"]
    changes = dict.fromkeys(ONE_THREAD, "1") | {"PYTHONSAFEPATH": "1"}
    changes |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": ",".join(filters)}
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
    ready. Raises InputError and PluginError when a worker does. Closing the iterator drops what was
    not begun.
    """
    waiting: deque[Work] = deque(Work(what) for what in work)
    suspects: deque[Work] = deque()
    running: dict[Future[Any], Work] = {}
    breaks = starts = 0
    while waiting or suspects or running:
        backend.check()
        refused = _submit(backend, waiting, suspects, running, call)
        if not running:
            starts += refused is not None
            if refused is not None and starts > MOST_STARTS:
                raise MachineError(str(refused))
            if refused is not None:
                backend.replace()
            else:
                time.sleep(backend.pulse_s or 0.0)
            continue
        broken = refused is not None
        done = wait(running, timeout=backend.pulse_s, return_when=FIRST_COMPLETED).done
        if broken or any(isinstance(_error_of(future), BrokenExecutor) for future in done):
            # All that was in the pool is lost with it, whoever was to blame; each runs again,
            # alone, so that the next death has one suspect.
            done, broken = wait(running).done, True
        death = MachineError(f"its worker was {backend.replace()}") if broken else None
        breaks += broken
        for future in done:
            piece, error = running.pop(future), _error_of(future)
            if error is None:
                breaks = starts = 0
                yield piece.what, future.result(), None
            elif isinstance(error, InputError | PluginError):
                raise error
            else:
                if isinstance(error, BrokenExecutor) and death is not None:
                    error = death
                yield from _once_more(piece, error, suspects, split)
        if breaks > MOST_BREAKS:
            raise MachineError(f"{breaks} workers died one after the other, the last: {death}")


def _error_of(future: Future[Any]) -> BaseException | None:
    error = CancelledError() if future.cancelled() else future.exception()
    # The latter is Dask's; its text is half a page.
    if isinstance(error, CancelledError) or type(error).__name__ == "KilledWorker":
        return MachineError("its worker was lost")
    return error


def _submit(
    backend: Backend,
    waiting: deque[Work],
    suspects: deque[Work],
    running: dict[Future[Any], Work],
    call: Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]],
) -> BrokenExecutor | None:
    """Fill the executor, suspects first and alone; the error when it turns out to be broken."""
    slots = backend.slots()
    while (suspects and not running) or (waiting and not suspects and len(running) < slots):
        queue = suspects or waiting
        function, arguments = call(queue[0].what)
        try:
            future = backend.executor.submit(function, *arguments)
        except BrokenExecutor as error:
            return error
        running[future] = queue.popleft()
    return None


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
