"""What several test files share: small scenarios and a way to run them."""

import tempfile
from pathlib import Path

import numpy as np

from abm import Scenario, V2GModel
from abm.scenario.names import STRATEGIES
from abm.scenario.session_table import SessionRow

# Of a file by SoC, and of one by energy.
COLUMNS = tuple(SessionRow.model_fields)[:10]
BY_ENERGY = ("ev_id", "zone", "arrival_min", "departure_min", "energy_kwh", "p_max_kw")
CONNECTED = tuple(name for name, strategy in STRATEGIES.items() if strategy.connected)
# Those that the compiled hour knows too.
STEP_BY_STEP = ("mpc", "dimming", "off_peak", "throttling", "operating_envelopes")
COMPILED = tuple(name for name in CONNECTED if name not in STEP_BY_STEP)
# One plan an hour: an optimiser takes its time.
SELDOM = {"mpc": {"interval_min": 60}}
KINDS = ("as_printed", "energy_balanced")
DAY = 1440


def ev(ev_id="a", zone=1, arrival=480, departure=1200, capacity=40.0, soc=0.3, target=0.8, **more):
    """One row of a session file."""
    values = (ev_id, zone, arrival, departure, capacity, soc, target)
    return dict(zip(COLUMNS, values, strict=False)) | more


def by_energy(ev_id="a", zone=1, arrival=480, departure=1200, energy=10.0, **more):
    """One row of a session file that says energies."""
    values = (ev_id, zone, arrival, departure, energy)
    return dict(zip(BY_ENERGY, values, strict=False)) | more


def write_sessions(path: Path, rows) -> Path:
    """The rows as a CSV; floats keep all their digits."""
    columns = BY_ENERGY if any("energy_kwh" in row for row in rows) else COLUMNS
    lines = [",".join(str(row.get(column, "")) for column in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines, ""]), encoding="utf-8")
    return path


def scenario(*rows, folder=None, **fields) -> Scenario:
    """The paper's scenario with these EVs; `folder` keeps the file where it is read again."""
    with tempfile.TemporaryDirectory() as temporary:
        path = write_sessions(Path(folder or temporary) / "sessions.csv", rows)
        return Scenario(**{"fleet": {"sessions": str(path)}, **SELDOM, **fields})


def small_paper(**fields) -> Scenario:
    """The paper's scenario with 30 of its 600 EVs, and a limit that they feel (see `tight`)."""
    return Scenario(**{"fleet": {"evs_per_zone": 2}, **tight(), **SELDOM, **fields})


def tight(mw: float = 3.10) -> dict:
    """A limit close enough to the base demand for a few EVs to have to wait."""
    return {"grid": {"demand_limit_mw": mw}}


def run(scenario: Scenario, seed=None, ev_class=None) -> V2GModel:
    return V2GModel(scenario, seed=seed, ev_class=ev_class).run()


def stepped(model: V2GModel):
    """Step to the end; yields the model after every step."""
    while not model.clock.finished:
        model.step()
        yield model


def same(a, b) -> bool:
    """Whether two arrays agree to the last bit, NaN and all."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


STATE = ("soc", "soc_departure", "charged_kwh", "discharged_kwh", "purchase_usd", "sale_usd")
STATE += ("switches",)


def arrays(model: V2GModel) -> dict[str, np.ndarray]:
    """All that a run writes down, for `same`."""
    meter = model.meter
    return {
        **{name: getattr(model.fleet, name) for name in STATE},
        "charge": meter.charge_kw,
        "discharge": meter.discharge_kw,
        "plugged": meter.plugged,
        "ev_mw": meter.ev_mw,
        "ev_kw": meter.ev_kw,
        "switched_evs": meter.switched_evs,
        "vm_pu": model.grid.flows.vm_pu,
        "loss_mw": model.grid.flows.loss_mw,
    }
