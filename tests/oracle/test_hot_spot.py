"""Hot spot and ageing against transformer-thermal-model, Alliander's library of IEC 60076-7."""

import importlib
import importlib.util

import numpy as np
import pytest

from abm.equations.thermal import COOLING
from abm.results.thermal import heat_of
from abm.scenario.transformer_fields import TransformersSection

if importlib.util.find_spec("transformer_thermal_model") is None:
    pytest.skip("transformer-thermal-model is not installed", allow_module_level=True)
try:
    importlib.import_module("transformer_thermal_model.model")
except ImportError as error:  # it wants pandas 3, and pandapower pandas 2
    pytest.skip(f"transformer-thermal-model cannot be imported: {error}", allow_module_level=True)

import pandas as pd
from transformer_thermal_model.aging import days_aged
from transformer_thermal_model.cooler import CoolerType
from transformer_thermal_model.model import Model
from transformer_thermal_model.schemas import InputProfile, UserTransformerSpecifications
from transformer_thermal_model.schemas.thermal_model.initial_state import InitialLoad
from transformer_thermal_model.transformer import (
    DistributionTransformer,
    PaperInsulationType,
    PowerTransformer,
)

MINUTES = 1440
PAPER = {"normal": PaperInsulationType.NORMAL, "upgraded": PaperInsulationType.THERMAL_UPGRADED}


def theirs(cooling, loads, air_c, first):
    """Their hot spot and top oil at the end of each minute, [degC]; rated current 1000 A."""
    of = COOLING[cooling]
    specs = UserTransformerSpecifications(
        no_load_loss=100.0,
        load_loss=100.0 * of.loss_ratio,
        nom_load_sec_side=1000.0,
        top_oil_temp_rise=of.top_oil_rise_k,
        winding_oil_gradient=of.hot_spot_rise_k / 1.3,
        hot_spot_fac=1.3,
        amb_temp_surcharge=0.0,
    )
    if cooling == "onan_distribution":
        transformer = DistributionTransformer(user_specs=specs)
    else:
        transformer = PowerTransformer(user_specs=specs, cooling_type=CoolerType[cooling.upper()])
    times = pd.date_range("2025-01-01", periods=MINUTES + 1, freq="min")
    profile = InputProfile.create(
        datetime_index=times,
        load_profile=np.append(first, loads) * 1000.0,
        ambient_temperature_profile=np.append(air_c[0], air_c),
    )
    start = InitialLoad(initial_load=first * 1000.0)
    return Model(
        temperature_profile=profile, transformer=transformer, initial_condition=start
    ).run()


@pytest.mark.parametrize("cooling", COOLING)
def test_a_day_by_the_minute_is_that_of_the_library(cooling):
    rng = np.random.default_rng(11)
    loads = np.repeat(rng.uniform(0.1, 1.5, MINUTES // 30), 30)
    air_c = 10.0 + 12.0 * np.sin(np.arange(MINUTES) / 1440.0 * 2.0 * np.pi)
    percent = 100.0 * loads[:, None, None]
    found = {
        paper: heat_of(
            TransformersSection(cooling=cooling, paper=paper, initial_load=0.6), percent, 1, air_c
        )
        for paper in PAPER
    }
    wanted = theirs(cooling, loads, air_c, 0.6)
    for name in ("top_oil", "hot_spot"):
        by_minute = getattr(wanted, f"{name}_temp_profile").to_numpy()[1:]
        highest = by_minute.reshape(-1, 60).max(axis=1)
        ours = getattr(found["normal"], f"{name}_c")[:, 0, 0]
        np.testing.assert_allclose(ours, highest, rtol=0.0, atol=1e-9)
    # They count the rate at the end of each minute, we the mean of both ends.
    for paper, of_library in PAPER.items():
        aged_d = days_aged(wanted.hot_spot_temp_profile, of_library)
        assert found[paper].aged_h.sum() / 24.0 == pytest.approx(aged_d, rel=1e-3), paper
