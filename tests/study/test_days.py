"""A run of several days goes on after a day as if it had never stopped."""

import json

import pytest
from helpers import ev, small_paper, write_sessions

from abm import Scenario, V2GModel
from abm.cli import main
from abm.report.figures import pictures
from abm.report.run_figures import run_figures
from abm.snapshot import Snapshot, SnapshotError
from abm.study.days import kept_by_day
from abm.study.folder import StudyFolder

TABLES = ("hourly", "ev", "bus_hour", "line_hour", "zones", "stays", "days")
HEARD_LATE = {
    "what": "net_with_losses",
    "interval_min": 15,
    "delay_min": 75.0,
    "loss_probability": 0.3,
    "noise": 0.1,
}
LEARNING = {"learning": {"graph": "zone", "trial_probability": 0.2}, "boost_probability": 0.2}
CURVE = [[0.9, 0.4], [0.99, 0.0], [1.0, 0.0]]
CASES = {
    "evms": {"strategy": "evms"},
    "none": {"strategy": "none"},
    "compiled": {"strategy": "evms", "clock": {"engine": "compiled"}},
    "coordinated": {"strategy": "coordinated", "clock": {"engine": "numpy"}},
    "compiled coordinated": {"strategy": "coordinated", "clock": {"engine": "compiled"}},
    "mpc": {"strategy": "mpc", "fleet": {"evs_per_zone": 1}, "horizon": {"days": 2}},
    "heard late": {"strategy": "evms", "broadcast": HEARD_LATE},
    "coordinated, heard late": {
        "strategy": "coordinated",
        "broadcast": {"what": "net", "interval_min": 5, "delay_min": 15.0},
    },
    "learning": {"strategy": "evms", "owners": LEARNING},
    "least times": {"strategy": "coordinated", "ev": {"min_on_min": 30.0, "min_off_min": 20.0}},
    "ageing": {"strategy": "evms", "ageing": {"model": "schmalstieg_2014"}},
    "compiled ageing": {
        "strategy": "evms",
        "ageing": {"model": "xu_2018"},
        "clock": {"engine": "compiled"},
    },
    "pv and batteries": {
        "strategy": "coordinated",
        "pv": {"kwp_per_zone": 40.0},
        "storage": {"kwh_per_zone": 50.0},
        "grid": {"flow_interval_min": 15},
    },
    "volt-var": {
        "strategy": "evms",
        "ev": {"volt_var": {"curve": [[0.9, 0.4], [0.99, 0.0], [1.0, 0.0]]}},
    },
    "demand charge": {
        "strategy": "evms",
        "tariff": {"demand_charge": {"usd_per_kw": 5.0}, "tax": {"purchase_rate": 0.2}},
    },
    "dimming after coordinated, cars": {
        "strategy": {"rule": "coordinated", "admission": "dimming"},
        "dimming": {"after": "coordinated", "least_min": 120.0},
        "broadcast": {"interval_min": 15, "delay_min": 20.0},
        "ev": {"cars": {"cannot_pause": 0.3, "does_not_wake": 0.3, "needs_six_amp": 0.5}},
    },
    "off peak, throttled": {"strategy": {"rule": "off_peak", "admission": "throttling"}},
    "envelopes": {"strategy": "operating_envelopes", "broadcast": {"interval_min": 15}},
    "price that follows": {
        "strategy": "coordinated",
        "broadcast": {"what": "net"},
        "coordinated": {"price_weight": 0.5},
        "tariff": {"follows_demand": {"usd_per_kwh_per_mw": 0.05, "reference_mw": 3.0}},
    },
    "copies": {"strategy": "evms", "feeder": {"copies": 3}},
}


def same_results(one, other):
    assert one.kpis == other.kpis
    for name in TABLES:
        assert getattr(one, name).equals(getattr(other, name)), name


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_a_run_goes_on_after_any_day(fields):
    base = small_paper(**{"horizon": {"days": 3}, **fields})
    days = []
    model = V2GModel(base)
    model.on_day = lambda day: days.append(model.snapshot().to_bytes())
    whole = model.run().results
    assert len(days) == base.horizon.days - 1
    same_results(V2GModel(base).run().results, whole)
    for n in range(1, len(days) + 1):
        known = [Snapshot.from_bytes(content) for content in days[:n]]
        again = V2GModel(base, snapshots=known)
        assert again.minute == 1440.0 * n
        same_results(again.run().results, whole)


