"""What pyproject.toml asks for: a core that is imported, extras that the code names."""

import ast
import re
import sys
import tomllib
from pathlib import Path

from abm.cli import main

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULE_OF = {"ruamel.yaml": "ruamel", "power-grid-model": "power_grid_model"}


def name_of(requirement: str) -> str:
    return requirement.replace("[", "<").replace("=", "<").replace(">", "<").split("<")[0]


def imports() -> set[str]:
    found = set()
    for path in (ROOT / "abm").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def test_every_package_of_the_core_is_imported():
    core = {MODULE_OF.get(name_of(one), name_of(one)) for one in PROJECT["dependencies"]}
    assert core <= imports()


def test_extras_that_are_named_in_code_are_there():
    named = set()
    for path in (ROOT / "abm").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "needs":
                extra = node.args[1]
                if isinstance(extra, ast.Constant):
                    named.add(extra.value)
    assert {"sobol", "calendar", "cluster", "pv"} <= named
    assert named <= set(PROJECT["optional-dependencies"])


def test_design_without_its_package_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "SALib.sample.sobol", None)
    ranges = ["--vary", "ev.efficiency=0.8..0.9", "--vary", "grid.demand_limit_mw=3..4"]
    arguments = ["sweep", "paper", "--design", "sobol:2", *ranges]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert 'pip install "evenfall[sobol]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_page_of_the_verbs_has_every_extra_with_all_that_it_brings():
    page = (ROOT / "docs" / "verbs.md").read_text(encoding="utf-8").partition("\n## Extras\n")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", page.partition("\n## ")[0], re.MULTILINE))
    extras = {
        name: brings
        for name, brings in PROJECT["optional-dependencies"].items()
        if name not in ("test", "dev")
    }
    assert {"report", "watch", "rl", "docs", "opendss", "simbench", "pv"} <= set(rows)
    assert set(rows) == set(extras)
    for extra, brings in extras.items():
        for one in brings:
            within = re.match(r"evenfall\[(\w+)\]", one)
            named = f"`{within[1]}`" if within else name_of(one).removesuffix(".py").lower()
            assert named in rows[extra].lower(), (extra, one)
