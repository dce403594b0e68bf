"""The tables of `docs/scenario.md` and the JSON schema, made from the declarations of the fields.

`python -m abm.scenario.docs` writes them into docs/scenario.md; its prose is written there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from abm.scenario.customers import CustomerRow
from abm.scenario.document import field_at, has_names, section_at
from abm.scenario.ev_models import ModelRow
from abm.scenario.feeder_table import FeederHead, GenerationRow, ImpedanceRow, LoadBusRow
from abm.scenario.fields import allowed
from abm.scenario.names import STRATEGIES
from abm.scenario.phase_table import (
    CapacitorRow,
    HomeRow,
    LinecodeRow,
    PhaseBusRow,
    PhaseHead,
    PhaseLineRow,
    TransformerRow,
)
from abm.scenario.scenario import Scenario
from abm.scenario.schema import ScenarioFields
from abm.scenario.session_table import SessionRow
from abm.scenario.stay_fields import DependenceRow
from abm.scenario.yamlio import Path, show

# Stands for a name that the user chooses.
NAME = "NAME"
_NULL = ", or null"


def scenario_schema() -> dict[str, Any]:
    """JSON schema of a scenario file, with the key `extends` that only files have."""
    schema = Scenario.model_json_schema()
    extends = {
        "type": "string",
        "description": "Scenario that this file changes: a shipped name, or a file.",
    }
    schema["title"] = "Scenario"
    schema["properties"] = {"extends": extends, **schema["properties"]}
    return schema


def scenario_reference(page: str) -> str:
    """docs/scenario.md with all that stands between `<!-- NAME -->` and `<!-- end -->` anew."""
    schema = scenario_schema()
    parts = {
        "top level": _table((), schema, schema["properties"]),
        "strategies": "".join(f"- `{name}`: {s.description}\n" for name, s in STRATEGIES.items()),
        "sections": _sections((), schema),
        "sessions": _columns(SessionRow),
        "feeder.yaml": _columns(FeederHead),
        "buses.csv": _columns(LoadBusRow),
        "lines.csv": _columns(ImpedanceRow),
        "generation.csv": _columns(GenerationRow),
        "three-phase feeder.yaml": _columns(PhaseHead),
        "three-phase buses.csv": _columns(PhaseBusRow),
        "linecodes.csv": _columns(LinecodeRow),
        "three-phase lines.csv": _columns(PhaseLineRow),
        "transformers.csv": _columns(TransformerRow),
        "capacitors.csv": _columns(CapacitorRow),
        "homes.csv": _columns(HomeRow),
        "dependence": _columns(DependenceRow),
        "customers": _columns(CustomerRow),
        "ev models": _columns(ModelRow),
    }
    for name, text in parts.items():
        start, _, rest = page.partition(f"<!-- {name} -->\n")
        page = f"{start}<!-- {name} -->\n\n{text.strip()}\n\n{rest[rest.index('<!-- end -->') :]}"
    return page


def _columns(model: type[BaseModel]) -> str:
    rows = ["| name | allowed | meaning |", "| --- | --- | --- |"]
    for name, field in model.model_fields.items():
        rows.append(f"| `{name}` | {allowed(field, null=False)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _sections(path: Path, schema: dict[str, Any]) -> str:
    """The chapters of all sections below `path`, depth first."""
    model = section_at(path) or ScenarioFields
    text = ""
    for name in model.model_fields:
        below = (*path, name, NAME) if has_names((*path, name)) else (*path, name)
        inner = section_at(below)
        if inner is None or _chapter(below) != below:
            continue
        declared = schema["$defs"][inner.__name__]
        title = ".".join(below)
        text += f"{'#' * (len(path) + 2)} `{title}`\n\n{declared['description']}\n\n"
        text += _table(below, schema, declared["properties"]) + "\n" + _sections(below, schema)
    return text


def _chapter(path: Path) -> Path:
    """Where the section at `path` is described: one that may be null has the first of its kind."""
    inner, field = section_at(path), field_at(path)
    if field is None or field.annotation is inner:
        return path
    return next((other for other in _all_sections(()) if section_at(other) is inner), path)


def _all_sections(path: Path) -> Iterator[Path]:
    for name in (section_at(path) or ScenarioFields).model_fields:
        below = (*path, name, NAME) if has_names((*path, name)) else (*path, name)
        if section_at(below) is not None:
            yield below
            yield from _all_sections(below)


def _table(path: Path, schema: dict[str, Any], properties: dict[str, Any]) -> str:
    model = section_at(path) or ScenarioFields
    rows = ["| field | type | default | allowed | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, declared in properties.items():
        if name not in model.model_fields:
            rows.append(
                f"| `{name}` | text | none | a name or a file | {declared['description']} |"
            )
            continue
        below = (*path, name)
        kind, words = _type(schema, declared), allowed(model.model_fields[name])
        if has_names(below):
            words = f"names of your own, for each what `{'.'.join((*below, NAME))}` says"
        elif section_at(below) is not None and path[:1] != ("strategy",) and name != "strategy":
            words = f"see `{'.'.join(_chapter(below))}`" + words[len(words.removesuffix(_NULL)) :]
        cells = [f"`{name}`", kind, _default(path, name), words, declared.get("description", "")]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default(path: Path, name: str) -> str:
    """The default that holds at this place: two sections of one kind may differ in theirs."""
    value: Any = ScenarioFields()
    for key in (*path, name):
        value = getattr(value, key, None)
    field = (section_at(path) or ScenarioFields).model_fields[name]
    if value is None:  # below a strategy, a group, or what may be left out
        if field.is_required():
            return "required"
        value = field.get_default(call_default_factory=True)
    return "as below" if isinstance(value, BaseModel) else f"`{show(value)}`"


_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
    "array": "list",
    "null": "null",
}


def _type(schema: dict[str, Any], declared: dict[str, Any]) -> str:
    if "$ref" in declared:
        return _type(schema, schema["$defs"][declared["$ref"].rsplit("/", 1)[-1]])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in declared:
            kinds = dict.fromkeys(_type(schema, one) for one in declared[several])
            return " or ".join(kinds)
    return _TYPES.get(declared.get("type", ""), "any")


def main() -> None:
    """Bring docs/scenario.md of this repository up to date."""
    target = FilePath(__file__).resolve().parents[2] / "docs" / "scenario.md"
    page = target.read_text(encoding="utf-8")
    target.write_text(scenario_reference(page), encoding="utf-8")


if __name__ == "__main__":
    main()
