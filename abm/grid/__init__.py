"""The distribution feeder and the load flows on it, eqs. (10), (11)."""

from abm.equations.load_flow import loading_percent, power_mismatch
from abm.grid.agreement import LoadFlowWarning, UnsupportedFeederError
from abm.grid.building import build_feeder
from abm.grid.feeder import Feeder
from abm.grid.nets import load_net
from abm.grid.network import Network, PowerFlow, empty_power_flow
from abm.grid.reference import PandapowerSolver
from abm.grid.solve import (
    PowerGridModelSolver,
    Solver,
    disagreement,
    make_solver,
)

__all__ = [
    "Feeder",
    "LoadFlowWarning",
    "Network",
    "PandapowerSolver",
    "PowerFlow",
    "PowerGridModelSolver",
    "Solver",
    "UnsupportedFeederError",
    "build_feeder",
    "disagreement",
    "empty_power_flow",
    "load_net",
    "loading_percent",
    "make_solver",
    "power_mismatch",
]
