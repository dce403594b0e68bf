"""The distribution feeder and the load flows on it, eqs. (10), (11)."""

from abm.grid.equations import loading_percent, power_mismatch
from abm.grid.fast import PowerGridModelSolver
from abm.grid.feeder import Feeder, build_feeder
from abm.grid.reference import PandapowerSolver
from abm.grid.solve import (
    LoadFlowWarning,
    PowerFlow,
    Solver,
    UnsupportedFeederError,
    make_solver,
)
from abm.grid.table import FeederTable
from abm.grid.topology import downstream_buses, is_radial

__all__ = [
    "Feeder",
    "FeederTable",
    "LoadFlowWarning",
    "PandapowerSolver",
    "PowerFlow",
    "PowerGridModelSolver",
    "Solver",
    "UnsupportedFeederError",
    "build_feeder",
    "downstream_buses",
    "is_radial",
    "loading_percent",
    "make_solver",
    "power_mismatch",
]
