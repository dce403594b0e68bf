"""The site: built as README says, without a warning; nothing that it loads is on another host."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
# What a browser fetches by itself, by the tag that says so.
LOADED = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
    "input": ("src",),
}
ELSEWHERE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


class Loads(HTMLParser):
    """Collects what a page loads, and its anchors and links."""

    def __init__(self):
        super().__init__()
        self.loaded, self.links, self.anchors = [], [], set()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.loaded += [found[name] for name in LOADED.get(tag, ()) if found.get(name)]
        self.links += [found["href"]] if tag == "a" and found.get("href") else []
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}


def read(path):
    page = Loads()
    page.feed(path.read_text(encoding="utf-8"))
    return page


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built folder, by README's own command but into a folder of the test."""
    if any(find_spec(name) is None for name in ("sphinx", "myst_nb", "sphinx_gallery", "furo")):
        pytest.skip("evenfall[docs] is not there")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"&& sphinx-build (.+)$", readme, re.MULTILINE)
    words = command.split()
    assert words[-2:] == ["docs", "docs/_build/html"]
    out = tmp_path_factory.mktemp("site") / "html"
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *words[:-1], str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return out


def test_nothing_is_loaded_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    for path in pages:
        loaded = read(path).loaded
        assert loaded
        assert [url for url in loaded if ELSEWHERE.match(url)] == [], path
    for path in [*site.rglob("*.css"), *pages]:
        text = path.read_text(encoding="utf-8")
        fetched = re.findall(r"(?:url\(|@import)\s*[\"']?\s*((?:https?:)?//[^\"')\s]+)", text)
        assert fetched == [], path


def test_scripts_fetch_nothing_from_elsewhere(site):
    for path in site.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?:fetch|importScripts|import)\(\s*[\"'](?:https?:)?//", text), path


def test_every_link_within_the_site_leads_somewhere(site):
    pages = {path: read(path) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            found = (path.parent / target).resolve() if target else path
            assert found.exists(), (path, link)
            if anchor and found in pages:
                assert anchor in pages[found].anchors, (path, link)


def test_everything_that_is_loaded_is_there(site):
    for path in site.rglob("*.html"):
        for url in read(path).loaded:
            if not url.startswith("data:"):
                assert (path.parent / re.split(r"[?#]", url)[0]).resolve().exists(), (path, url)


def test_the_reference_is_made_of_the_code(site):
    from abm import __all__ as names
    from abm.cli import build_parser
    from abm.envs import __all__ as envs

    verbs = (site / "verbs.html").read_text(encoding="utf-8")
    for verb in build_parser()._subparsers._group_actions[0].choices:
        assert f">{verb}<" in verbs or f">{verb} " in verbs, verb
    anchors = read(site / "api.html").anchors
    for name in set(names) - {"__version__"}:
        assert any(anchor.endswith(f".{name}") for anchor in anchors), name
    anchors = read(site / "layers.html").anchors
    for name in envs:  # they are imported when they are asked for, too
        assert f"abm.envs.{name}" in anchors, name


def test_llms_txt_leads_to_the_text_of_the_pages(site):
    links = re.findall(r"\]\((.+?)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    assert len(links) > 30
    assert [link for link in links if not (site / link).is_file()] == []
