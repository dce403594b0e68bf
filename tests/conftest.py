"""Hypothesis without deadlines and with the same examples on every machine.

A failing example is a whole simulated day, and finding the smallest one takes minutes: ask for it
with `pytest --hypothesis-profile=smallest`.

Nothing is remembered from one test run to the next: power-grid-model is checked against pandapower
on every feeder.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

os.environ["EVENFALL_CACHE"] = ""

settings.register_profile(
    "evenfall",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("smallest", settings.get_profile("evenfall"))
settings.register_profile(
    "evenfall", settings.get_profile("evenfall"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("evenfall")


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory):
    """Logs of unforeseen errors go here, and not to the home of who runs the tests."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["XDG_STATE_HOME"] = str(folder)
    return folder
