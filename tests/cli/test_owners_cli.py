"""Owners and days in a row from the command line."""

import numpy as np
import pandas as pd
import pytest
from test_cli import PNG, call, folder, refused  # noqa: F401 (the fixture of an empty folder)

from abm import Scenario, V2GModel
from abm.report import terminal
from abm.results.day_tables import days_together
from abm.results.indicators import of_city

FEW = ("--set", "fleet.evs_per_zone=1", "--set", "clock.step_s=900")


def test_a_week_leaves_its_tables_and_figure_and_prints_its_days(folder):  # noqa: F811
    result = call("run", "weekend", *FEW, "--out", "out")
    assert (folder / "out" / "figures" / "days.png").read_bytes().startswith(PNG)
    days = pd.read_parquet(folder / "out" / "days.parquet")
    assert days["weekday"].tolist()[:3] == ["thursday", "friday", "saturday"]
    for word in ("thursday", "wednesday", "Stays short", "Driven"):
        assert word in result.out
    assert "7/7" in result.err
    assert "Groups" not in result.out


def test_groups_are_printed_where_there_are_any(folder):  # noqa: F811
    out = call("run", "range_anxiety", *FEW, "--no-figures", "--out", "out").out
    for word in ("calm", "careful", "anxious", "EVs short"):
        assert word in out
    assert "Stays short" not in out


def test_of_many_days_the_first_and_the_last_are_printed(capsys):
    table = pd.DataFrame(
        {name: np.arange(1, 21) for name in (*terminal.DAY_TEXT, *terminal.DAY_COLUMNS)}
    )
    terminal.print_days(table)
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()]
    numbers = [word for word in shown if word.isdigit() or word == "..."]
    assert numbers == [*map(str, range(1, 8)), "...", *map(str, range(14, 21))]


def test_the_days_of_several_feeders_are_put_together():
    scenario = Scenario.load("weekend").override(
        {"fleet.evs_per_zone": 2, "feeder.copies": 3, "clock.step_s": 900}
    )
    results = V2GModel(scenario.override({"owners.v2g_participation": 0.5})).run().results
    together, days = days_together(results.record), results.days
    assert len(days) == 21
    assert together["day"].tolist() == list(range(1, 8))
    for name in {*of_city("sum"), "benefit_usd"} & set(days):
        assert together[name].sum() == pytest.approx(results.kpis[name]), name
    assert together["system_peak_mw"].max() == pytest.approx(results.kpis["system_peak_mw"])
    share = days.groupby("day")["v2g_share"].mean()
    assert together["v2g_share"].to_numpy() == pytest.approx(share.to_numpy())
    assert days_together(results.of(1).record).equals(results.of(1).days)


def test_several_workers_leave_the_same_tables_of_days(folder):  # noqa: F811
    city = ("v2g_adoption", *FEW, "--set", "feeder.copies=50", "--set", "horizon.days=2")
    one = call("run", *city, "--no-figures", "--out", "one")
    two = call("run", *city, "--no-figures", "--workers", "2", "--out", "two")
    assert "2/2" in one.err
    assert "48/48" in two.err
    names = [path.name for path in (folder / "one").glob("*.parquet")]
    assert {"days.parquet", "stays.parquet", "feeders.parquet"} <= set(names)
    for name in names:
        tables = [pd.read_parquet(folder / run / name) for run in ("one", "two")]
        assert tables[0].equals(tables[1]), name


def test_days_in_a_row_are_compared_without_a_bound(folder):  # noqa: F811
    result = call("compare", "weekend", *FEW, "--strategies", "evms,uncoordinated", "--out", "out")
    assert "Without the bound, which is that of one day" in result.err
    assert "336/336" in result.err


@pytest.mark.parametrize(
    ("scenario", "settings", "says"),
    [
        (
            "paper_balanced",
            ("owners.groups.a.share=0.5", "owners.groups.b.share=0.6"),
            ("--set owners.groups", "these add up to 1.1"),
        ),
        ("range_anxiety", ("owners.groups.calm=null",), ("a mapping with the keys share",)),
        ("range_anxiety", ("owners.groups.calm.shar=0.4",), ("did you mean",)),
        (
            "v2g_adoption",
            ("owners.learning.graph=edges",),
            ("--set owners.learning.graph", "CSV file in owners.learning.edges"),
        ),
        ("v2g_adoption", ("horizon.days=1",), ("off where horizon.days is 1",)),
        ("weekend", ("horizon.days=0",), ("at least 1",)),
        ("weekend", ('owners.weekend.departure.high="13:00"',), ("inside each day's 1440 min",)),
        ("paper_balanced", ("owners.behaviour=nowhere:Nobody",), ("module nowhere", "--trust")),
    ],
)
def test_what_owners_cannot_be_is_said_where_it_was_written(
    folder,  # noqa: F811
    scenario,
    settings,
    says,
):
    options = [word for setting in settings for word in ("--set", setting)]
    refused(folder, "run", scenario, *options, says=says)
