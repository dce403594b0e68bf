"""Imports run one way through the layers: a layer sees itself and what stands before it."""

import ast
from pathlib import Path

import pytest

LAYERS = (
    "errors",
    "cache",
    "equations",
    "clock",
    "scenario",
    "fleet",
    "signals",
    "grid",
    "control",
    "engine",
    "results",
    "agents",
    "model",
    "study",
    "report",
    "cli",
)
PACKAGE = Path(__file__).parents[2] / "abm"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(source: str, here: tuple[str, ...]) -> list[tuple[str, int]]:
    """Layers of abm that a module imports, with line; here: its package, ("abm", "fleet").

    Imports within functions count, those under `if TYPE_CHECKING:` do not.
    """

    def walk(node: ast.AST):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                yield from walk(child)
            return
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            names = []
        for name in names:
            parts = name.split(".")
            if parts[0] == "abm":
                yield (parts[1] if len(parts) > 1 else "__init__"), node.lineno
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    return list(walk(ast.parse(source)))


def wrong_arrows(source: str, layer: str, here: tuple[str, ...] = ("abm",)) -> list[str]:
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    return [
        f"line {line}: {layer} imports abm.{name}"
        for name, line in imported(source, here)
        # The package itself hands out its version and everything else: only the former is ours.
        if name not in allowed and name != "__version__"
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_runs_the_wrong_way(path):
    relative = path.relative_to(PACKAGE).with_suffix("")
    here = ("abm", *relative.parts[:-1])
    assert wrong_arrows(path.read_text(encoding="utf-8"), relative.parts[0], here) == []


def test_every_layer_is_there():
    assert {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in MODULES} == set(LAYERS)


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("fleet", "from abm.control import Rule"),
        ("fleet", "import abm.model"),
        ("fleet", "from abm import V2GModel"),
        ("fleet", "from abm import model"),
        ("fleet", "from ..model import V2GModel"),
        ("fleet", "def f():\n    import abm.cli"),
        ("fleet", "try:\n    from abm.grid.solve import Solver\nexcept ImportError:\n    pass"),
        ("scenario", "if TYPE_CHECKING:\n    pass\nelse:\n    from abm.fleet import Fleet"),
        ("results", "from abm.agents import EV"),
    ],
)
def test_a_wrong_arrow_is_caught(layer, source):
    assert len(wrong_arrows(source, layer, ("abm", layer))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "if TYPE_CHECKING:\n    from abm.model import V2GModel",
        "from abm.errors import InputError\nfrom .equations import required_soc",
        "import numpy\nfrom abmodel import x",
    ],
)
def test_right_arrows_pass(source):
    assert wrong_arrows(source, "fleet", ("abm", "fleet")) == []
