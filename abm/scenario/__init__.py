"""What is studied: scenarios, their files, and what is wrong with them."""

from abm.scenario.checks import stay_windows, window_minutes
from abm.scenario.document import parse_setting
from abm.scenario.feeder_table import FeederTable
from abm.scenario.fields import TimeOfDay, clock_minutes
from abm.scenario.inputs import Inputs
from abm.scenario.load_profiles import LoadProfile
from abm.scenario.names import (
    shipped_dir,
    shipped_feeders,
    shipped_profiles,
    shipped_pv,
    shipped_scenarios,
    shipped_tariffs,
)
from abm.scenario.scenario import Scenario
from abm.scenario.schema import ScenarioFields, StrategySpec
from abm.scenario.session_table import SessionTable
from abm.scenario.tables import Tariff

__all__ = [
    "FeederTable",
    "Inputs",
    "LoadProfile",
    "Scenario",
    "ScenarioFields",
    "SessionTable",
    "StrategySpec",
    "Tariff",
    "TimeOfDay",
    "clock_minutes",
    "parse_setting",
    "shipped_dir",
    "shipped_feeders",
    "shipped_profiles",
    "shipped_pv",
    "shipped_scenarios",
    "shipped_tariffs",
    "stay_windows",
    "window_minutes",
]
