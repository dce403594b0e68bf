"""Every script of the repository runs: benchmarks, figures of the pages, examples, with `--smoke`.

A script is any Python file in these folders whose name does not begin with an underscore, so that a
new one cannot be forgotten. `--smoke` has to take seconds and to leave the repository as it was.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest
from helpers import ev, write_sessions
from study_helpers import ROOT, environment

FOLDERS = ("benchmarks", "benchmarks/peers", "docs/figures", "examples")
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in (ROOT / folder).glob("[!_]*.py")
)
# What a script needs that is not Evenfall's to install.
NEEDS = {
    "benchmarks/peers/run_acnsim.py": "acnportal",
    "benchmarks/peers/run_ev2gym.py": "ev2gym",
}
# Called by compare.py with a file of sessions, not by hand.
ADAPTERS = {path for path in SCRIPTS if path.startswith("benchmarks/peers/run_")}


def written():
    """Every file of these folders with its time of writing; caches apart."""
    return {
        path: path.stat().st_mtime_ns
        for folder in ("benchmarks", "docs", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".peers" not in path.parts
    }


def run(script, folder):
    """The script as a process; what it wrote to a file comes as its output."""
    arguments, out = ["--smoke"], folder / "out.json"
    if script in ADAPTERS:
        sessions = write_sessions(folder / "sessions.csv", [ev(p_max_kw=5.4, efficiency=1.0)])
        arguments = [str(sessions), str(out), "--repeats", "1"]
    ran = subprocess.run(
        [sys.executable, str(ROOT / script), *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return ran.returncode, ran.stderr, ran.stdout + (out.read_text("utf-8") if out.exists() else "")


@pytest.fixture(scope="module")
def before():
    return written()


@pytest.fixture(scope="module")
def running(request, tmp_path_factory, before):
    """All scripts that are asked for, two at a time: most of a script's time are its imports."""
    asked = [getattr(item, "callspec", None) for item in request.session.items]
    scripts = [call.params["script"] for call in asked if call and "script" in call.params]
    with ThreadPoolExecutor(2) as pool:
        yield {
            script: pool.submit(run, script, tmp_path_factory.mktemp("script"))
            for script in scripts
            if script not in NEEDS or find_spec(NEEDS[script])
        }


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_works(script, running):
    if script not in running:
        pytest.skip(f"{NEEDS[script]} has an environment of its own")
    code, errors, said = running[script].result()
    assert code == 0, errors
    assert said


def test_no_script_writes_to_the_repository(running, before):
    for started in running.values():
        started.result()
    assert written() == before


def test_no_script_is_left_out():
    assert {"benchmarks/city.py", "docs/figures/owners.py", "examples/night_tariff.py"} <= {
        *SCRIPTS
    }
    assert set(NEEDS) <= ADAPTERS <= set(SCRIPTS)
