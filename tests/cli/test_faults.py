"""Signals, pipes, full disks, no memory, and what nobody foresaw: a line each, and an exit code."""

import errno
import gc
import os
import re
import signal
import sys
import time
import warnings
from pathlib import Path

import pytest
import simpy

from abm.cli import files, main
from abm.errors import InputError, MachineError, Problem
from abm.fault_log import log_folders, write_log
from abm.study.folder import StudyFolder

SMALL = ("--set", "fleet.evs_per_zone=1", "--set", "clock.step_s=900")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder; what `main` sets for the whole process is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def broken(_):
    raise ZeroDivisionError("division\nby\tnothing")


def test_an_unforeseen_error_is_one_line_and_a_log(monkeypatch, capsys, folder):
    monkeypatch.setattr(files, "print_json", broken)
    assert main(["schema"]) == 70
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert "ZeroDivisionError: division by nothing" in line
    log = Path(re.search(r"details in (.+\.log)$", line)[1])
    assert log.parent == folder / "state" / "evenfall"
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert 'raise ZeroDivisionError("division\\nby\\tnothing")' in text
    for word in ("command: ", "python: ", "evenfall "):
        assert word in text


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


def test_logs_of_one_second_stand_side_by_side(folder):
    error = raised(InputError([Problem("rule", "x", "y")]))
    said = {write_log(error, "asking the rule") for _ in range(5)}
    assert len(said) == 5
    logs = list((folder / "state" / "evenfall").iterdir())
    assert len(logs) == 5
    assert all("doing: asking the rule" in log.read_text() for log in logs)


def test_a_log_that_cannot_be_where_it_should_is_in_the_temporary_folder(
    folder, monkeypatch, tmp_path
):
    (folder / "state").write_text("a file where the folder should be")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert str(tmp_path / "evenfall-") in write_log(raised(ValueError("x")))


def test_without_any_folder_the_reason_is_said(folder, monkeypatch):
    monkeypatch.setattr("abm.fault_log.log_folders", lambda: [Path("/dev/null/evenfall")])
    assert write_log(raised(ValueError("x"))).endswith(
        "could not be written to a log: Not a directory"
    )


