"""Every command of docs/your-own-data.md runs, with the files shown there."""

import re
import shlex
from pathlib import Path

import pytest

from abm.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your-own-data.md"
# A block of a file has its name behind its kind: ```yaml my_batteries.yaml
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.partition("\n")[0])
def test_the_commands_of_a_section_run(section, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ran = 0
    for kind, name, text in BLOCK.findall(section):
        if name:
            Path(name).write_text(text, encoding="utf-8")
        for line in text.splitlines() if kind == "sh" else ():
            words = shlex.split(line, comments=True)
            if words[:2] == ["python", "run.py"]:
                assert main(words[2:]) == 0, (line, capsys.readouterr().err)
                ran += 1
    assert ran