def test_sessions_of_several_days_go_on_with_who_is_plugged_in(tmp_path):
    rows = [
        ev("a", arrival=600, departure=2000),
        ev("b", arrival=1500, departure=2400, zone=2),
        ev("c", arrival=100, departure=4000, zone=3),
    ]
    path = write_sessions(tmp_path / "s.csv", rows)
    base = Scenario(strategy="coordinated", fleet={"sessions": str(path)}, horizon={"days": 3})
    days = []
    model = V2GModel(base)
    model.on_day = lambda day: days.append(model.snapshot())
    whole = model.run().results
    again = V2GModel(base, snapshots=days[:1]).run().results
    assert again.kpis == whole.kpis
    assert again.zone_minute.equals(whole.zone_minute)


def test_data_that_are_no_snapshot():
    with pytest.raises(SnapshotError):
        Snapshot.from_bytes(b"PAR1 and no more")
    base = small_paper(strategy="evms", horizon={"days": 2})
    days = []
    model = V2GModel(base)
    model.on_day = lambda day: days.append(model.snapshot())
    model.run()
    (day,) = days
    text = json.dumps(day.skeleton)
    for wrong in (
        text.replace("abm.fleet.fleet", "subprocess"),
        text.replace("abm.fleet.fleet", "abm.results.staging"),
        text.replace('"zone_charge_mw"', '"other"'),
    ):
        assert wrong != text
        with pytest.raises(SnapshotError):
            V2GModel(base, snapshots=[Snapshot(json.loads(wrong), day.arrays)])


def bytes_of(folder):
    """Tables, KPIs and scenario; the manifest says how long it took."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name != "manifest.json"
    }


def test_a_run_that_was_stopped_goes_on_by_day(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["run", "paper", "--no-figures", "--set", "horizon.days=4"]
    command += ["--set", "fleet.evs_per_zone=1"]
    assert main([*command, "--out", "whole"]) == 0
    add, added = StudyFolder.add, []

    def until_the_third(folder, name, content):
        if len(added) == 2:
            raise KeyboardInterrupt
        added.append(name)
        add(folder, name, content)

    monkeypatch.setattr(StudyFolder, "add", until_the_third)
    assert main([*command, "--out", "stopped"]) == 130
    said = capsys.readouterr().err
    assert "keeps 2 finished days; the same with --resume goes on from there" in said
    assert not (tmp_path / "stopped").exists()
    # Neither another run nor the same one begins over it without a word.
    assert main([*command, "--out", "stopped"]) == 2
    assert "unfinished" in capsys.readouterr().err
    assert main([*command[:-1], "fleet.evs_per_zone=2", "--out", "stopped", "--resume"]) == 2
    assert "fleet.evs_per_zone" in capsys.readouterr().err
    added.clear()
    again = []
    monkeypatch.setattr(StudyFolder, "add", lambda f, n, c: (again.append(n), add(f, n, c)))
    assert main([*command, "--out", "stopped", "--resume"]) == 0
    # Only the third day was kept anew: the fourth is the end.
    assert again == ["000003-000003"]
    assert bytes_of(tmp_path / "stopped") == bytes_of(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"stopped", "whole"}
    assert main(["verify", "stopped"]) == 0


def test_which_runs_are_kept_by_day():
    assert not kept_by_day(small_paper())
    assert kept_by_day(small_paper(horizon={"days": 2}))
    assert kept_by_day(Scenario(clock={"hours": 36}))


def test_figures_of_many_days_are_by_the_day():
    base = small_paper(strategy="evms", horizon={"days": 60}, clock={"start_date": "2025-01-01"})
    results = V2GModel(base.override({"fleet.evs_per_zone": 1})).run().results
    names = {name for name, _ in pictures(run_figures(results))}
    assert names == {f"figures/{name}.png" for name in ("demand", "hours", "voltage", "days")}
