"""A three-phase feeder folder out of an OpenDSS script or a pandapower net, and what it gives."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np

from abm.equations import FloatArray
from abm.errors import InputError, LoadFlowError, Problem
from abm.grid.import_rules import ImportedFeeder, doubtful_voltages
from abm.grid.opendss import Solved, read_opendss
from abm.grid.phase_flow import ThreePhaseFlow
from abm.grid.phase_nets import phase_source_of
from abm.grid.phase_solve import ThreePhaseSolver
from abm.grid.phase_source import PhaseSource
from abm.grid.sources import ReadNet
from abm.scenario.feeder_table import FeederTable
from abm.scenario.names import display
from abm.scenario.phase_feeder import HOME_CLASS
from abm.scenario.phase_values import PHASES, PhaseValues
from abm.scenario.yamlio import show

# A voltage that differs by more from OpenDSS's is worth a warning, p.u.
SAME_PU = 1e-6


def is_opendss(reference: str) -> bool:
    """Whether a source is named as an OpenDSS script."""
    return reference.lower().endswith((".dss", ".dss.gz"))


def import_opendss(
    reference: str, rules: tuple[str, str, str], apart: bool = False
) -> ImportedFeeder:
    """Make a feeder folder of a .dss or .dss.gz file. rules: zones, classes, customers.

    apart: whether OpenDSS runs in a process of its own, which it ends on some odd scripts.

    Raises InputError with everything that is wrong in the script, and LoadFlowError where there is
    no load flow at its nominal load.
    """
    path = Path(reference)
    if not path.is_file():
        said = "a file; there is none of this name"
        raise InputError([Problem("SOURCE", show(reference), said)])
    home_class = class_of_homes(rules)
    source, solved = _read_apart(path) if apart else read_opendss(path)
    source.head["source"] = path.name
    return imported(source, display(path), home_class, solved)


def _read_apart(path: Path) -> tuple[PhaseSource, Solved]:
    """`read_opendss` in another process. Raises InputError where OpenDSS ends that."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(read_opendss, path).result()
        except BrokenProcessPool:
            said = "a script that OpenDSS can read; it crashed on this one"
            raise InputError([Problem("file", "", said, display(path))]) from None


def import_phases(source: ReadNet, reference: str, rules: tuple[str, str, str]) -> ImportedFeeder:
    """Make a three-phase feeder folder of a pandapower net, as `import_opendss` does."""
    home_class = class_of_homes(rules)
    try:
        made = phase_source_of(source)
    except InputError as error:
        raise InputError(placed(error.problems, reference)) from None
    return imported(made, reference, home_class)


def placed(problems: Iterable[Problem], reference: str) -> list[Problem]:
    """Problems of a net with the source that it is of."""
    shown = display(Path(reference)) if Path(reference).suffix else reference
    return [replace(one, file=one.file or shown) for one in problems]


def class_of_homes(rules: tuple[str, str, str]) -> str | None:
    """Class of all homes of `--classes all:CLASS`. Raises InputError for rules of other feeders."""
    zones, classes, customers = rules
    problems = []
    if zones != "loads":
        said = "left out; the homes below each transformer are a zone, homes.csv has a column"
        problems.append(Problem("--zones", zones, said))
    if customers != "auto":
        problems.append(Problem("--customers", customers, "left out; each home is one customer"))
    kind, _, name = classes.partition(":")
    if classes != "words" and (kind != "all" or not name):
        said = f"all:CLASS for a three-phase feeder; left out: {HOME_CLASS}"
        problems.append(Problem("--classes", classes, said))
    if problems:
        raise InputError(problems)
    return name or None