def test_without_a_home_there_is_still_the_temporary_folder(monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME")

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert [folder.name.startswith("evenfall-") for folder in log_folders()] == [True]


# --- signals -----------------------------------------------------------------------------------

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def kill(number):
    os.kill(os.getpid(), number)
    time.sleep(10)  # where the signal is heard
    raise AssertionError("no signal was heard")


@pytest.fixture
def verb(monkeypatch):
    """Sets what `schema` does; handlers of signals are as before at the end."""
    before = [signal.getsignal(number) for number, _ in SIGNALS]
    yield lambda function: monkeypatch.setattr(files, "print_json", function)
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_is_one_line_and_its_exit_code(verb, capsys, number, code):
    verb(lambda _: kill(number))
    assert main(["schema"]) == code
    assert capsys.readouterr().err == f"stopped by {number.name}\n"


def test_a_signal_that_was_ignored_stays_ignored(verb, capsys):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        verb(lambda _: os.kill(os.getpid(), signal.SIGHUP))
        assert main(["schema"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr().err == ""


def swallow(_):
    try:
        kill(signal.SIGTERM)
    except BaseException:  # as some packages do while they are imported
        time.sleep(0)
    time.sleep(10)
    raise AssertionError("the signal was lost")


class Destructor:
    def __del__(self):
        kill(signal.SIGTERM)


def destroy(_):
    del_me = Destructor()
    del del_me
    time.sleep(10)
    raise AssertionError("the signal was lost")


def take_for_another(_):
    try:
        kill(signal.SIGTERM)
    except BaseException as error:
        raise ImportError("some module is missing") from error


def copied_by_simpy(_):
    env = simpy.Environment()

    def process():
        yield env.timeout(1)
        kill(signal.SIGTERM)

    env.process(process())
    env.run()


@pytest.mark.parametrize("lose", [swallow, destroy, take_for_another, copied_by_simpy])
def test_a_signal_that_would_be_lost_is_heard(verb, capsys, lose):
    verb(lose)
    assert main(["schema"]) == 143
    assert capsys.readouterr().err == "stopped by SIGTERM\n"


class HalfMade:
    """Stopped within its constructor, as llvmlite's are while numba compiles."""

    def __init__(self):
        kill(signal.SIGINT)
        self.handle = 1

    def __del__(self):
        del self.handle


def half_made(_):
    HalfMade()


def half_made_in_a_ring(_):
    ring = [HalfMade.__new__(HalfMade)]
    ring.append(ring)
    ring[0].__init__()


@pytest.mark.parametrize("leave", [half_made, half_made_in_a_ring])
def test_what_a_stop_leaves_half_made_fails_in_a_log(verb, monkeypatch, capsys, folder, leave):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: shown.append(dropped.exc_value))
    verb(leave)
    assert main(["schema"]) == 130
    gc.collect()
    assert shown == []
    assert capsys.readouterr().err == "stopped by SIGINT\n"
    (log,) = (folder / "state" / "evenfall").iterdir()
    assert "doing: stopping" in log.read_text()
    assert "AttributeError: 'HalfMade' object has no attribute 'handle'" in log.read_text()


def test_what_fails_in_a_destructor_without_a_stop_is_shown(verb, monkeypatch, folder):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: shown.append(dropped.exc_type))
    verb(lambda _: HalfMade.__new__(HalfMade) and None)
    assert main(["schema"]) == 0
    assert shown == [AttributeError]
    assert not (folder / "state").exists()


def test_a_second_signal_ends_it_at_once(verb, monkeypatch):
    ended = []

    def leave(code):
        ended.append(code)
        raise SystemExit(code)

    def stubborn(_):
        try:
            kill(signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("abm.cli.stopping.os._exit", leave)
    verb(stubborn)
    main(["schema"])
    assert ended == [130]


def test_a_signal_while_an_error_is_told_is_told_instead(monkeypatch, verb, capsys):
    verb(broken)
    told = []

    def ending_once(error):
        if not told:
            told.append(error)
            kill(signal.SIGTERM)
        return ["stopped"], 143

    monkeypatch.setattr("abm.cli.ending", ending_once)
    assert main(["schema"]) == 143


def test_what_a_stopped_study_keeps_is_said(monkeypatch, capsys):
    finished = []

    def stop_after_two(self, name, content):
        add(self, name, content)
        finished.append(name)
        if len(finished) == 2:
            kill(signal.SIGTERM)

    add = StudyFolder.add
    monkeypatch.setattr(StudyFolder, "add", stop_after_two)
    study = ["montecarlo", "paper", *SMALL, "--workers", "1", "--replications", "150"]
    assert main([*study, "--out", "o"]) == 143
    said = capsys.readouterr().err.splitlines()[-1]
    expected = "o keeps 2 finished chunks; the same with --resume goes on from there"
    assert said == f"stopped by SIGTERM; {expected}"
    assert len(list(Path("o", "parts").iterdir())) == 2


def test_what_a_stopped_run_leaves_is_said(monkeypatch, capsys, folder):
    run = ["run", "paper", *SMALL, "--no-figures", "--out", "o"]
    with monkeypatch.context() as patch:
        patch.setattr("abm.api.runs.run_once", lambda *_: kill(signal.SIGHUP))
        assert main(run) == 129
    assert capsys.readouterr().err.splitlines()[-1] == "stopped by SIGHUP; o was left as it was"
    assert list(folder.iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr("abm.report.terminal.print_kpis", lambda *_: kill(signal.SIGTERM))
        assert main(run) == 143
    assert capsys.readouterr().err.splitlines()[-1] == "stopped by SIGTERM; o has the whole result"
    assert (folder / "o" / "manifest.json").is_file()


# --- streams -----------------------------------------------------------------------------------


@pytest.fixture
def nobody_reads(monkeypatch):
    """Standard output and error are pipes whose reader has gone."""
    opened = []
    for name in ("stdout", "stderr"):
        read, write = os.pipe()
        os.close(read)
        opened.append(os.fdopen(write, "w"))
        monkeypatch.setattr(sys, name, opened[-1])
    yield
    for stream in opened:
        stream.close()


def test_a_closed_pipe_does_not_stop_the_writing(nobody_reads, folder):
    assert main(["run", "paper", *SMALL, "--no-figures", "--out", "run"]) == 0
    assert main(["run", "paper", *SMALL, "--no-figures", "--out", "json", "--json"]) == 0
    compare = ["compare", "paper", *SMALL, "--strategies", "none", "--no-bound"]
    assert main([*compare, "--out", "compare"]) == 0
    study = [*SMALL, "--workers", "1", "--replications", "2"]
    assert main(["montecarlo", "paper", *study, "--out", "montecarlo"]) == 0
    vary = ["--vary", "fleet.evs_per_zone=1,2"]
    assert main(["sweep", "paper", *study, *vary, "--out", "sweep"]) == 0
    for verb in (["list"], ["schema"], ["validate", "paper"]):
        assert main(verb) == 0
    for name in ("run", "json", "compare", "montecarlo", "sweep"):
        assert (folder / name / "manifest.json").is_file(), name


def test_a_full_disk_behind_standard_output_is_said(monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["list"]) == 1
    said = "standard output: No space left on device; what was written to files is whole\n"
    assert capsys.readouterr().err == said


def test_streams_that_were_closed_lead_nowhere(monkeypatch, folder):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["run", "paper", *SMALL, "--no-figures", "--out", "o"]) == 0
    assert (sys.stdout, sys.stderr) == (None, None)
    assert (folder / "o" / "manifest.json").is_file()


def test_letters_that_a_locale_lacks_are_shown_by_number(monkeypatch, tmp_path):
    with (tmp_path / "said").open("w", encoding="ascii") as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        monkeypatch.setattr(files, "print_json", lambda _: print("2 \N{GREEK SMALL LETTER ETA}"))
        assert main(["schema"]) == 0
    assert (tmp_path / "said").read_text() == "2 \\u03b7\n"


# --- the machine ---------------------------------------------------------------------------------

SAID = {
    "disk": (OSError(errno.ENOSPC, "Error writing. Detail: x"), 1, "No space left on device"),
    "file": (OSError(errno.EROFS, "x", "a/b"), 1, "a/b: Read-only file system"),
    "name": (OSError(errno.ENAMETOOLONG, "x", "bbb"), 1, "bbb: File name too long"),
    "memory": (MemoryError(), 1, "out of memory"),
    "array": (
        MemoryError("Unable to allocate\n9 GiB"),
        1,
        "out of memory: Unable to allocate 9 GiB",
    ),
    "thread": (RuntimeError("can't start new thread"), 1, "no more threads or memory can be had"),
    "lost": (MachineError("no worker"), 1, "no worker"),
    "exit": (SystemExit(0), 70, "an error that was not foreseen, SystemExit: 0; details in "),
    "else": (OSError(errno.ENOMSG, "x"), 70, "an error that was not foreseen, OSError: "),
}


@pytest.mark.parametrize(("error", "code", "says"), SAID.values(), ids=SAID)
def test_a_fault_is_one_line_and_an_exit_code(verb, capsys, error, code, says):
    def fail(_):
        raise error

    verb(fail)
    assert main(["schema"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(says)
    assert code == 70 or line == says


def test_a_working_folder_that_is_gone_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["list"]) == 1
    assert capsys.readouterr().err.startswith("the working folder is gone")


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "full"), MemoryError("no array")])
@pytest.mark.parametrize(
    "verb_of",
    [
        ["run", "--no-figures"],
        ["compare", "--strategies", "none", "--no-bound"],
        ["montecarlo", "--replications", "2", "--workers", "1"],
    ],
)
def test_a_fault_while_writing_leaves_nothing_half_written(
    folder, monkeypatch, capsys, fault, verb_of
):
    def fail(*_):
        raise fault

    monkeypatch.setattr("abm.results.staging.OutputFolder.write", fail)
    name, *options = verb_of
    assert main([name, "paper", *SMALL, *options, "--out", "o"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("; o was left as it was")
    assert "Traceback" not in last
    assert list(folder.iterdir()) == []


# --- what does not fit -------------------------------------------------------------------------

RANGES = ("--vary", "ev.efficiency=0.8..1", "--vary", "ev.soc_min=0.1..0.2")
TOO_LARGE = {
    "EVs": ["run", "paper", "--set", "feeder.copies=100000"],
    "compare": ["compare", "paper", "--set", "fleet.evs_per_zone=1000000"],
    "bound": ["bound", "paper", "--set", "fleet.evs_per_zone=1000000"],
    "stays": ["run", "weekend", "--set", "horizon.days=366", "--set", "feeder.copies=1000"],
    "steps": ["run", "paper", "--set", "horizon.days=366", "--set", "clock.step_s=1"],
    "flows": ["run", "city", "--set", "grid.flow_interval_min=1"],
    "replications": ["montecarlo", "paper", "--replications", "1000000000"],
    "batches": ["montecarlo", "paper", "--workers", "2000"],
    "points": ["sweep", "paper", "--design", "sobol:1073741824", *RANGES],
    "grid": ["sweep", "paper", "--vary", "ev.efficiency=0.8,0.9", "--replications", "9999999"],
    "paper": ["reproduce", "--replications", "100000000"],
    "validate": ["validate", "large.yaml"],
}


@pytest.mark.parametrize("argv", TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_does_not_fit_into_memory_is_refused(folder, monkeypatch, capsys, argv):
    (folder / "large.yaml").write_text("extends: paper\nfeeder: {copies: 100000}\n")
    monkeypatch.setattr("abm.study.size.memory_there", lambda: 2_000_000_000)
    before = sorted(folder.rglob("*"))
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert re.search(r"memory = at least \S+ [GT]B: at most the 2 GB that are there; most", said)
    assert sorted(folder.rglob("*")) == before


def test_what_does_not_fit_on_the_disk_is_refused(folder, monkeypatch, capsys):
    monkeypatch.setattr("abm.study.size.disk_there", lambda _: 100_000)
    assert main(["montecarlo", "paper", "--replications", "1000", "--out", "o"]) == 2
    said = capsys.readouterr().err
    assert "disk = at least 1.5 MB: at most the 100 kB that are there" in said
    assert list(folder.iterdir()) == []
