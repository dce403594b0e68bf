"""Fits of measured sessions: what is put in comes out, and a scenario that takes it runs."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from abm import Scenario, V2GModel
from abm.cli import main
from abm.errors import InputError
from abm.sessions.fit import copula_of, fit_sessions
from abm.sessions.importing import read_file
from abm.sessions.shapes import chosen, fit_shapes

RNG = np.random.default_rng(7)


def stamp(seconds):
    return np.datetime_as_string(np.asarray(seconds, dtype="datetime64[s]"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Ten EVs for eight weeks: at 18:00 on weekdays, at noon on Sundays; long stays take more."""
    rows = []
    for ev in range(10):
        for day in range(56):
            weekend = day % 7 == 6
            if day % 7 == 5 or RNG.random() > 0.9:
                continue
            hour = RNG.normal(12.0 if weekend else 18.0, 1.0)
            lasts = RNG.uniform(2.0, 12.0)
            energy = max(1.5 * lasts + RNG.normal(0.0, 1.0), 0.5)
            begin = 1_704_067_200 + day * 86_400 + int(hour * 3600)  # Monday, 2024-01-01
            end = begin + int(lasts * 3600)
            rows.append(f"ev{ev},{stamp(begin)}Z,{stamp(end)}Z,{energy:.2f}")
    path = tmp_path_factory.mktemp("fit") / "ours.csv"
    path.write_text("\n".join(["ev,start,end,kwh", *rows, ""]))
    return path


@pytest.fixture(scope="module")
def fit(measured):
    return fit_sessions(read_file(measured), "ours.csv")


def test_kinds_of_day_and_how_often_an_ev_comes(fit):
    weekday, weekend = fit.days["weekday"], fit.days["weekend"]
    assert weekday.data[:, 0].mean() == pytest.approx(18.0, abs=0.2)
    assert weekend.data[:, 0].mean() == pytest.approx(12.0, abs=0.4)
    assert weekday.per_day == pytest.approx(0.9, abs=0.05)
    # One of two days of a weekend.
    assert weekend.per_day == pytest.approx(0.45, abs=0.06)
    assert fit.evs == 10


def test_what_is_drawn_is_like_what_was_measured(fit):
    drawn = fit.drawn_table().set_index(["day", "what"])
    for name in ("arrival_h", "duration_h", "energy_kwh"):
        row = drawn.loc[("weekday", name)]
        assert row["drawn"] == pytest.approx(row["measured"], rel=0.06)
        assert row["ks"] < 0.08
    pair = drawn.loc[("weekday", "rank correlation of duration_h and energy_kwh")]
    assert pair["measured"] > 0.9
    assert pair["drawn"] == pytest.approx(pair["measured"], abs=0.05)
    assert fit.drawn_kwh_per_ev_day == pytest.approx(fit.kwh_per_ev_day, rel=0.06)
    table = fit.table()
    assert table.groupby(["day", "quantity"])["chosen"].sum().eq(1).all()


@pytest.mark.parametrize(
    ("data", "shape", "check"),
    [
        (RNG.normal(20.0, 3.0, 4000), "normal", {"mean": 20.0, "sd": 3.0}),
        (RNG.lognormal(2.0, 0.5, 4000), "lognormal", {"mean": np.exp(2.125)}),
        (80.0 * RNG.beta(2.0, 5.0, 4000), "beta", {"mean": 80 * 2 / 7}),
    ],
)
def test_a_shape_is_found_again(data, shape, check):
    data = np.clip(data, 0.0, 80.0)
    shapes = fit_shapes(data, 0.0, 80.0)
    assert shapes[shape].ks < 0.03
    for name, value in check.items():
        assert getattr(shapes[shape].spread, name) == pytest.approx(value, rel=0.05)
    assert shapes[chosen(shapes)].ks <= shapes[shape].ks
    assert chosen(shapes, "empirical") == "empirical"
    assert shapes["empirical"].ks < 0.02


def test_a_mixture_is_found_again():
    data = np.concatenate([RNG.normal(8.0, 0.5, 3000), RNG.normal(18.0, 1.5, 1000)])
    shapes = fit_shapes(data, 0.0, 24.0)
    assert chosen(shapes) == "mixture"
    first, *_, last = shapes["mixture"].spread.parts
    assert first[0] == pytest.approx(0.75, abs=0.02)
    assert (first[1], last[1]) == pytest.approx((8.0, 18.0), abs=1.0)


def test_a_copula_has_even_steps_and_keeps_the_order():
    x = RNG.normal(size=203)
    data = np.column_stack([x, -x, RNG.normal(size=203)])
    copula = copula_of(data)
    share = np.diff(copula.below, prepend=0.0)
    for axis in range(3):
        even = np.bincount(copula.cell[:, axis], weights=share, minlength=copula.steps)
        assert even == pytest.approx(1.0 / copula.steps, abs=1e-9)
    u = copula.together(RNG.random(5000), RNG.random((5000, 3)))
    assert spearmanr(u[:, 0], u[:, 1]).statistic < -0.95
    assert abs(spearmanr(u[:, 0], u[:, 2]).statistic) < 0.2


@pytest.mark.parametrize("few", ["weekdays", "weekends"])
def test_too_few_of_a_kind_of_day_are_fitted_with_all_others(measured, tmp_path, few):
    found = read_file(measured)
    weekend = ~np.is_busday((found.arrival_s // 86_400).astype("datetime64[D]"))
    mine = weekend if few == "weekdays" else ~weekend
    lines = measured.read_text().splitlines()
    rows = [lines[at - 1] for at in found.lines[mine][:60]] + [lines[found.lines[~mine][0] - 1]]
    path = tmp_path / "few.csv"
    path.write_text("\n".join([lines[0], *rows, ""]))
    sessions = read_file(path)
    (kind,) = fit_sessions(sessions, "few.csv").days
    assert kind == "weekday"
    assert sessions.ledger.notes[-1].startswith(f"1 begin on {few}; less than 20")


def test_the_fragment_is_taken_by_extends_and_by_a_belief(measured, tmp_path, capsys):
    out = tmp_path / "fitted"
    command = ["sessions", "fit", str(measured), "--out", str(out), "--zones", "5"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "Drawn from the fit" in printed
    assert {p.name for p in out.iterdir()} == {
        "fitted.yaml", "dependence.csv", "fit.csv", "drawn.csv", "figures", "manifest.json",
    }  # fmt: skip
    assert main(["verify", str(out)]) == 0
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: fitted/fitted.yaml\nname: mine\nhorizon: {days: 2}\n")
    scenario = Scenario.load(mine)
    assert (scenario.fleet.evs_per_zone, scenario.by_energy) == (2, True)
    assert scenario.inputs.dependence.keys() == {"weekday", "weekend"}
    kpis = V2GModel(scenario.override(strategy="uncoordinated")).run().results.kpis
    assert kpis["evs"] == 30
    assert kpis["energy_short_kwh"] == pytest.approx(0.0, abs=1.0)
    assert main(command) == 2


def test_too_few_sessions_and_unknown_shapes(tmp_path, measured, capsys):
    few = tmp_path / "few.csv"
    few.write_text("\n".join(measured.read_text().splitlines()[:9]))
    with pytest.raises(InputError, match="at least 20 sessions"):
        fit_sessions(read_file(few), "few.csv")
    command = ["sessions", "fit", str(measured), "--out", str(tmp_path / "x"), "--shape", "gamma"]
    assert main([*command, "--zones", "0"]) == 2
    assert not (tmp_path / "x").exists()
    said = capsys.readouterr().err
    assert "--shape = gamma" in said
    assert "--zones = 0" in said
