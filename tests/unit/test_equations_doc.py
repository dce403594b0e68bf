"""docs/equations.md names every equation, and only tests that exist; test_pages.py its code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
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


@pytest.mark.parametrize(("path", "function"), TESTS)
def test_named_test_exists(path, function):
    source = (ROOT / path).read_text(encoding="utf-8")
    assert not function or f"def {function}(" in source
