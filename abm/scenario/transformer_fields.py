"""Section `transformers` of the scenario: how hot they get, and what that does to them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from abm.equations.thermal import COOLING, Constants
from abm.scenario.fields import Section


class TransformersSection(Section):
    """Temperatures and loss of life of the feeder's transformers, by IEC 60076-7:2018.

    They follow the load flows and change no decision. The temperature of the air is
    `weather.temperature`, else `air_c`. Numbers that are left out are those of the kind of cooling.
    """

    cooling: Literal["onan_distribution", "onan", "onaf"] | None = Field(
        None,
        description="Kind of transformer: onan_distribution (natural oil and air, up to 2500 kVA), onan, onaf (fans; medium and large power). Left out: temperatures are not worked out.",
    )
    paper: Literal["normal", "upgraded"] = Field(
        "normal",
        description="Insulation: normal paper ages at its rated pace at 98 degC, thermally upgraded at 110.",
    )
    air_c: float = Field(
        20.0,
        ge=-60.0,
        le=60.0,
        description="Temperature of the air, degC, where weather.temperature has none.",
    )
    enclosure_k: float = Field(
        0.0,
        ge=0.0,
        le=60.0,
        description="How much warmer the air around the transformer is than outside (kiosk, cellar), K.",
    )
    rating_factor: float = Field(
        1.0,
        gt=0.0,
        le=1000.0,
        description="Factor on the rated power that the feeder says, as heat goes by it: 0.25 is a transformer of a quarter. The load flow keeps the feeder's.",
    )
    initial_load: float | None = Field(
        None,
        ge=0.0,
        le=10.0,
        description="Load before the horizon, in the steady state, fraction of the rating; left out: as if the first 24 h had gone before many times over.",
    )
    hot_spot_limit_c: float = Field(
        120.0,
        ge=0.0,
        le=300.0,
        description="Hot spot above which hours are counted, degC; 120 is the guide's limit for normal cyclic loading.",
    )
    normal_life_h: float = Field(
        180000.0,
        gt=0.0,
        description="Life at the rated pace, h, which the loss of life is a part of.",
    )
    loss_ratio: float | None = Field(
        None, gt=0.0, le=1000.0, description="Load losses at rated current over no-load losses, R."
    )
    top_oil_rise_k: float | None = Field(
        None, gt=0.0, le=200.0, description="Rise of the top oil above the air at rated losses, K."
    )
    hot_spot_rise_k: float | None = Field(
        None,
        gt=0.0,
        le=200.0,
        description="Rise of the hot spot above the top oil at rated current, K.",
    )
    oil_exponent: float | None = Field(None, gt=0.0, le=3.0, description="Oil exponent x.")
    winding_exponent: float | None = Field(None, gt=0.0, le=3.0, description="Winding exponent y.")
    oil_time_min: float | None = Field(
        None, gt=0.0, le=1e5, description="Time constant of the oil, min."
    )
    winding_time_min: float | None = Field(
        None, gt=0.0, le=1e5, description="Time constant of the winding, min."
    )
    k11: float | None = Field(None, gt=0.0, le=100.0, description="Constant k11 of the model.")
    k21: float | None = Field(None, ge=1.0, le=100.0, description="Constant k21 of the model.")
    k22: float | None = Field(None, gt=0.0, le=100.0, description="Constant k22 of the model.")

    @property
    def constants(self) -> Constants:
        """Those of the kind of cooling, with what is said in their place. KeyError without one."""
        own = {name: getattr(self, name) for name in Constants._fields}
        said = {name: value for name, value in own.items() if value is not None}
        return COOLING[str(self.cooling)]._replace(**said)
