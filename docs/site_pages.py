"""What is made for pages of the site when it is built: of the repository's files, and of the code.

A page of docs/ says with `<!-- made: NAME -->` where it goes. On a code host the page says where
the same is to be found. What links to a page outside docs/ leads to its copy in the site, so that
the same link works on a code host and in the site.
"""

from __future__ import annotations

import argparse
import importlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Pages outside docs/ and where they are in the site, both from the root of the repository.
MOVED = {
    "CHANGELOG.md": "docs/changelog.md",
    "CONTRIBUTING.md": "docs/contributing.md",
    "README.md": "docs/index.md",
    "benchmarks/README.md": "docs/benchmarks.md",
    "benchmarks/peers/README.md": "docs/peers.md",
    "examples/README.md": "docs/examples/index.rst",
}
LINK = re.compile(r"(\]\()(?!\w+:|#|<)([^)#\s]+)((?:#[^)\s]*)?\))")
# A link that is called as its file is: in the site it has the title of the page.
NAMED_AS_FILE = re.compile(r"\[(?:[\w-]+/)*[\w-]+\.md\](?=\((?!\w+:)[^)#\s]+\.md\))")
FILE_BLOCK = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)
MARK = re.compile(r"^<!-- made: (\S+) -->\n(?:.*\n)*?<!-- end -->$", re.MULTILINE)


def in_the_site(text: str, page: str) -> str:
    """The text of a page of docs/ with what is made for it, and with the links of the site."""

    def made(match: re.Match[str]) -> str:
        name = match[1]
        if name in MOVED:
            _, _, below = (ROOT / name).read_text(encoding="utf-8").partition("\n")
            return linked(below, name, page)
        return "".join({"options": options, "layers": layers}[name]())

    text = MARK.sub(made, linked(text, page, page))
    text = FILE_BLOCK.sub(r"```{code-block} \1\n:caption: \2\n", text)
    return NAMED_AS_FILE.sub("[]", text)


def linked(text: str, page: str, shown_at: str) -> str:
    """The links of a page of the repository, as they lead from where it is in the site."""

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), match[2]))
        # The page that has a copy of another one leads to that one.
        target = target if MOVED.get(target) == page == shown_at else MOVED.get(target, target)
        return match[1] + posixpath.relpath(target, posixpath.dirname(shown_at)) + match[3]

    return LINK.sub(lead, text)


def options() -> Iterator[str]:
    """Every verb with its arguments, from the parser of the command line."""
    from abm.cli import build_parser

    yield from _verbs(build_parser(), "", {})


def _verbs(parser: argparse.ArgumentParser, name: str, helps: dict[str, str]) -> Iterator[str]:
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    parts = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    if name and not parts:
        said = [helps.get(name, ""), parser.description or ""]
        yield f"\n### `{name}`\n\n" + "".join(f"{_sentence(text)}\n\n" for text in said if text)
        for action in actions:
            if not isinstance(action, argparse._HelpAction):
                yield f"- `{_usage(action)}`: {_plain(action.help or '')}\n"
    for part in parts:
        about = {choice.dest: choice.help or "" for choice in part._choices_actions}
        for word, child in part.choices.items():
            full = f"{name} {word}".strip()
            yield from _verbs(child, full, {full: about.get(word, "")})


def _usage(action: argparse.Action) -> str:
    value = action.metavar or (action.choices and ",".join(map(str, action.choices))) or ""
    if action.nargs == 0:
        value = ""
    return " ".join(filter(None, [", ".join(action.option_strings), str(value)]))


def _sentence(text: str) -> str:
    text = _plain(text)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _plain(text: str) -> str:
    """A help text, in which `%%` is a percent sign and `*` and `<` mean themselves."""
    return re.sub(r"([*<_\[])", r"\\\1", text.replace("%%", "%"))


def layers() -> Iterator[str]:
    """The names that each package of Evenfall declares as its own, and every equation."""
    import abm

    packages = sorted(path.parent.name for path in (ROOT / "abm").glob("*/__init__.py"))
    for package in packages:
        module = importlib.import_module(f"abm.{package}")
        if hasattr(module, "__all__"):
            yield _automodule(module.__name__, abm.__all__)
    for path in sorted((ROOT / "abm" / "equations").glob("[a-z]*.py")):
        yield _automodule(f"abm.equations.{path.stem}", None)


def _automodule(name: str, elsewhere: list[str] | None) -> str:
    more = ""
    if elsewhere is not None:  # a package, whose names come from its modules
        more = f"\n   :imported-members:\n   :exclude-members: {', '.join(elsewhere)}"
    return f"\n## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:{more}\n```\n"
