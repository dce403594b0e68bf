"""Uncontrolled charging of a sessions CSV in Evenfall, 24 load flows included.

EVENFALL_ENGINE in the environment takes the place of the default of `clock.engine`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import _paths  # noqa: F401
from _adapter import Runner, main, read_sessions

from abm import Scenario, V2GModel


def prepare(path: Path, _folder: Path) -> Runner:
    read_sessions(path)
    changes = {
        "fleet.sessions": str(path.resolve()),
        "requirement.kind": "energy_balanced",
        "clock.engine": os.environ.get("EVENFALL_ENGINE", "auto"),
    }
    scenario = Scenario.load("paper").override(changes, strategy="uncoordinated")

    def simulate() -> V2GModel:
        return V2GModel(scenario).run()

    def outcome(model: V2GModel) -> dict[str, Any]:
        # The load flows belong to the time: all of them were there when run() came back.
        load_flows = len(model.grid.flows.vm_pu)
        if load_flows != model.clock.n_hours:
            raise RuntimeError(f"{load_flows} load flows in {model.clock.n_hours} hours")
        ev, hourly = model.results.ev, model.results.hourly
        charged = zip(ev["ev_id"], ev["charged_kwh"].astype(float), strict=True)
        return {
            "energy_kwh": dict(charged),
            "load_flows": load_flows,
            "load_flows_diverged": int((~hourly["converged"].astype(bool)).sum()),
        }

    return Runner(simulate, outcome)


if __name__ == "__main__":
    main("evenfall", prepare, warm_up=None)
