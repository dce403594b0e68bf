"""Hypothesis without deadlines and with the same examples on every machine."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "evenfall",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("evenfall")
