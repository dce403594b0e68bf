"""Every command of the pages for data of your own runs, with the files shown there."""

import re
import shlex
from pathlib import Path

import pytest

from abm.cli import main

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("your-own-data.md", "three-phase.md")
# A block of a file has its name behind its kind: ```yaml my_batteries.yaml
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = [
    section
    for page in PAGES
    for section in (DOCS / page).read_text(encoding="utf-8").split("\n## ")[1:]
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.partition("\n")[0])
def test_the_commands_of_a_section_run(section, tmp_path, monkeypatch, capsys):
    if ".dss --out" in section:
        pytest.importorskip("opendssdirect", reason="opendssdirect.py is not there: opendss")
    monkeypatch.chdir(tmp_path)
    ran = 0
    for kind, name, text in BLOCK.findall(section):
        if name:
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text(text, encoding="utf-8")
        for line in text.splitlines() if kind == "sh" else ():
            words = shlex.split(line, comments=True)
            if words[:2] == ["python", "run.py"]:
                assert main(words[2:]) == 0, (line, capsys.readouterr().err)
                ran += 1
    assert ran
