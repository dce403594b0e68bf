"""Imports run one way through the layers: a layer sees itself and what stands before it."""

import ast
from pathlib import Path

import networkx as nx
import pytest

LAYERS = (
    "errors",
    "cache",
    "fault_log",
    "machine",
    "snapshot",
    "equations",
    "clock",
    "scenario",
    "fleet",
    "sessions",
    "signals",
    "grid",
    "control",
    "engine",
    "results",
    "agents",
    "model",
    "study",
    "envs",
    "report",
    "api",
    "watch",
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


# --- files, not only layers --------------------------------------------------------------------

MOST_LINES, MOST_PARAMETERS = 420, 12
# Names that say nothing of what they hold.
EMPTY_NAMES = {"heard", "kinds", "parts", "sections", "source", "words", "utils", "misc"}


def dotted(path):
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    names = relative.parts[:-1] if relative.name == "__init__" else relative.parts
    return ".".join(names)


FILES = {dotted(path): path for path in [*MODULES, PACKAGE / "__init__.py"]}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imported_files(node, known):
    """Modules of `known` that a tree imports, also within functions; not for type checking only."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.orelse:
            yield from imported_files(child, known)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    if isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield from [name for name in (whole, node.module) if name in known][:1]
    for child in ast.iter_child_nodes(node):
        yield from imported_files(child, known)


def circles(trees):
    """Groups of modules that import each other, directly or not; the package itself is nobody's."""
    graph = nx.DiGraph()
    for name, tree in trees.items():
        graph.add_edges_from(
            (name, other) for other in imported_files(tree, trees) if other not in (name, "abm")
        )
    return sorted(
        sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1
    )


def test_no_two_files_import_each_other():
    assert circles(TREES) == []


def test_a_circle_is_found_also_within_functions():
    sources = {
        "abm.a": "from abm.b import f",
        "abm.b": "def f():\n    import abm.c",
        "abm.c": "from abm import a",
        "abm.d": "from abm.a import g\nif TYPE_CHECKING:\n    import abm.e",
        "abm.e": "import abm.d",
    }
    trees = {name: ast.parse(source) for name, source in sources.items()}
    assert circles(trees) == [["abm.a", "abm.b", "abm.c"]]


def test_no_two_classes_have_one_name():
    names = [
        node.name
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_functions_have_few_parameters_and_modules_an_end():
    for name, tree in TREES.items():
        lines = FILES[name].read_text(encoding="utf-8").count("\n")
        assert lines <= MOST_LINES, name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                given = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
                assert len([a for a in given if a != "self"]) <= MOST_PARAMETERS, (
                    f"{name}.{node.name}"
                )


def test_modules_and_classes_say_what_they_hold():
    classes = {
        node.name.lower()
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    assert EMPTY_NAMES & ({name.rpartition(".")[2] for name in FILES} | classes) == set()
