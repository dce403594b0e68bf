"""Lines of the terminal that only three-phase feeders have."""

from __future__ import annotations

OUTSIDE = "Homes outside, means of 10 min"
PHASE_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Homes below / above the limits", ("homes_below", "homes_above")),
    (OUTSIDE, ("homes_outside_10min", "outside_10min_means")),
    ("Homes that break EN 50160", ("homes_en50160",)),
    ("Voltage unbalance", ("max_vuf_percent", "max_vuf_bus", "max_vuf_time")),
    ("Neutral current", ("max_neutral_a", "max_neutral_line", "max_neutral_time")),
)
OF_PHASES = frozenset(label for label, _ in PHASE_LINES)
