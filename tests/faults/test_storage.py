"""Output folders under kills and damage: the old result or the new one, and all that is a user's.

How many tries of each class held is printed with `-s`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from storage_tries import CLASSES

import abm

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="each try is a fork"),
]


@pytest.mark.parametrize("name", CLASSES)
def test_every_try_holds(tmp_path, name):
    paths = [str(Path(abm.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("storage_tries.py"), name, tmp_path / "top"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"{name}: {found['tried']} tried, {found['tried'] - len(found['failed'])} held")
    assert found["failed"] == [], done.stderr
    assert found["tried"] > 0
