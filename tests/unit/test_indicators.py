"""One table of indicators: what is computed, shown and described is what stands in it."""

from pathlib import Path

import pytest
from helpers import run, small_paper

from abm.report import kpi_lines
from abm.results.indicators import (
    ALIASES,
    INDICATORS,
    compared,
    mean_digits,
    page,
    with_mean,
)

PAGE = Path(__file__).parents[2] / "docs" / "kpis.md"
CITY_ONLY = {row.name for row in INDICATORS.values() if row.section == "Only in a city"}


@pytest.fixture(scope="module")
def city():
    return run(small_paper(feeder={"copies": 2}))


def test_what_a_run_and_a_city_compute_is_the_table(city):
    of_one = run(small_paper()).results.kpis
    assert set(of_one) == set(INDICATORS) - CITY_ONLY
    assert set(city.results.kpis) == set(INDICATORS)


def test_sums_and_extremes_of_a_city_are_those_of_its_feeders(city):
    of_all, columns = city.results.kpis, city.results.kpi_columns
    fold = {"sum": sum, "largest": max, "smallest": min}
    for name, row in INDICATORS.items():
        if row.city and any(value is None or value != value for value in columns[name].tolist()):
            assert of_all[name] is None, name
        elif row.city:
            assert of_all[name] == pytest.approx(fold[row.city](columns[name])), name


def test_what_has_a_mean_is_a_number_and_no_place_or_hour():
    kpis = run(small_paper()).results.kpis
    for name in with_mean():
        assert isinstance(kpis[name], int | float | None), name
        assert not name.endswith(("_hour", "_bus", "_line", "_feeder", "_hours_list")), name
    assert "max_loss_hour" in INDICATORS
    assert "max_loss_hour" not in with_mean()


def test_names_that_are_typed_or_shown_are_in_the_table():
    assert set(ALIASES.values()) <= set(with_mean())
    lines = (*kpi_lines.KPI_LINES, *kpi_lines.DAYS_LINES, *kpi_lines.CITY_LINES)
    lines = (*lines, *kpi_lines.SUPPLY_LINES)
    assert {name for _, names in lines for name in names} <= set(INDICATORS)
    assert set(kpi_lines.BEHIND) <= set(INDICATORS)
    places = [INDICATORS[name].compared for name in compared()]
    assert places == list(range(1, len(places) + 1))
    assert mean_digits("evs_short") == 2


def test_the_page_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run python -m abm.results.indicators"
    changed = text.replace("highest EV demand of any hour", "something else")
    assert changed != text
    assert page(changed) == text
