"""The compiled hour: when it is taken, and what is kept of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import small_paper

import abm
from abm import V2GModel

A_DAY = """
from abm import Scenario, V2GModel
fields = {"fleet.evs_per_zone": 1, "clock.engine": "compiled", "strategy": "uncoordinated"}
model = V2GModel(Scenario.load("paper_balanced").override(fields))
print(model.run().results.kpis["ev_charged_mwh"])
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package that can be changed, its cache, and a day of it."""
    package, cache = tmp_path / "copy" / "abm", tmp_path / "cache"
    original = Path(abm.__file__).parent
    shutil.copytree(original, package, ignore=shutil.ignore_patterns("__pycache__"))
    if (original.parent / "scenarios").is_dir():
        shutil.copytree(original.parent / "scenarios", package.parent / "scenarios")
    paths = {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(cache)}
    paths["EVENFALL_CACHE"] = str(tmp_path / "feeders")  # checked once

    def call():
        said = subprocess.run(
            [sys.executable, "-c", A_DAY],
            cwd=package.parent,
            env={**os.environ, **paths},
            check=True,
            capture_output=True,
            text=True,
        )
        return float(said.stdout)

    return package, cache, call


def test_a_changed_equation_is_compiled_anew_and_an_unchanged_one_is_not(copy):
    package, cache, call = copy
    before = call()
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")}
    assert kept
    assert call() == before
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")} == kept
    battery = package / "equations" / "battery.py"
    text, stamp = battery.read_text(encoding="utf-8"), battery.stat()
    changed = text.replace("* efficiency / capacity_kwh", "/ efficiency / capacity_kwh")
    assert changed != text
    # Neither its time nor its size says that it changed.
    battery.write_text(changed, encoding="utf-8")
    os.utime(battery, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    shutil.rmtree(battery.parent / "__pycache__", ignore_errors=True)
    # The battery gains 1 / 0.9 instead of 0.9 of what is drawn: 0.81 of the energy will do.
    assert call() == pytest.approx(0.81 * before, rel=0.01)
    assert len(list(cache.glob("hour-*"))) == 2


def test_which_way_is_taken_does_not_depend_on_what_was_imported():
    import abm.engine.compiled

    assert callable(abm.engine.compiled.advance)
    assert V2GModel(small_paper()).compiled is None


def test_many_ev_steps_are_compiled_and_few_are_not():
    """20 million: 1,500 EVs for ten days of 1,440 minutes are 21.6 million, for nine 19.4."""
    for days, compiled in ((9, False), (10, True)):
        scenario = small_paper(fleet={"evs_per_zone": 100}, horizon={"days": days})
        assert (V2GModel(scenario).compiled is not None) == compiled
