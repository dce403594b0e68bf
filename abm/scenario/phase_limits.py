"""What a scenario cannot ask of a three-phase feeder, or asks of one where it has none."""

from __future__ import annotations

from abm.errors import Problem
from abm.scenario.feeder_table import FeederTable
from abm.scenario.phase_fields import ConnectionSection
from abm.scenario.schema import ScenarioFields
from abm.scenario.supply import has_pv
from abm.scenario.yamlio import show


def phase_problems(fields: ScenarioFields, feeder: FeederTable) -> list[Problem]:
    """Problems of fields that go by phases with a feeder that has none, or the other way round."""
    if feeder.phases is None:
        said = "left out with a balanced feeder, on which nothing hangs on a phase"
        plain, given = ConnectionSection().model_dump(), fields.connection.model_dump()
        return [
            Problem(f"connection.{name}", show(value), said)
            for name, value in given.items()
            if value != plain[name]
        ]
    problems = []
    if fields.ev.volt_var is not None:
        said = "left out on a three-phase feeder, of which only the power factor is modelled"
        problems.append(Problem("ev.volt_var", "a curve", said))
    if fields.pv.curtail and has_pv(fields.pv):
        said = "false on a three-phase feeder, on which PV is not curtailed by voltage"
        problems.append(Problem("pv.curtail", "true", said))
    if fields.grid.solver != "power-grid-model":
        said = "left out on a three-phase feeder, which has a solver of its own"
        problems.append(Problem("grid.solver", fields.grid.solver, said))
    return problems
