"""Signals, kills, closed pipes, full disks, no memory, lost clusters: one line and an exit code.

How many tries of each class held is printed with `-s`.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from process_tries import CLASSES

import abm

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are found in /proc"),
]


@pytest.mark.parametrize("name", CLASSES)
def test_every_try_holds(tmp_path, name):
    if name == "clusters" and importlib.util.find_spec("distributed") is None:
        pytest.skip("the extra `cluster` is not installed")
    paths = [str(Path(abm.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Which feeders were checked is remembered, so that a verb takes no longer than with a user.
    own = {"PYTHONPATH": os.pathsep.join(paths), "EVENFALL_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("process_tries.py"), name, tmp_path / "top"],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"{name}: {found['tried']} tried, {found['tried'] - len(found['failed'])} held")
    assert found["failed"] == [], done.stderr
    assert found["tried"] > 0
