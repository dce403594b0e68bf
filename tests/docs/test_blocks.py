"""Every command and block of code on the pages runs, with the files shown there.

A section of a page (`## ...`) is a test, in an empty folder beside the repository's scenarios and
examples. A block with a name behind its kind is a file: ```yaml my_batteries.yaml. What stands in
comments above a block is for this test:

<!-- slow -->               only with `pytest -m slow`, as `.ci/run` does
<!-- with OPTIONS -->       every command of the block has these options as well, to be small
<!-- not run: REASON -->    cannot run here; `NOT_RUN` says what may be so

Code cells of the notebooks in docs/tutorials run when the site is built (test_site.py).
"""

import ast
import re
import shlex
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from abm.cli import main
from abm.scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(ROOT / name / "README.md" for name in ("examples", "benchmarks", "benchmarks/peers")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
]
FENCE = re.compile(r"^(`{3,})(?P<info>.*)\n(?P<text>(?:(?!\1).*\n)*?)\1$", re.MULTILINE)
MARK = re.compile(r"^<!-- (slow|with|not run)(?::? (.+?))? -->$", re.MULTILINE)
# Scripts that tests/study/test_scripts.py runs with --smoke.
SCRIPT = re.compile(r"(?:[A-Z_]+=\S+ )*python ((?:benchmarks|examples|docs/figures)/[\w/]+\.py)\b")
# What a block that cannot run here may begin with: it installs, tests, opens a browser, serves
# until it is stopped, or needs a cluster.
NOT_RUN = (
    "pip install ",
    "pytest",
    "python tests/mutants.py",
    ".ci/run",
    "python -m webbrowser ",
    "python run.py watch ",
    "dask ",
    "python slurm_study.py ",
    "evenfall montecarlo paper --cluster tls://",
)
# Packages of a user's own, whose code is shown and cannot run here.
NOT_HERE = {"dask_jobqueue", "dask_kubernetes"}
# Shown, and no code.
TEXT = {"", "csv", "dss", "json", "matlab"}


@dataclass(frozen=True)
class Block:
    """One block: its kind, name if it is a file, text, and what the comments above it say."""

    kind: str
    name: str | None
    text: str
    marks: dict[str, str]

    @property
    def lines(self):
        """Commands of a block of the shell: comments and line ends taken out."""
        text = self.text.replace("\\\n", " ")
        words = (shlex.join(shlex.split(line, comments=True)) for line in text.splitlines())
        return [line for line in words if line]


def blocks(text):
    """Blocks of a page in their order; directives of the site, `{...}`, are none."""
    for found in FENCE.finditer(text):
        kind, _, name = found["info"].partition(" ")
        if not kind.startswith("{"):
            above = re.search(r"(?:^<!-- .* -->\n)*\Z", text[: found.start()], re.MULTILINE)
            marks = {mark[1]: mark[2] or "" for mark in MARK.finditer(above[0])}
            yield Block(kind, name or None, found["text"], marks)


def sections():
    for page in PAGES:
        for part in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            inside = [block for block in blocks(part) if block.kind not in TEXT or block.name]
            if any("not run" not in block.marks for block in inside):
                title = part.partition("\n")[0].strip("# ")
                slow = any("slow" in block.marks for block in inside)
                yield pytest.param(
                    inside,
                    marks=[pytest.mark.slow] if slow else [],
                    id=f"{page.relative_to(ROOT).as_posix()}:{title}",
                )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder beside what a checkout has; what a command sets is put back."""
    for name in ("scenarios", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def run_commands(block, capsys):
    for line in block.lines:
        script = SCRIPT.match(line)
        if script:
            assert (ROOT / script[1]).is_file(), line
            continue
        words = shlex.split(line)
        words = words[2:] if words[:2] == ["python", "run.py"] else words
        words = words[1:] if words[:1] == ["evenfall"] else words
        more = shlex.split(block.marks.get("with", ""))
        assert main([*words, *more]) == 0, (line, capsys.readouterr().err)


@pytest.mark.parametrize("inside", list(sections()))
def test_what_a_section_shows_runs(inside, folder, capsys):
    if any(".dss --out" in block.text for block in inside):
        pytest.importorskip("opendssdirect", reason="opendssdirect.py is not there: opendss")
    names = {"__name__": "page"}
    for block in inside:
        if block.name:
            Path(block.name).parent.mkdir(exist_ok=True)
            Path(block.name).write_text(block.text, encoding="utf-8")
    for block in inside:
        if "not run" in block.marks:
            continue
        if block.kind == "sh":
            run_commands(block, capsys)
        elif block.kind == "python":
            exec(compile(block.text, block.name or "page", "exec"), names)
        elif block.kind == "yaml" and "/" not in (block.name or ""):  # else it is of a feeder
            path = folder / (block.name or "shown.yaml")
            path.write_text(block.text, encoding="utf-8")
            Scenario.load(path, trust=True)


def all_blocks():
    return [
        (page.relative_to(ROOT).as_posix(), block)
        for page in PAGES
        for block in blocks(page.read_text(encoding="utf-8"))
    ]


def test_only_what_cannot_run_is_left_out():
    begins = set()
    for page, block in all_blocks():
        if "not run" not in block.marks:
            continue
        assert len(block.marks["not run"].split()) >= 2, (page, "why?")
        if block.kind == "python":
            tree = ast.walk(ast.parse(block.text))
            froms = [node.module for node in tree if isinstance(node, ast.ImportFrom)]
            imported = {module.partition(".")[0] for module in froms}
            assert imported & NOT_HERE, (page, block.text)
        else:
            assert block.kind == "sh", page
            assert all(line.startswith(NOT_RUN) for line in block.lines), (page, block.lines)
            begins |= {begin for begin in NOT_RUN for line in block.lines if line.startswith(begin)}
    assert begins == set(NOT_RUN)  # what no page needs any more is allowed no longer


def test_every_kind_of_block_is_known():
    pages = {page for page, _ in all_blocks()}
    assert {"README.md", "docs/your-own-data.md", "docs/verbs.md", "docs/python.md"} <= pages
    for page, block in all_blocks():
        assert block.kind in {"sh", "python", "yaml", *TEXT}, page


def test_every_mark_stands_above_a_block():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        comments = re.findall(r"^<!-- (?:slow|with|not run)\b.*$", text, re.MULTILINE)
        assert len(comments) == sum(len(block.marks) for block in blocks(text)), page


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_test_command_is_the_one_that_ci_runs():
    (line,) = [line for line in README.splitlines() if "pytest" in line]
    install, test = line.partition("#")[0].strip().split(" && ")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in (install, test):
        assert f'"$own/{command.replace(" ", chr(34) + " ", 1)}\n' in ci
