"""Section `ageing` of the scenario: how the wear of batteries is reckoned and what it costs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from abm.scenario.fields import Section


class AgeingSection(Section):
    """What the EVs' batteries lose by use and time; it changes no decision."""

    model: Literal["throughput", "woehler", "schmalstieg_2014", "xu_2018"] = Field(
        "throughput",
        description="throughput: by energy through the battery; woehler: by rainflow cycles, deep ones more; schmalstieg_2014 (NMC), xu_2018 (LMO): cycles and calendar of a published cell. All but throughput follow the SoC of every EV.",
    )
    pack_usd_per_kwh: float = Field(
        139.0,
        ge=0.0,
        le=1e5,
        description="Price of a new pack, $/kWh; 139 is an assumption, about that of 2023.",
    )
    end_of_life_loss: float = Field(
        0.2, gt=0.0, lt=1.0, description="Capacity loss at which a pack is replaced, fraction."
    )
    cycle_life: float = Field(
        3000.0,
        gt=0.0,
        le=1e7,
        description="Cycles of depth cycle_depth until then, an assumption; read by throughput and woehler.",
    )
    cycle_depth: float = Field(
        0.8, gt=0.0, le=1.0, description="Depth of those cycles, fraction of the capacity."
    )
    woehler_exponent: float = Field(
        2.0,
        gt=0.0,
        le=10.0,
        description="Exponent k of the Woehler curve N = cycle_life (depth / cycle_depth)^-k, an assumption; 1: as throughput.",
    )
    temperature_c: float = Field(
        25.0, ge=-20.0, le=60.0, description="Temperature of the cells, degrees Celsius."
    )
    age_days: float = Field(
        730.0,
        ge=0.0,
        le=36525.0,
        description="Age of the batteries, d, used as in this run so far; read by the published cells, which lose more when new.",
    )
