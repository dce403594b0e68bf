"""What the reports of all verbs have: what was studied, how to get it again, how to cite it."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from abm.errors import InputError
from abm.grid import build_feeder
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.report.cite import bibtex, text, works
from abm.report.sentences import count, listed
from abm.results.folder import strategy_label, versions
from abm.results.notices import as_printed_notices, limits_of_all
from abm.scenario import Scenario, parse_setting
from abm.study.compare import check_strategies
from abm.study.reproduce import changes, paper_scenarios

# More settings than this are no command that anybody types.
MOST_SETTINGS = 24
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def facts(scenario: Scenario, *more: str) -> str:
    """What was studied, in a line."""
    feeder = build_feeder(scenario.inputs.feeder)
    buses = count(feeder.n_bus, "bus", "buses")
    if isinstance(feeder, ThreePhaseFeeder):
        buses = f"{count(feeder.n_bus, 'home')} on three phases"
    copies = scenario.feeder.copies
    said = [
        f"Feeder {feeder.name}, {buses}, {count(feeder.n_line, 'line')}, "
        f"{count(len(feeder.zone_bus), 'parking zone')}"
        + (f", {count(copies, 'copy', 'copies')} of it" if copies > 1 else ""),
        f"{count(scenario.hours, 'hour')} from {scenario.clock.start} on in steps of "
        f"{scenario.clock.step_s:g} s",
        "energy-balanced" if scenario.requirement.kind == "energy_balanced" else "as printed",
        *more,
    ]
    head = f"{_sentence(scenario.description)} " if scenario.description.strip() else ""
    return f"{head}{'; '.join(said)}."


def scenario_cautions(scenarios: Iterable[Scenario]) -> list[str]:
    """What has to be said of scenarios before their numbers, each once."""
    given = list(scenarios)
    found = limits_of_all(given)
    found += dict.fromkeys(line for one in given for line in as_printed_notices(one))
    return [_sentence(line) for line in found]


def _sentence(line: str) -> str:
    said = line.strip()
    return said if said.endswith((".", "!", "?")) else f"{said}."


# --- again -------------------------------------------------------------------------------------


def again(
    verb: str,
    scenario: Scenario,
    options: Sequence[str] = (),
    strategies: Iterable[str] = (),
    objects: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Commands that give the same: from the scenario beside the page, and by what differs.

    The latter only where it can be said by --set: no files, no code, and nothing lost on the way.
    strategies: for `--strategies`; objects: those of them that are objects of Python. With one of
    these, or with a strategy by a name that a person gave it, it is Python that gives the same.
    """
    asked = list(strategies)
    named = [name for name in asked if name not in objects and _is_strategy(name, scenario)]
    if named:
        options = ["--strategies", ",".join(named), *options]
    if len(named) < len(asked):
        return _in_python(verb, scenario, asked, named, options)
    trust = ["--trust"] if scenario.code else []
    here = ["evenfall", verb, "scenario.yaml", *options, *trust]
    found = [
        (
            "With the scenario.yaml that lies beside this file (SHA-256 "
            f"{scenario_hash(scenario)}):",
            shlex.join(here),
        )
    ]
    if scenario.objects:
        return [
            (
                "Rules, KPIs or the like of this study are objects of Python, which no command "
                "brings along; without them it is:",
                shlex.join(here),
            )
        ]
    settings = settings_of(scenario)
    if settings is not None:
        by_set = [part for setting in settings for part in ("--set", setting)]
        command = ["evenfall", verb, "paper", *by_set, "--seed", str(scenario.seed), *options]
        found.append(("From anywhere, by what differs from the default:", shlex.join(command)))
    return found


def _is_strategy(name: str, scenario: Scenario) -> bool:
    try:
        check_strategies([name], strategy_label(scenario))
    except InputError:
        return False
    return True


def _in_python(
    verb: str,
    scenario: Scenario,
    asked: Sequence[str],
    named: Sequence[str],
    options: Sequence[str],
) -> list[tuple[str, str]]:
    """The call, and the command for those strategies that have names on the command line."""
    own = [name for name in asked if name not in named]
    each = ", ".join(f"{name!r}: {repr(name) if name in named else '...'}" for name in asked)
    about = f"In Python, with what {listed(own)} stood for in the place of the dots"
    if len(options) > 2 * bool(named):
        about += ", and with the options that the command would have"
    found = [(f"{about}:", f"from abm import {verb}\n\n"
              f'{verb}("scenario.yaml", strategies={{{each}}})')]  # fmt: skip
    if named:
        trust = ["--trust"] if scenario.code else []
        command = shlex.join(["evenfall", verb, "scenario.yaml", *options, *trust])
        found.append((f"Without {listed(own)}:", command))
    return found


def strategies_by_object(cases: Mapping[str, Scenario], scenario: Scenario) -> list[str]:
    """Strategies that are objects of Python, other than the scenario's own."""
    before = scenario.objects
    return [
        name
        for name, one in cases.items()
        if one.objects.rule is not before.rule or one.objects.admission is not before.admission
    ]


def scenario_hash(scenario: Scenario) -> str:
    """As in the manifest."""
    return hashlib.sha256(scenario.to_yaml().encode()).hexdigest()


def settings_of(scenario: Scenario) -> list[str] | None:
    """`--set` of each difference to the default but the seed; None where that is not the same."""
    changed = {one.field: one.value for one in scenario.differences() if one.field != "seed"}
    found = None if scenario.code else _as_settings(changed)
    if found is None:
        return None
    try:
        same = Scenario().override({"seed": scenario.seed, **changed})
    except InputError:
        return None
    return found if _fields(same) == _fields(scenario) else None


def paper_settings(readings: Mapping[str, Scenario]) -> list[str] | None:
    """`--set` of what is not the paper's in its study, of each reading; None as `settings_of`."""
    coded = any(scenario.code for scenario in readings.values())
    found = None if coded else _as_settings({name: value for name, value, _ in changes(readings)})
    if found is None:
        return None
    try:
        same = paper_scenarios(found)
    except InputError:
        return None
    alike = (
        _fields(same[name].override(seed=scenario.seed)) == _fields(scenario)
        for name, scenario in readings.items()
    )
    return found if all(alike) else None


def _as_settings(values: Mapping[str, Any]) -> list[str] | None:
    """Values by field as `--set` has them; None for too many, and for what it cannot say."""
    if len(values) > MOST_SETTINGS:
        return None
    found = []
    for name, value in values.items():
        plain = isinstance(value, str) and _WORD.fullmatch(value)
        setting = f"{name}={value if plain else json.dumps(value)}"
        try:
            if parse_setting(setting) != (name, value):
                return None
        except InputError:
            return None
        found.append(setting)
    return found


def _fields(scenario: Scenario) -> dict[str, Any]:
    found = scenario.resolved()
    return {name: found[name] for name in found if name not in ("name", "description")}


def versions_used() -> list[tuple[str, str]]:
    """Python and the packages that are there."""
    there = {name: version for name, version in versions().items() if version != "not installed"}
    return [("Python", platform.python_version()), *there.items()]


def citation() -> str:
    """How to cite software and paper, as a list of references has them and for BibTeX."""
    cited = works()
    return f"{text(cited)}\n{bibtex(cited)}".rstrip("\n")


def study_options(question: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Options of a study of many replications besides its strategies; names: of its question."""
    found: list[str] = []
    for name in names:
        if (value := question.get(name)) is not None:
            said = ",".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}"
            found += [f"--{name.replace('_', '-')}", said]
    return found