def imported(
    source: PhaseSource, shown: str, home_class: str | None, solved: Solved | None = None
) -> ImportedFeeder:
    """The folder of a source, checked by reading it and by a load flow.

    shown: the source in problems. solved: voltages of somebody else to compare with.
    """
    if home_class is not None:
        for row in source.rows["homes.csv"]:
            row["customer_class"] = home_class
    rows = source.rows
    kv = sorted({row["vn_kv"] for row in rows["buses.csv"]}, reverse=True)
    levels = "/".join(f"{value:g}" for value in kv)
    source.head["description"] = (
        f"{source.name}, {levels} kV, {len(rows['buses.csv'])} buses, "
        f"{len(rows['homes.csv'])} homes"
    )
    files = source.files()
    table = source.table(files, shown)
    summary = [_counts(source, table)]
    values = table.phases
    assert values is not None
    flow = nominal_flow(values)
    if not flow.converged[0]:
        said = (
            "no load flow at nominal load; are loads in W, lengths in m for km, or loads in wye "
            "below a winding in delta, where nothing is earthed?"
        )
        if solved is not None and not solved.converged:
            said += " OpenDSS finds none either"
        raise LoadFlowError(f"{shown}: {said}")
    names = [str(name) for name in table.labels.bus]
    summary.append(_at_nominal(flow, names, source.notes))
    if solved is not None and solved.converged:
        summary.append(_difference(flow, values, names, solved, source.notes))
    unknown = int(np.isnan(values.line_ampacity_a).sum())
    if unknown:
        source.notes.append(f"{unknown} of {len(values.line)} lines have no rating that is known")
    classes = tuple(sorted(table.classes))
    return ImportedFeeder(source.name, files, summary, source.notes, classes)


def _counts(source: PhaseSource, table: FeederTable) -> str:
    rows, values = source.rows, table.phases
    assert values is not None
    n_open = sum(1 for row in rows["lines.csv"] if row.get("open"))
    return (
        f"{len(rows['buses.csv'])} buses, {len(rows['lines.csv'])} lines ({n_open} open), "
        f"{len(rows['transformers.csv'])} transformers, {len(rows['capacitors.csv'])} capacitors, "
        f"{homes_by_phase(values)}, {values.home_p_kw.sum():.6g} kW, {table.n_zones} zones"
    )


def homes_by_phase(values: PhaseValues) -> str:
    """How many homes there are on which phases, in words."""
    kinds = Counter(
        "".join(PHASES[phase] for phase in np.flatnonzero(row)) for row in values.home_phases
    )
    by_phase = ", ".join(f"{kinds[kind]} on {kind}" for kind in sorted(kinds, key=_order))
    return f"{values.n_home} homes ({by_phase})"


def _order(phases: str) -> tuple[int, str]:
    return len(phases), phases


def nominal_flow(values: PhaseValues) -> ThreePhaseFlow:
    """One load flow of the homes' nominal loads."""
    solver = ThreePhaseSolver(values)
    terminals = solver.terminals
    share = 1e-3 * terminals.share
    p, q = values.home_p_kw[terminals.home] * share, values.home_q_kvar[terminals.home] * share
    return solver.solve(p[None], q[None])


def _at_nominal(flow: ThreePhaseFlow, names: list[str], notes: list[str]) -> str:
    vm_pu = flow.vm_pu[0]
    low, high = int(vm_pu.argmin()), int(vm_pu.argmax())
    notes += doubtful_voltages(vm_pu, "are loads in W, or lengths in another unit?")
    return (
        f"at nominal load: {vm_pu[low]:.4f} p.u. at {names[low]} to {vm_pu[high]:.4f} at "
        f"{names[high]}, loss {1e3 * float(flow.loss_mw[0]):.4g} kW"
    )


def _difference(
    flow: ThreePhaseFlow, values: PhaseValues, names: list[str], solved: Solved, notes: list[str]
) -> str:
    """How far the homes' voltages are from those of OpenDSS; a note where that is much."""
    apart = np.abs(flow.vm_pu[0] - lowest_voltages(values, solved))
    worst = int(apart.argmax())
    if not apart[worst] <= SAME_PU:
        bus = values.bus[values.home_bus[worst]]
        notes.append(
            f"warning: voltages differ from OpenDSS's by up to {apart[worst]:.2g} p.u., most at "
            f"home {names[worst]}, bus {bus}"
        )
    return f"largest difference from the voltages of OpenDSS: {apart[worst]:.1e} p.u."


def lowest_voltages(values: PhaseValues, solved: Solved) -> FloatArray:
    """Of each home the lowest voltage of its phases by somebody else, p.u., (H,)."""
    found = np.full(values.n_home, np.inf)
    for home, bus in enumerate(values.home_bus):
        name, kv = str(values.bus[bus]), float(values.vn_kv[bus])
        there = np.flatnonzero(values.home_phases[home])
        volts = {int(phase): solved.volts[name, int(phase)] for phase in there}
        for phase, volt in volts.items():
            if not values.home_delta[home]:
                found[home] = min(found[home], abs(volt) / (1e3 * kv / 3**0.5))
            elif (after := (phase + 1) % 3) in volts:
                found[home] = min(found[home], abs(volt - volts[after]) / (1e3 * kv))
    return found
