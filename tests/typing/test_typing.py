"""A user's script passes type checkers in their strict modes, and what is misspelt does not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


def test_mypy_passes_the_right_script_and_finds_every_error_in_the_other():
    pytest.importorskip("mypy")
    # The second says which errors are there; one that mypy no longer finds is an unused comment.
    scripts = [str(HERE / name) for name in ("user_script.py", "misspelt.py")]
    command = [sys.executable, "-m", "mypy", "--strict", *scripts]
    found = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1])
    assert found.returncode == 0, found.stdout + found.stderr


def test_pyright_passes_the_right_script_and_finds_every_error_in_the_other(tmp_path):
    pyright = shutil.which("pyright") or shutil.which("pyright", path=Path(sys.executable).parent)
    if pyright is None:
        pytest.skip("pyright is not here")
    config = {"typeCheckingMode": "strict", "enableTypeIgnoreComments": False}
    config |= {"extraPaths": [str(HERE.parents[1])], "reportUnusedExpression": False}
    config |= {"pythonVersion": "3.11", "reportMissingTypeStubs": False}
    found = {}
    for name in ("user_script.py", "misspelt.py"):
        shutil.copy(HERE / name, tmp_path / name)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command = [pyright, "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    if not run.stdout.startswith("{"):
        pytest.skip(f"pyright cannot run here: {run.stdout or run.stderr}"[:200])
    for one in json.loads(run.stdout)["generalDiagnostics"]:
        if one["severity"] == "error":
            line = one["range"]["start"]["line"]
            found.setdefault(Path(one["file"]).name, {})[line] = one["message"]
    assert found.get("user_script.py", {}) == {}
    lines = (HERE / "misspelt.py").read_text().splitlines()
    wrong = {i for i, line in enumerate(lines) if "# type: ignore" in line}
    assert wrong <= set(found["misspelt.py"]), found
