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
    + list((ROOT / "docs" / "tutorials").glob("*.md"))
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


def sections(text, level):
    """Headings of a level with the text below each."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_odd_page_has_the_seven_elements_and_each_points_at_code():
    page = (ROOT / "docs" / "odd.md").read_text(encoding="utf-8")
    elements = sections(page, 2)
    assert [re.match(r"(\d)\. ", name)[1] for name in elements] == list("1234567")
    submodels = sections(elements["7. Submodels"], 3)
    assert len(submodels) == 8
    for name, text in (elements | submodels).items():
        assert re.search(CODE, text), name
    assert re.findall(r"^\*\*(.+?)\.\*\*", elements["4. Design concepts"], re.MULTILINE) == [
        "Basic principles",
        "Emergence",
        "Adaptation",
        "Objectives",
        "Learning",
        "Prediction",
        "Sensing",
        "Interaction",
        "Stochasticity",
        "Collectives",
        "Observation",
    ]


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "tutorials").glob("*.md")), ids=str)
def test_a_tutorial_has_exercises_with_their_solutions(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith("---\nfile_format: mystnb\n")
    before, _, exercises = text.partition("\n## Exercises\n")
    assert before.count("```{code-cell}") >= 5
    asked = re.split(r"^\*\*\d\.\*\* ", exercises, flags=re.MULTILINE)[1:]
    assert len(asked) >= 3
    assert all("```{code-cell} python3\n:tags: [hide-cell]\n" in question for question in asked)


def titled(page):
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def test_llms_txt_names_every_page_by_its_title():
    text = (ROOT / "llms.txt").read_text(encoding="utf-8")
    assert re.match(r"# \S.*\n\n> \S.*\n\n", text)
    entries = re.findall(r"^- \[(.+)\]\((.+)\): \S.*$", text, re.MULTILINE)
    assert len(entries) == text.count("\n- ")
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "tutorials").glob("*.md")]
    named = {path.relative_to(ROOT).as_posix(): path for path in pages}
    assert sorted(page for _, page in entries) == sorted(named)
    for title, page in entries:
        if not page.startswith("docs/tutorials/"):  # these begin with the head of a notebook
            assert title == titled(named[page])


def test_the_readme_is_read_in_five_minutes():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900
