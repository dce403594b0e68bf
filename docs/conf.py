"""The documentation site: `sphinx-build -W --keep-going -b html docs docs/_build/html`.

Everything that a page loads is in the built folder: no script, style, font or picture comes from a
network. `tests/docs/test_site.py` holds it to that.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
# The kernels of the notebooks find the checkout as this process does.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])

from site_pages import in_the_site  # noqa: E402

from abm import __version__  # noqa: E402

project, author, copyright = "Evenfall", "The Evenfall founders", "The Evenfall founders"
release = version = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "figures", "examples/*.ipynb", "examples/*.py"]
templates_path: list[str] = []

html_theme = "furo"
html_title = "Evenfall"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False

myst_enable_extensions = ["deflist", "fieldlist", "colon_fence", "dollarmath"]
# A dollar beside a space is one that is paid.
myst_dmath_allow_space = False
html_math_renderer = "mathml"
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True
# Widgets would load their scripts from a network.
nb_ipywidgets_js: dict[str, Any] = {}
nb_merge_streams = True
# What libraries say of the machine on which the site was built.
nb_output_stderr = "remove"

# The scripts run as copies, so that nothing is written into the checkout.
COPIES = "_build/examples"
shutil.rmtree(ROOT / "docs" / COPIES, ignore_errors=True)
shutil.copytree(
    ROOT / "examples", ROOT / "docs" / COPIES, ignore=shutil.ignore_patterns("README.md")
)
sphinx_gallery_conf = {
    "examples_dirs": COPIES,
    "gallery_dirs": "examples",
    # It takes minutes: shown and not run. Its table is in docs/envs.md; the tests run `--smoke`.
    "filename_pattern": r"(?<!train_policy)\.py$",
    "image_scrapers": (),
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
    "show_signature": False,
    "download_all_examples": False,
}

# In docstrings a name in single backticks is code, as it is in Markdown.
default_role = "code"
# Two dashes are those of an option.
smartquotes = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}


def make_for_the_site(app: Sphinx, docname: str, source: list[str]) -> None:
    """What is made for a page, and links that lead to copies within the site."""
    page = Path(app.env.doc2path(docname)).relative_to(ROOT).as_posix()
    if page.endswith(".md"):
        source[0] = in_the_site(source[0], page)


def made_anew(app: Sphinx, env: Any, added: Any, changed: Any, removed: Any) -> list[str]:
    """Pages that are made of the code or of files elsewhere are read in every build."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    return [p.stem for p in pages if re.search("<!-- made|automodule", p.read_text("utf-8"))]


def as_plain_text(app: Sphinx, kind: str, name: str, thing: Any, options: Any, lines: Any) -> None:
    """Docstrings are plain text: what reStructuredText would take for a mark means itself."""
    for at, line in enumerate(lines):
        parts = line.split("`")
        parts[::2] = [re.sub(r"([*|]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
        lines[at] = "`".join(parts)


def visit_math(writer: Any, node: Any) -> None:
    """Formulas as MathML, which browsers show without a script. Raises MathError."""
    writer.body.append(tex2mathml(node.astext(), isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def write_llms_txt(app: Sphinx, error: Exception | None) -> None:
    """llms.txt beside the pages, with links to their text."""
    if error is None:
        text = (ROOT / "llms.txt").read_text(encoding="utf-8")
        links = re.sub(r"\]\(docs/(.+?)\)", r"](_sources/\1.txt)", text)
        (Path(app.outdir) / "llms.txt").write_text(links, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """What is in this file alone."""
    for plain in ("csv", "dss"):
        app.add_lexer(plain, TextLexer)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("build-finished", write_llms_txt)
    app.connect("env-get-outdated", made_anew)
    app.connect("source-read", make_for_the_site)
    app.connect("autodoc-process-docstring", as_plain_text)
