"""The pages name only code, files and links that exist."""

import importlib
import re
from pathlib import Path

import pytest
from test_imports import LAYERS

ROOT = Path(__file__).parents[2]
# The changelog and the decisions speak of their time.
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    + [path for path in (ROOT / "docs").glob("*.md") if path.name != "decisions.md"]
    + [ROOT / "benchmarks" / "README.md", ROOT / "examples" / "README.md"]
)
CODE = r"`(abm(?:\.\w+)+)`"
FILES = r"`((?:abm|tests|benchmarks|examples|scenarios)/[\w/.-]+|docs/(?:figures/)?[\w.-]+\.\w+)"
COMMANDS = r"python ((?:[\w-]+/)+[\w-]+\.py)"
LINKS = r"\]\((?!https?:|#)([^)#\s]+)"
every_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def found(name):
    """The object of a dotted name: the longest module in it, then attributes."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            # Fields of a dataclass are there without a value, too.
            fields = getattr(thing, "__dataclass_fields__", {})
            thing = fields[part] if part in fields else getattr(thing, part)
        return thing
    raise AttributeError(name)


def missing(page):
    """What a page names and is not there."""
    text = page.read_text(encoding="utf-8")
    for name in sorted(set(re.findall(CODE, text))):
        try:
            found(name)
        except AttributeError:
            yield name
    for name in sorted(set(re.findall(FILES, text) + re.findall(COMMANDS, text))):
        if not any((folder / name).exists() for folder in (ROOT, page.parent)):
            yield name
    for name in sorted(set(re.findall(LINKS, text))):
        if not (page.parent / name).exists():
            yield name


@every_page
def test_what_a_page_names_exists(page):
    assert list(missing(page)) == []


def test_what_does_not_exist_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "`abm.V2GModel` `abm.NoModel` `abm.fleet.Stays.no_column` `abm/no_file.py` "
        "[a](page.md) [b](no_page.md) python benchmarks/no_script.py `abm/fleet` "
        "`abm.fleet.stays.Stays.arrival_min`",
        encoding="utf-8",
    )
    assert list(missing(page)) == [
        "abm.NoModel",
        "abm.fleet.Stays.no_column",
        "abm/no_file.py",
        "benchmarks/no_script.py",
        "no_page.md",
    ]


def test_the_page_on_architecture_has_the_layers_in_their_order():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `abm/(\w+)(?:\.py)?` \|", page, re.MULTILINE)) == LAYERS
