"""What the verbs share: options, loading a scenario, printing."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from abm.errors import EvenfallError, InputError, MachineError, Problem, printable

if TYPE_CHECKING:
    from abm.results.claim import Claim
    from abm.scenario import Scenario
    from abm.study.cluster import Cluster

_T = TypeVar("_T")
OUTPUTS = Path("outputs")
# What Dask's encryption needs, by the name of the option.
TLS = {"ca": "certificate of the authority", "cert": "your certificate", "key": "its key"}


def add_scenario(verb: argparse.ArgumentParser) -> None:
    """SCENARIO, --set, --seed and --trust."""
    verb.add_argument("scenario", metavar="SCENARIO", help="a file, or a name from `list`")
    add_settings(verb)


def add_settings(verb: argparse.ArgumentParser) -> None:
    """--set, --seed and --trust."""
    add_set(verb)
    add_seed(verb)
    add_trust(verb)


def add_set(
    verb: argparse.ArgumentParser, where: str = "", example: str = "ev.efficiency=0.9"
) -> None:
    """--set alone; where: what else is to be said of the field."""
    verb.add_argument(
        "--set",
        metavar="A.B=C",
        action="append",
        default=[],
        dest="settings",
        help=f"change one field{where}, e.g. --set {example}; may be repeated",
    )


def add_trust(verb: argparse.ArgumentParser) -> None:
    """--trust."""
    verb.add_argument(
        "--trust",
        action="store_true",
        help="code that the scenario names (module:Class, module:function) may be loaded, and its "
        "files may lie anywhere",
    )


def add_seed(verb: argparse.ArgumentParser) -> None:
    """--seed."""
    verb.add_argument("--seed", metavar="N", help="takes the place of the scenario's own")


def add_output(verb: argparse.ArgumentParser, default: Path | str, formats: bool = True) -> None:
    """--out and --force; with formats --format and --style."""
    verb.add_argument("--out", metavar="DIR", type=Path, help=f"folder (default {default})")
    verb.add_argument(
        "--force", action="store_true", help="replace what Evenfall wrote there; the rest stays"
    )
    if not formats:
        return
    verb.add_argument(
        "--format",
        metavar="A,B,...",
        dest="formats",
        help="figures as png (default), pdf, svg; the tables of the terminal as md, latex, csv",
    )
    verb.add_argument(
        "--style", metavar="NAME", help="screen (default), or journal: 88 mm, 8 pt, no titles"
    )


def add_json(verb: argparse.ArgumentParser, what: str = "the KPIs") -> None:
    """--json."""
    verb.add_argument("--json", action="store_true", help=f"print {what} alone, as JSON")


def add_no_figures(verb: argparse.ArgumentParser) -> None:
    """--no-figures."""
    verb.add_argument(
        "--no-figures", action="store_true", help="leave out the pictures and report.html"
    )


def add_kpi(
    verb: argparse.ArgumentParser, where: str = "the terminal", default: str = "many"
) -> None:
    """--kpi; where: what shows them."""
    said = f"KPIs for {where}, your own among them (default: {default})"
    verb.add_argument("--kpi", metavar="A,B,...", help=said)


def add_strategies(verb: argparse.ArgumentParser, others: str = "") -> None:
    """--strategies; others: what is taken besides the scenario's own where nothing is said."""
    verb.add_argument(
        "--strategies",
        metavar="A,B,...",
        help=f"names or pairs rule+admission, comma between (default: the scenario's own{others})",
    )


def claim_output(options: argparse.Namespace, out: Path) -> Claim:
    """Claim the output folder for this verb, until `main` ends."""
    from abm.results.claim import claim

    resume = getattr(options, "resume", False)
    claimed: Claim = options.held.enter_context(claim(out, options.force, resume, complain))

    def say_kept(kind: object, error: BaseException | None, trace: object) -> None:
        # An error of the input would be there however often it is tried: nothing was at stake.
        input_error = isinstance(error, EvenfallError) and not isinstance(error, MachineError)
        if error is None or input_error or hasattr(error, "__notes__"):
            return
        said = "has the whole result" if claimed.settled else "was left as it was"
        error.add_note(f"{out} {said}")

    options.held.push(say_kept)
    return claimed


def add_replications(verb: argparse.ArgumentParser, text: str, default: int | None) -> None:
    """--replications."""
    verb.add_argument("--replications", metavar="N", type=int, default=default, help=text)


def add_workers(verb: argparse.ArgumentParser) -> None:
    """--workers and --cluster."""
    verb.add_argument(
        "--workers", metavar="N", type=int, help="local processes (default: one per core)"
    )
    add_cluster(verb)


