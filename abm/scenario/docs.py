"""`docs/scenario.md` and the JSON schema, both made from the declarations in `schema.py`.

`python -m abm.scenario.docs` writes docs/scenario.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from abm.scenario.names import STRATEGIES
from abm.scenario.problems import allowed, field_at, has_names, section_at
from abm.scenario.scenario import Scenario
from abm.scenario.schema import ScenarioFields
from abm.scenario.tables import SessionRow
from abm.scenario.yamlio import Path, show

# Stands for a name that the user chooses.
NAME = "NAME"
_NULL = ", or null"

_INTRO = """\
# Scenario files

<!-- Made by `python -m abm.scenario.docs`; change abm/scenario/schema.py instead. -->

A scenario says what is studied: one YAML 1.2 file, every key with a default. The defaults are the
paper's study as printed; `scenarios/paper.yaml` spells them all out and says which number is the
paper's, which is a reading and which is a fit. All that is wrong in a file is reported at once,
with file, line, field, value and what is allowed. Nothing is converted silently: `0.9` is a
number, `"0.9"` is text, `1.0` is not a whole number; a whole number may stand for any number.

```yaml
extends: paper            # a shipped name, or a file beside this one
name: my_study            # never inherited; the file's name if left out
strategy: evms_guaranteed
ev:
  efficiency: 0.93
```

**extends.** The scenario that is named is read first and this file is laid over it: mappings are
merged key by key, anything else is replaced, and so is `strategy` even when it is a mapping.
Chains are allowed, circles are refused.

**--set.** One value from the command line: `--set ev.efficiency=0.9`, `--set clock.start=12:00`,
`--set fleet.sessions=null`. The value is read as YAML. In Python:
`scenario.override({"ev.efficiency": 0.9}, strategy="evms")`.

**Files.** `grid.feeder`, `base_load.profile` and `tariff.prices` take a shipped name or a path,
`fleet.sessions` takes a path. A relative path starts from the folder of the file in which it is
written; from the working folder when it is set on the command line or in code.

**Times.** Clock times are text, `"16:00"`. The arrival is the first one at or after
`clock.start`, the departure the first one that begins when the last EV has arrived or later; both
have to end inside the horizon.

**Names of your own.** Below `owners.groups` stand groups under names that you choose. A file that
extends another adds to its groups or changes them; one that is not wanted gets the share 0. From
the command line: `--set owners.groups.commuters.share=0.5`. [owners.md](owners.md) says what owners
do, [emergence.md](emergence.md) what `broadcast` does, [coordinated.md](coordinated.md) what
`coordinated` and `forecast` are for.

**Distributions.** The defaults of `fleet.arrival`, `fleet.departure`, `fleet.soc_arrival` and
`fleet.soc_target` hold when the mapping is left out. In a file that extends nothing such a
mapping is written whole (`mean`, and `sd` of a SoC, may be left out).
"""

_FILES = """\
## CSV files

UTF-8, comma separated, first row with the column names; lines that begin with `#` are comments.

- **Sessions** (`fleet.sessions`): one stay per row. Columns {required}; optional {optional}. An
  empty optional cell takes the scenario's value. Minutes count from the start of the horizon; an
  arrival lies inside it, a departure may lie beyond its end (the stay is cut there). Each `ev_id`
  once; zones count from 1.
- **Load profile** (`base_load.profile`): `hour` (0 to 23, each once) and one column for each
  customer class: multiplier of the nominal load of its buses, at least 0.
- **Tariff** (`tariff.prices`): `hour` and `price`; negative prices are allowed. A comment `#
  unit: ...` names the unit, $/kWh if there is none.
- **Feeder** (`grid.feeder`), a folder: `feeder.yaml` with `description` and `source`; `buses.csv`
  with `bus`, `customer_class` (a class of the load profile) and `zone` (1, 2, ... without gaps,
  each on one bus, or empty); `lines.csv` with `from_bus`, `to_bus` and `ampacity_a`. The network
  itself is in the tables or in pandapower:
  - Lines of one voltage without capacitance: `feeder.yaml` has `vn_kv`, `slack_bus` (the bus that
    is fed) and, if it is not 1, its voltage `slack_vm_pu`; `buses.csv` the nominal load `p_mw` and
    `q_mvar`; `lines.csv` the impedances `r_ohm` and `x_ohm`. pandapower is not needed to read it.
  - Anything else: `feeder.yaml` has `net`, a function `module:function` that returns a pandapower
    net, or a pandapower JSON file in the folder. `bus` is pandapower's index + 1.
"""


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


def scenario_reference() -> str:
    """Markdown of docs/scenario.md: introduction, every field, the CSV files."""
    schema = scenario_schema()
    parts = [_INTRO, "## Top level\n\n" + _table((), schema, schema["properties"])]
    parts += ["Named strategies:\n\n" + _strategies(), _sections((), schema)]
    fields = SessionRow.model_fields
    names = {
        "required": _code(name for name in fields if fields[name].is_required()),
        "optional": _code(name for name in fields if not fields[name].is_required()),
    }
    return "\n".join([*parts, _FILES.format(**names)])


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _strategies() -> str:
    return "".join(f"- `{name}`: {s.description}\n" for name, s in STRATEGIES.items())


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
    """Write docs/scenario.md of this repository."""
    target = FilePath(__file__).resolve().parents[2] / "docs" / "scenario.md"
    target.write_text(scenario_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
