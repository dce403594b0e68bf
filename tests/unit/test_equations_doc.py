"""docs/equations.md names every equation, and only code and tests that exist."""

import importlib
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


def found(name):
    """The object of a dotted name: the longest module in it, then attributes."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part)
        return thing
    raise AttributeError(name)


def test_every_equation_has_its_row():
    assert list(ROWS) == list(range(1, 24))
    for number, row in ROWS.items():
        assert row.count("|") == 3, number
        assert re.search(r"`abm\.", row), number


@pytest.mark.parametrize("name", CODE)
def test_named_code_exists(name):
    found(name)


@pytest.mark.parametrize(("path", "function"), TESTS)
def test_named_test_exists(path, function):
    source = (ROOT / path).read_text(encoding="utf-8")
    assert not function or f"def {function}(" in source
