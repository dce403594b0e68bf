"""Fields of the scenario that only a three-phase feeder has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from abm.scenario.fields import Fraction, Section


class ConnectionSection(Section):
    """How chargers are connected on a three-phase feeder."""

    three_phase_share: Fraction = Field(
        0.0,
        description="Share of the homes with three phases whose charger draws from all of them, by seed; the others have one on a single phase. At a home with one phase it is on that.",
    )
    phase: Literal["given", "random", "balanced"] = Field(
        "balanced",
        description="Phase of a single-phase charger at a home with several: given (charger_phase in homes.csv, the first where it says nothing), random by seed, or balanced: the one with the fewest chargers of its zone so far.",
    )
