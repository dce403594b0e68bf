"""Temperatures and ageing of transformers: steady states, hand-made steps, a run, the folder."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import run, small_paper
from test_transformers import village

from abm import Scenario, V2GModel
from abm.cli import main
from abm.equations.thermal import COOLING, ageing_rate, hot_spot_rise, top_oil_rise
from abm.report.terminal import print_kpis
from abm.report.transformer_figures import heat_figure
from abm.results.claim import new_folder
from abm.results.folder import write_run
from abm.results.notices import limit_notices
from abm.results.thermal import heat_of
from abm.scenario.transformer_fields import TransformersSection
from abm.study import run_once

DISTRIBUTION = COOLING["onan_distribution"]


def heat(load, flow_min=1, air_c=20.0, **fields):
    """Heat of one transformer with these loadings, one for each load flow [p.u.]."""
    section = TransformersSection(**{"cooling": "onan_distribution", **fields})
    percent = 100.0 * np.asarray(load, dtype=np.float64)[:, None, None]
    air = np.broadcast_to(np.asarray(air_c, dtype=np.float64), (len(percent) * flow_min,))
    return heat_of(section, percent, flow_min, air)


@pytest.mark.parametrize("cooling", COOLING)
@pytest.mark.parametrize(("paper", "rate"), [("normal", 1.0), ("upgraded", 0.282)])
def test_at_its_rating_a_transformer_ages_at_its_rated_pace(cooling, paper, rate):
    """98 degC at 20 outside, where normal paper loses an hour in each hour."""
    found = heat(np.ones(48), 60, cooling=cooling, paper=paper)
    np.testing.assert_allclose(found.hot_spot_c, 98.0, atol=1e-9)
    np.testing.assert_allclose(found.aged_h, rate, rtol=2e-3)
    assert (found.over_h == 0.0).all()


def test_ageing_doubles_each_six_degrees_and_upgraded_paper_lasts():
    assert ageing_rate(98.0, upgraded=False) == 1.0
    assert ageing_rate(104.0, upgraded=False) == 2.0
    assert ageing_rate(110.0, upgraded=True) == 1.0
    # The guide's table of both, rounded as there.
    hot = np.array([80.0, 86.0, 92.0, 98.0, 104.0, 116.0, 134.0, 140.0])
    normal = [0.125, 0.25, 0.5, 1.0, 2.0, 8.0, 64.0, 128.0]
    upgraded = [0.036, 0.073, 0.145, 0.282, 0.536, 1.83, 10.1, 17.2]
    np.testing.assert_allclose(ageing_rate(hot, upgraded=False), normal)
    np.testing.assert_allclose(ageing_rate(hot, upgraded=True), upgraded, rtol=0.02)


def test_the_steady_state_is_that_of_the_equations():
    """Half the rated current: losses of (1 + 5/4) / 6, and a winding of 0.5^1.6."""
    assert top_oil_rise(0.5, DISTRIBUTION) == pytest.approx(55.0 * (2.25 / 6.0) ** 0.8)
    assert hot_spot_rise(0.5, DISTRIBUTION) == pytest.approx(23.0 * 0.5**1.6)
    found = heat(np.full(60, 0.5), air_c=5.0, enclosure_k=10.0)
    assert found.top_oil_c[0, 0, 0] == pytest.approx(15.0 + 55.0 * 0.375**0.8)
    assert found.hot_spot_c[0, 0, 0] == pytest.approx(
        15.0 + 55.0 * 0.375**0.8 + 23.0 * 0.5**1.6, abs=1e-9
    )


def test_a_step_of_load_follows_the_solution_of_the_differential_equation():
    """From no load to 1.3 of the rating, against the closed form at the end of each hour."""
    load, hours = 1.3, np.arange(1, 25)
    found = heat(np.full(24, load), 60, air_c=30.0, initial_load=0.0)
    first, last = 55.0 * (1.0 / 6.0) ** 0.8, 55.0 * ((1.0 + 5.0 * load**2) / 6.0) ** 0.8
    oil = 30.0 + last + (first - last) * np.exp(-hours / 3.0)
    winding = 23.0 * load**1.6 * (1.0 - np.exp(-60.0 * hours / 8.0))
    np.testing.assert_allclose(found.top_oil_c[:, 0, 0], oil, atol=1e-9)
    np.testing.assert_allclose(found.hot_spot_c[:, 0, 0], oil + winding, atol=1e-9)


def test_the_hot_spot_of_a_power_transformer_overshoots():
    """By the second part of its rise, k21 = 2; worked out minute by minute."""
    found = heat(np.ones(120), cooling="onan", initial_load=0.5)
    of, minutes = COOLING["onan"], np.arange(1, 121)
    before, after = hot_spot_rise(0.5, of), hot_spot_rise(1.0, of)
    fast = 2.0 * (after + (before - after) * np.exp(-minutes / 20.0))
    slow = after + (before - after) * np.exp(-minutes / 105.0)
    first, last = top_oil_rise(0.5, of), top_oil_rise(1.0, of)
    oil = 20.0 + last + (first - last) * np.exp(-minutes / 105.0)
    hot = oil + fast - slow
    np.testing.assert_allclose(found.hot_spot_c.ravel(), hot.reshape(2, 60).max(axis=1))
    assert (fast - slow).max() > after + 1.0


def test_loss_of_life_is_the_sum_over_minutes():
    rng = np.random.default_rng(1)
    load = rng.uniform(0.2, 1.6, 120)
    found = heat(load, initial_load=0.9)
    left_oil, left_winding = np.exp(-1.0 / 180.0), np.exp(-1.0 / 8.0)
    oil, winding = 20.0 + top_oil_rise(0.9, DISTRIBUTION), hot_spot_rise(0.9, DISTRIBUTION)
    rates = [2.0 ** ((oil + winding - 98.0) / 6.0)]
    for k in load:
        oil += (1.0 - left_oil) * (20.0 + top_oil_rise(k, DISTRIBUTION) - oil)
        winding += (1.0 - left_winding) * (hot_spot_rise(k, DISTRIBUTION) - winding)
        rates.append(2.0 ** ((oil + winding - 98.0) / 6.0))
    both = (np.array(rates[:-1]) + np.array(rates[1:])) / 2.0
    np.testing.assert_allclose(found.aged_h.ravel(), both.reshape(2, 60).sum(axis=1) / 60.0)


@pytest.mark.parametrize("flow_min", [5, 15, 60])
def test_constant_load_gives_the_same_whatever_the_interval(flow_min):
    by_hour = np.random.default_rng(2).uniform(0.1, 1.5, 24)
    fine = heat(np.repeat(by_hour, 60))
    coarse = heat(np.repeat(by_hour, 60 // flow_min), flow_min)
    for name, values in vars(fine).items():
        np.testing.assert_allclose(getattr(coarse, name), values, atol=1e-12, err_msg=name)


def test_a_day_begins_as_it_ends():
    """As if it had been repeated: a second day is the same."""
    day = np.random.default_rng(3).uniform(0.1, 1.5, 24)
    air = 10.0 + 5.0 * np.sin(np.arange(1440) / 1440.0 * 2.0 * np.pi)
    one = heat(day, 60, air_c=air)
    two = heat(np.tile(day, 2), 60, air_c=np.tile(air, 2))
    for name, values in vars(one).items():
        np.testing.assert_allclose(getattr(two, name)[:24], values, atol=1e-9)
        np.testing.assert_allclose(getattr(two, name)[24:], values, atol=1e-9)


def test_air_is_felt_with_the_time_constant_of_the_oil():
    air = np.where(np.arange(6 * 60) < 60, 0.0, 20.0)
    found = heat(np.full(6, 0.5), 60, air_c=air, initial_load=0.5)
    risen = found.top_oil_c[:, 0, 0] - 55.0 * 0.375**0.8
    np.testing.assert_allclose(risen, [0.0, *20.0 * (1.0 - np.exp(-np.arange(1, 6) / 3.0))])


def test_a_smaller_transformer_has_more_load():
    load = np.full(24, 0.2)
    small, same = heat(load, 60, rating_factor=0.25), heat(4.0 * load, 60)
    np.testing.assert_allclose(small.hot_spot_c, same.hot_spot_c)
    np.testing.assert_allclose(small.load, 0.8)


def test_own_numbers_take_the_place_of_those_of_the_kind():
    section = TransformersSection(cooling="onan", top_oil_rise_k=40.0, oil_time_min=100.0)
    expected = COOLING["onan"]._replace(top_oil_rise_k=40.0, oil_time_min=100.0)
    assert section.constants == expected


def test_from_a_load_flow_without_solution_on_nothing_is_known():
    load = np.full(48, 0.8)
    load[30] = np.nan
    found = heat(load, 60)
    for values in vars(found).values():
        assert np.isfinite(values[:30]).all()
    for name in ("top_oil_c", "hot_spot_c", "aged_h", "over_h"):
        assert np.isnan(getattr(found, name)[30:]).all()
    # The first day leads to its own beginning.
    load[:] = 0.8
    load[20] = np.nan
    assert np.isnan(heat(load, 60).hot_spot_c).all()
    assert np.isfinite(heat(load, 60, initial_load=0.8).hot_spot_c[:20]).all()


# --- runs -----------------------------------------------------------------------------------------

SHIPPED = Path(__file__).parents[2] / "scenarios"
HEAT = {"cooling": "onan_distribution"}


def test_a_run_says_how_hot_and_how_old(tmp_path: Path, capsys) -> None:
    """In the KPIs, the tables, the folder, the figure and the terminal."""
    from abm.report.run_figures import run_figures

    scenario = village(tmp_path, 26, transformers=HEAT)
    results = run_once(scenario).results
    kpis, table, hours = results.kpis, results.transformers, results.transformer_heat
    assert list(hours)[:3] == ["hour_index", "hour", "transformer"]
    assert len(hours) == 24
    (row,) = table.to_dict("records")
    assert row["transformer"] == kpis["max_hot_spot_transformer"] == "T1 N1-N2"
    hottest = hours.loc[hours["hot_spot_c"].idxmax()]
    assert kpis["max_hot_spot_c"] == row["max_hot_spot_c"] == hottest["hot_spot_c"] > 98.0
    assert kpis["max_hot_spot_hour"] == hottest["hour"]
    assert row["hot_spot_hour_index"] == hottest["hour_index"]
    assert kpis["max_loss_of_life_h"] == pytest.approx(hours["loss_of_life_h"].sum())
    assert kpis["mean_ageing_rate"] == pytest.approx(kpis["max_loss_of_life_h"] / 24.0)
    assert kpis["max_loss_of_life_percent"] == row["loss_of_life_percent"]
    assert kpis["max_top_oil_c"] == hours["top_oil_c"].max()
    loading = results.transformer_hour["loading_percent"]
    np.testing.assert_allclose(hours["load_percent"], loading)
    print_kpis("village", kpis)
    said = " ".join(capsys.readouterr().out.split())
    assert f"Hottest transformer {kpis['max_hot_spot_c']:.1f} degC, T1 N1-N2, at" in said
    with new_folder(tmp_path / "out") as folder:
        write_run(folder, results, 1.0)
    stored = pd.read_parquet(tmp_path / "out" / "transformer_heat.parquet")
    pd.testing.assert_frame_equal(stored, hours)
    assert (tmp_path / "out" / "transformers.parquet").is_file()
    assert "transformers" in run_figures(results)


def test_the_hottest_of_a_city_is_named(tmp_path: Path) -> None:
    model = V2GModel(village(tmp_path, 6, transformers=HEAT), seed=[1, 2, 3]).run()
    kpis, each = model.results.kpis, model.results.feeders
    for name, feeder in (
        ("max_hot_spot_c", "max_hot_spot_feeder"),
        ("max_loss_of_life_h", "max_loss_of_life_feeder"),
    ):
        assert kpis[name] == each[name].max()
        assert kpis[feeder] == each[name].idxmax() + 1
    assert kpis["mean_ageing_rate"] == pytest.approx(each["mean_ageing_rate"].mean())
    over = "hot_spot_over_transformer_hours"
    assert kpis[over] == pytest.approx(each[over].sum())
    assert each["max_hot_spot_transformer"].tolist() == ["T1 N1-N2"] * 3
    alone = model.results.of(1)
    assert alone.kpis["max_hot_spot_c"] == each["max_hot_spot_c"][1]


def test_a_run_that_does_not_converge_has_no_hot_spot(tmp_path: Path) -> None:
    results = run_once(village(tmp_path, 400, transformers=HEAT)).results
    assert results.kpis["nonconverged_hours"] > 0
    for name in ("max_hot_spot_c", "max_loss_of_life_h", "mean_ageing_rate", "max_top_oil_c"):
        assert results.kpis[name] is None
    assert results.transformers["max_hot_spot_c"].isna().all()
    assert results.transformers["hot_spot_hour_index"].isna().all()


def test_without_transformers_there_is_a_word_and_no_number() -> None:
    scenario = small_paper(transformers=HEAT)
    (said,) = limit_notices(scenario)
    assert said == (
        "transformers.cooling = onan_distribution, and feeder 'case33bw' has no transformers"
    )
    results = run(scenario).results
    assert results.record.heat is None
    assert results.kpis["max_hot_spot_c"] is None
    with pytest.raises(RuntimeError, match=r"transformers\.cooling"):
        _ = results.transformers


def test_the_weather_of_the_scenario_is_the_air(tmp_path: Path) -> None:
    cold = {"temperature": str(SHIPPED / "weather" / "cold_day.csv")}
    warm = run_once(village(tmp_path, 0, transformers=HEAT)).results.kpis
    (tmp_path / "again").mkdir()
    at = village(tmp_path / "again", 0, transformers=HEAT, weather=cold)
    found = run_once(at).results.kpis
    assert found["max_hot_spot_c"] < warm["max_hot_spot_c"] - 15.0


def test_strategies_are_compared_by_their_heat(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "village.yaml"
    path.write_text(village(tmp_path, 8, transformers=HEAT).to_yaml(), encoding="utf-8")
    words = ["compare", str(path), "--strategies", "none,uncoordinated", "--no-bound"]
    assert main([*words, "--out", "o"]) == 0
    said = capsys.readouterr().out
    assert "Transformers" in said
    assert "loss of" in said
    assert (tmp_path / "o" / "figures" / "transformers.png").is_file()
    kpis = {
        name: json.loads((tmp_path / "o" / name / "kpis.json").read_text(encoding="utf-8"))
        for name in ("none", "uncoordinated")
    }
    assert kpis["none"]["max_loss_of_life_h"] < kpis["uncoordinated"]["max_loss_of_life_h"]


def test_long_runs_are_drawn_by_the_day_and_compared_by_their_hours(tmp_path, monkeypatch):
    results = run_once(village(tmp_path, 4, transformers=HEAT)).results
    monkeypatch.setattr("abm.report.season_figures.MANY_DAYS", 1)
    for runs, label, points in (
        ({"a": results}, "Day, each from 12:00 on", 1),
        ({"a": results, "b": results}, "Hours with as much or more, of 24 (h)", 24),
    ):
        above, below = heat_figure("title", runs).axes
        assert below.get_xlabel() == label
        hot_spot = next(line for line in above.lines if line.get_label() in ("a", "hot spot"))
        assert len(hot_spot.get_xdata()) == points
        assert hot_spot.get_ydata()[0] == results.kpis["max_hot_spot_c"]


def test_kinds_are_asked_for_by_name() -> None:
    from abm.errors import InputError

    with pytest.raises(InputError) as error:
        Scenario(transformers={"cooling": "onnan", "k21": 0.5})
    kind, constant = error.value.problems
    assert kind.field == "transformers.cooling"
    assert "onan_distribution" in str(kind)
    assert constant.field == "transformers.k21"


def test_currents_of_lines_are_kept_where_tables_of_every_load_flow_are(tmp_path: Path) -> None:
    """Of a year by the minute they would not fit; the KPIs are the same."""
    street = {
        "grid": {"feeder": "ieee_european_lv", "demand_limit_mw": 0.1},
        "fleet": {"evs_per_customer": 0.2},
        "transformers": {**HEAT, "rating_factor": 0.25},
        "strategy": "uncoordinated",
    }
    kept, left_out = (
        run(Scenario(**street, record={"flow_tables": wanted})).results for wanted in (True, False)
    )
    assert kept.record.flows.i_a.shape == (24, 1, 905)
    assert left_out.record.flows.i_a.shape == (24, 1, 0)
    assert kept.kpis == left_out.kpis
    assert kept.kpis["max_hot_spot_transformer"] == "tr1"
    assert kept.kpis["max_hot_spot_c"] > 20.0
    pd.testing.assert_frame_equal(kept.hourly, left_out.hourly)
    with new_folder(tmp_path / "out") as folder:
        write_run(folder, left_out, 1.0)
    assert not (tmp_path / "out" / "line_hour.parquet").exists()
