"""Small studies from end to end: the command line in this process or in its own."""

import io
import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import abm
from abm.cache import user_folder
from abm.cli import main

HERE = Path(__file__).parent
ROOT = Path(abm.__file__).parents[1]
SMALL = ("--set", "fleet.evs_per_zone=2", "--set", "clock.step_s=900")
TWO = ("--strategies", "uncoordinated,evms")


def call(*argv, code=0):
    """Exit code checked; what was printed."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        found = main([str(word) for word in argv])
    assert found == code, err.getvalue()
    return SimpleNamespace(out=out.getvalue(), err=err.getvalue())


# What the processes of one test run remember together: which feeders were checked. What is compiled
# is kept where it always is.
REMEMBERED = tempfile.TemporaryDirectory(prefix="evenfall-tests-")


def environment():
    """Where processes of their own find this package and the rules of these tests."""
    paths = [str(ROOT), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {"PYTHONPATH": os.pathsep.join(paths), "EVENFALL_CACHE": REMEMBERED.name}
    kept = user_folder()
    code = {} if kept is None else {"NUMBA_CACHE_DIR": str(kept)}
    return {**code, **os.environ, **found}


def start(*argv, cwd):
    """The command line as a process of its own."""
    code = "from abm.cli import script; script()"
    words = [sys.executable, "-c", code, *map(str, argv)]
    return subprocess.Popen(
        words, cwd=cwd, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def files(folder: Path) -> dict[str, bytes]:
    """What a study says, byte for byte: everything but how it was run."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "parts" and path.name != "manifest.json"
    }


def same_files(a: Path, b: Path) -> None:
    found, wanted = files(a), files(b)
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