def add_cluster(verb: argparse.ArgumentParser) -> None:
    """--cluster, --cluster-timeout, and the certificates of a tls:// address."""
    verb.add_argument(
        "--cluster", metavar="ADDRESS", help="a Dask scheduler, e.g. tcp://host:8786, instead"
    )
    verb.add_argument(
        "--cluster-timeout",
        metavar="S",
        type=float,
        help="seconds that scheduler or last worker may be missed (default 120)",
    )
    for name, what in TLS.items():
        verb.add_argument(f"--tls-{name}", metavar="FILE", help=f"{what}, PEM, for tls://")


def cluster_of(options: argparse.Namespace) -> Cluster | None:
    """What --cluster and the options that go with it name. Raises InputError."""
    address, timeout_s = options.cluster, options.cluster_timeout
    problems = []
    if timeout_s is not None and not 0.0 < timeout_s < 1e9:
        problems.append(Problem("--cluster-timeout", f"{timeout_s:g}", "seconds above 0"))
    if timeout_s is not None and address is None:
        problems.append(Problem("--cluster-timeout", f"{timeout_s:g}", "goes with --cluster"))
    files = {f"--tls-{name}": getattr(options, f"tls_{name}") for name in TLS}
    given = {option: file for option, file in files.items() if file is not None}
    for option in files if given else ():
        if not str(address).startswith("tls://"):
            said = "goes with --cluster tls://HOST:PORT"
        elif option not in given:
            said = "missing; authority, certificate and key go together"
        else:
            said = "" if os.path.isfile(given[option]) else "a file"
        if said and (option in given or str(address).startswith("tls://")):
            problems.append(Problem(option, given.get(option, ""), said))
    if problems:
        raise InputError(problems)
    if address is None:
        return None
    from abm.study.cluster import TIMEOUT_S, Cluster

    limit_s = TIMEOUT_S if timeout_s is None else timeout_s
    ca, cert, key = files.values()
    return Cluster(address, limit_s, complain, (ca, cert, key) if given else None)


@contextmanager
def warnings_said() -> Iterator[None]:
    """What the block warns of is said, however often it was before, also where it raises."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in found:
                show_warning(warning.message)


def read_scenario(reference: str, settings: Sequence[str] = (), trust: bool = False) -> Scenario:
    """A scenario from a file or a name; what there is to be warned of is said."""
    from abm.scenario import Scenario

    with warnings_said():
        return Scenario.load(reference, settings=settings, trust=trust)


def load(reference: str, options: argparse.Namespace, **changes: str) -> Scenario:
    """The scenario with --set, --strategy and --seed applied, all problems at once."""
    from abm.api.options import opened

    def open_it(settings: Sequence[str], trust: bool) -> Scenario:
        return opened(reference, settings, trust)

    return typed(options, open_it, **changes)


def typed(
    options: argparse.Namespace, make: Callable[[Sequence[str], bool], _T], **changes: str
) -> _T:
    """What is made with --set, --seed and --trust; what it warns of is said.

    changes: values of options of their own. Raises InputError.
    """
    from abm.api.options import named_by_option

    own = {"seed": options.seed, **changes}
    settings = list(getattr(options, "settings", []))
    # What is typed is read as YAML.
    settings += [f"{name}={text}" for name, text in own.items() if text is not None]
    try:
        with warnings_said():
            return make(settings, getattr(options, "trust", False))
    except InputError as error:
        raise InputError(named_by_option(error.problems, own)) from None


def print_json(content: Any) -> None:
    """Plain data on standard output."""
    print(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def warn_of_limit(*scenarios: Scenario) -> None:
    """A line on standard error for each demand limit that cannot be meant for its feeder."""
    from abm.results.notices import limits_of_all

    for notice in limits_of_all(scenarios):
        complain(f"warning: {notice}")


def say_as_printed(scenarios: Iterable[Scenario], aside: bool = False) -> None:
    """Once for all scenarios: what V2G took and nobody gets back; aside: on standard error."""
    from abm.report.terminal import print_lines
    from abm.results.notices import as_printed_notices

    lines = list(dict.fromkeys(line for one in scenarios for line in as_printed_notices(one)))
    if aside:
        for line in lines:
            complain(f"note: {line}")
    else:
        print_lines(lines)


def complain(text: str) -> None:
    """Lines on standard error; what a terminal would obey is escaped."""
    print("\n".join(printable(line) for line in text.split("\n")), file=sys.stderr)


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line: where in our code it was raised tells a user nothing."""
    complain(f"warning: {message}")
