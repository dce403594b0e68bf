"""`cite`: of CITATION.cff, with the version and seed that a folder was made with."""

import json
import re

import pytest
from helpers import small_paper

from abm import V2GModel, __version__
from abm.cli import main
from abm.errors import InputError
from abm.report.cite import bibtex, text, works


def test_software_and_paper_in_bibtex(capsys):
    assert main(["cite"]) == 0
    said = capsys.readouterr().out
    assert re.findall(r"@(\w+)\{(\w+),", said) == [
        ("software", "evenfall"),
        ("misc", "vashisth2025"),
    ]
    assert f"version = {{{__version__}}}" in said
    assert "Vashisth, Shakti and Bairwa, Seema and Swarnkar, Anil" in said
    # Every brace is closed.
    assert said.count("{") == said.count("}")


def test_as_text_and_as_csl(capsys):
    assert main(["cite", "--format", "text"]) == 0
    software, paper = capsys.readouterr().out.splitlines()
    assert software.startswith("The Evenfall founders. Evenfall: agent-based simulation")
    assert paper.startswith("S. Vashisth, S. Bairwa,")
    assert "and K. R. Niazi. Enhancement in grid performance" in paper
    assert main(["cite", "--format", "csl"]) == 0
    items = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in items] == ["evenfall", "vashisth2025"]
    assert items[1]["author"][-1] == {"family": "Niazi", "given": "K. R."}
    assert items[1]["issued"] == {"date-parts": [[2025]]}


def test_results_are_cited_with_what_made_them(tmp_path):
    results = V2GModel(small_paper(strategy="none"), seed=7).run().results
    results.save(tmp_path / "run", figures=False)
    software = works(tmp_path / "run")[0]
    assert software.version == __version__
    for part in ("results of run", "scenario ", "seed 7", "load flows by"):
        assert part in software.note
    assert software.note in text([software])
    assert software.note.replace("_", r"\_") in bibtex([software])


def test_a_folder_of_others_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="a folder that Evenfall wrote"):
        works(tmp_path)
    assert main(["cite", str(tmp_path)]) == 2
    assert "FOLDER" in capsys.readouterr().err
