"""What nobody foresaw: one line, a log with the traceback, exit code 70."""

import re
import sys
import warnings
from pathlib import Path

import pytest

from abm.cli import files, main
from abm.errors import InputError, Problem
from abm.fault_log import log_folders, write_log


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
