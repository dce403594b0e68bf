"""docs/equations.md names every equation, and only tests that exist; test_pages.py its code."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
CODE = sorted(set(re.findall(r"`(abm(?:\.\w+)+)`", TEXT)))
TESTS = sorted(set(re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", TEXT)))
ROWS = {
    int(match[1]): match[2]
    for match in re.finditer(r"^\| \((\d+)\)\*? \|(.*)\|$", TEXT.split("\n## ")[1], re.MULTILINE)
}


def test_every_equation_has_its_row():
    assert list(ROWS) == list(range(1, 24))
    for number, row in ROWS.items():
        assert row.count("|") == 3, number
        assert re.search(r"`abm\.", row), number


EQUATIONS = [name for name in CODE if re.fullmatch(r"abm\.equations\.\w+\.\w+", name)]


def text_of(*paths):
    return "".join((ROOT / "abm" / path).read_text(encoding="utf-8") for path in paths)


def files(folder):
    return [path.relative_to(ROOT / "abm") for path in (ROOT / "abm" / folder).rglob("*.py")]


def called(name, text):
    return re.search(rf"(?<!def )\b{name}\(", text) is not None


@pytest.mark.parametrize("name", EQUATIONS)
def test_named_equation_runs(name):
    assert called(name.rsplit(".", 1)[1], text_of(*files(".")))


@pytest.mark.parametrize("module", ["battery", "switching", "admission"])
def test_both_ways_through_the_day_call_the_same_equations(module):
    equations = importlib.import_module(f"abm.equations.{module}")
    own = {
        name
        for name, thing in vars(equations).items()
        if inspect.isfunction(thing) and thing.__module__ == equations.__name__
    }
    compiled = text_of(*(f"engine/{name}.py" for name in ("hour", "admit")))
    in_numpy = text_of(*files("fleet"), *files("control"), "engine/meter.py")
    in_numpy = in_numpy.replace("as_mode(", "mode(")
    shared = {name for name in own if called(name, compiled)}
    assert shared
    assert {name for name in shared if not called(name, in_numpy)} == set()


@pytest.mark.parametrize(("path", "function"), TESTS)
def test_named_test_exists(path, function):
    source = (ROOT / path).read_text(encoding="utf-8")
    assert not function or f"def {function}(" in source
