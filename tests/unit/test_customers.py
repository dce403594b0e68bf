"""Whose load follows which profile: classes, buses, customers, pools, factors and heat pumps."""

import shutil
import sys
import warnings

import holidays
import numpy as np
import pandas as pd
import pytest
from demandlib import bdew
from helpers import small_paper

from abm import Scenario, V2GModel
from abm.errors import InputError
from abm.fleet.stays import stream
from abm.grid import build_feeder
from abm.grid.demand import base_load_of
from abm.report.terminal import print_kpis
from abm.results.recording import join_records
from abm.scenario.names import shipped_files

CASE33 = shipped_files("feeders")["case33bw"]
HOURS = np.arange(24) * 3600
DATED = {"start_date": "2024-01-15", "start": "0:00"}


def write(folder, name, *lines):
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def hours(head, *columns):
    """A file of 24 hours: the lines."""
    rows = zip(*columns, strict=True)
    return [f"hour,{head}"] + [f"{h}," + ",".join(map(str, row)) for h, row in enumerate(rows)]


def feeder_with(folder, column, value, name="mine"):
    """The paper's feeder with a column of buses.csv added or changed."""
    place = folder / name
    shutil.copytree(CASE33, place)
    lines = (place / "buses.csv").read_text(encoding="utf-8").splitlines()
    out, head = [], None
    for line in lines:
        cells = line.split(",")
        if line.startswith("#"):
            out.append(line)
        elif head is None:
            head = cells if column in cells else [*cells, column]
            out.append(",".join(head))
        else:
            row = dict(zip(head, [*cells, ""], strict=False))
            row[column] = str(value(row))
            out.append(",".join(row[key] for key in head))
    (place / "buses.csv").write_text("\n".join(out) + "\n", encoding="utf-8")
    return str(place)


def base(scenario, seeds=()):
    return base_load_of(scenario, build_feeder(scenario.inputs.feeder), seeds)


def refused(**fields):
    with pytest.raises(InputError) as caught:
        Scenario(**fields)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("head", "fields", "field", "says"),
    [
        ("any [kW]", {"by": "bus"}, "profile", "is it in W for kW?"),
        ("any", {}, "profile", "is it in % or kW?"),
        ("any", {"customers": "mill,N18,38000"}, "customers", "is it in W for kW?"),
    ],
)
def test_a_load_in_another_unit_is_refused(tmp_path, head, fields, field, says):
    """38,000 kW at a bus, or 38 times the nominal load, on a feeder of 3.7 MW."""
    value = 38_000 if "kW" in head else 38
    profile = write(tmp_path, "load.csv", *hours(head, [value] * 24))
    if "customers" in fields:
        rows = ("customer,bus,p_kw", fields["customers"])
        fields = {"customers": write(tmp_path, "customers.csv", *rows)}
    scenario = Scenario(base_load={"profile": profile, **fields})
    with pytest.raises(InputError, match=r"mean load of at most \d+ times") as caught:
        base(scenario)
    (problem,) = caught.value.problems
    assert problem.field == f"base_load.{field}"
    assert says in problem.allowed


# --- ready sets, classes and columns --------------------------------------------------------------


def test_flat_is_the_nominal_load_for_any_class(tmp_path):
    place = feeder_with(tmp_path, "customer_class", lambda row: f"class of {row['bus']}")
    scenario = Scenario(grid={"feeder": place}, base_load={"profile": "flat"})
    feeder = build_feeder(scenario.inputs.feeder)
    load = base(scenario)
    assert (load.mean_p_mw(HOURS, 3600) == feeder.p_mw).all()
    assert (load.mean_q_mvar(HOURS, 3600) == feeder.q_mvar).all()
    (said,) = refused(grid={"feeder": place})[:1]
    assert "class of 1" in said
    assert "residential" in said


def test_a_class_may_follow_a_column_of_another_name(tmp_path):
    place = feeder_with(
        tmp_path, "customer_class", lambda row: row["customer_class"].replace("resi", "Resi")
    )
    names = {"Residential": "residential"}
    load = {"class_profiles": names}
    renamed = base(Scenario(grid={"feeder": place}, base_load=load))
    assert (renamed.mean_p_mw(HOURS, 3600) == base(Scenario()).mean_p_mw(HOURS, 3600)).all()
    said = refused(
        grid={"feeder": place}, base_load={"class_profiles": {"Residential": "residental"}}
    )
    assert any("residental" in text and "did you mean 'residential'?" in text for text in said), (
        said
    )


def test_growth_is_by_class_and_by_year():
    load = {
        "growth": {"residential": 2.0, "any": 1.5},
        "growth_per_year": {"industrial": 0.1},
        "growth_years": 3.0,
    }
    grown, plain = (base(Scenario(**fields)) for fields in ({"base_load": load}, {}))
    feeder = build_feeder(Scenario().inputs.feeder)
    factor = {"residential": 2.0, "commercial": 1.5, "industrial": 1.5 * 1.1**3}
    wanted = np.array([factor[feeder.class_names[k]] for k in feeder.bus_class])
    assert grown.mean_p_mw(HOURS, 3600) == pytest.approx(wanted * plain.mean_p_mw(HOURS, 3600))
    assert any("a class of the feeder" in t for t in refused(base_load={"growth": {"homes": 2.0}}))
    one = Scenario().override({"base_load.growth.residential": 2.0})
    assert one.base_load.growth == {"residential": 2.0}
    factor = "a number at least 0 and at most 1000"
    for bad, said in (
        ({"growth": {"residential": "x"}}, f'growth.residential = "x": {factor}'),
        ({"growth": 2.0}, f"growth = 2.0: a mapping of names, each entry {factor}"),
        ({"class_profiles": 1}, "class_profiles = 1: a mapping of names, each entry text"),
        ({"variety": {"classes": 1}}, "classes = 1: a list, each entry text, or null"),
    ):
        (told,) = refused(base_load=bad)
        assert said in told
    with pytest.raises(InputError, match="residential is a value"):
        Scenario().override({"base_load.growth.residential.now": 2.0})


@pytest.mark.parametrize("singly", [False, True])
def test_classes_that_no_customer_has_are_refused_wherever_they_are_named(tmp_path, singly):
    load = {
        "growth": {"homes": 2.0, "any": 1.5},
        "growth_per_year": {"homs": 0.1},
        "variety": {"kind": "lognormal", "classes": ["residental", "flats"]},
    }
    if singly:
        rows = "bus,customer_class,p_kw,profile", "N2,flats,1,residential"
        load["customers"] = write(tmp_path, "c.csv", *rows)
    said = refused(base_load=load, heat_pumps={"classes": ["residental", "commercial"]})
    wanted = ["growth.homes: ", "growth_per_year.homs: ", "variety.classes = residental"]
    wanted += [] if singly else ["variety.classes = flats"]
    wanted += ["heat_pumps.classes = residental"]
    assert len(said) == len(wanted)
    assert all(name in text for name, text in zip(wanted, said, strict=True))


def test_by_bus_in_kw_by_number_or_name_and_with_the_power_factor_of_the_bus(tmp_path):
    names = {"2": "Mill Lane"}
    place = feeder_with(tmp_path, "name", lambda row: names.get(row["bus"], ""))
    series = [np.linspace(10 * k, 10 * k + 23, 24) for k in (1, 2, 3)]
    file = write(tmp_path, "buses.csv", "# unit: kW", *hours("Mill Lane,N3,any", *series))
    scenario = Scenario(grid={"feeder": place}, base_load={"profile": file, "by": "bus"})
    load, feeder = base(scenario), build_feeder(scenario.inputs.feeder)
    p, q = (mean(HOURS, 3600)[:, 0] * 1e3 for mean in (load.mean_p_mw, load.mean_q_mvar))
    order = scenario.calendar.clock_hours
    for bus, own in ((1, series[0]), (2, series[1]), (9, series[2])):
        assert p[:, bus] == pytest.approx(own[order])
        assert q[:, bus] == pytest.approx(own[order] * feeder.q_mvar[bus] / feeder.p_mw[bus])
    # Energy of the day, exactly what the file says of 2, 3 and the 30 others with load.
    assert p.sum() == pytest.approx(series[0].sum() + series[1].sum() + 30 * series[2].sum())
    assert p[:, 0].max() == 0.0
    with_pf = base(scenario.override({"base_load.power_factor": 0.8})).mean_q_mvar(HOURS, 3600)
    assert with_pf[:, 0] == pytest.approx(0.75 * p / 1e3)


def test_by_bus_says_what_is_missing_and_unknown(tmp_path):
    file = write(tmp_path, "buses.csv", *hours("N2,N77", np.ones(24), np.ones(24)))
    (said,) = refused(base_load={"profile": file, "by": "bus"})
    assert "N77" in said
    assert "a bus of the feeder" in said
    file = write(tmp_path, "buses.csv", *hours("N2", np.ones(24)))
    scenario = Scenario(base_load={"profile": file, "by": "bus"})
    with pytest.raises(InputError, match="a column for each bus with load"):
        base(scenario)


def test_kw_by_class_are_those_of_a_customer(tmp_path):
    columns = hours("residential,industrial,commercial", *np.full((3, 24), [[0.5], [20.0], [4.0]]))
    file = write(tmp_path, "kw.csv", "# unit: kW", *columns)
    (said,) = refused(base_load={"profile": file})
    assert "customers for every bus" in said
    place = feeder_with(tmp_path, "customers", lambda row: int(row["bus"]))
    scenario = Scenario(grid={"feeder": place}, base_load={"profile": file})
    p = base(scenario).mean_p_mw(HOURS, 3600)[0, 0] * 1e3
    # N2 has two homes, N22 22 industrial customers.
    assert p[[1, 21]] == pytest.approx([2 * 0.5, 22 * 20.0])


def test_reactive_load_with_a_series_of_its_own(tmp_path):
    kw, kvar = np.arange(24.0) + 50.0, np.arange(24.0)[::-1] - 5.0
    file = write(tmp_path, "kw.csv", "# unit: kW", *hours("any,N2", kw, 2 * kw))
    own = write(tmp_path, "kvar.csv", "# unit: kvar", *hours("N2,any", 3 * kvar, kvar))
    fields = {"profile": file, "by": "bus", "reactive": own}
    scenario = Scenario(base_load=fields)
    q = base(scenario).mean_q_mvar(HOURS, 3600)[:, 0] * 1e3
    order = scenario.calendar.clock_hours
    assert q[:, 1] == pytest.approx(3 * kvar[order])
    assert q[:, 7] == pytest.approx(kvar[order])
    factors = write(tmp_path, "q.csv", *hours("residential,industrial,commercial", *[kvar] * 3))
    scenario = Scenario(base_load={"reactive": factors})
    q = base(scenario).mean_q_mvar(HOURS, 3600)[:, 0]
    wanted = kvar[order][:, None] * build_feeder(scenario.inputs.feeder).q_mvar
    assert q == pytest.approx(wanted)
    said = refused(base_load={**fields, "reactive": factors})
    assert any("kvar, since the load profile is in kW" in text for text in said)
    assert any("N2" in text and "missing column" in text for text in said)


# --- customers one by one -------------------------------------------------------------------------


def test_customers_by_power_by_energy_and_by_meter(tmp_path):
    day = np.arange(1.0, 25.0)
    columns = hours("residential,industrial,commercial", day, np.ones(24), 2.0 * np.ones(24))
    profile = write(tmp_path, "p.csv", *columns)
    customers = write(
        tmp_path,
        "customers.csv",
        "customer,bus,customer_class,p_kw,energy_kwh,profile,power_factor",
        "a,N5,,2.0,,,",
        "b,4,residential,,4380,,0.8",
        "c,N5,shop,3.0,,commercial,",
    )
    scenario = Scenario(base_load={"profile": profile, "customers": customers})
    load = base(scenario)
    p = load.mean_p_mw(HOURS, 3600)[:, 0] * 1e3
    of_clock = day[scenario.calendar.clock_hours]
    assert p[:, 4] == pytest.approx(2.0 * of_clock + 3.0 * 2.0)
    # 4380 kWh in a year are 12 kWh in each day of this profile.
    assert p[:, 3].sum() == pytest.approx(12.0, rel=1e-12)
    assert p.sum() == pytest.approx(p[:, 3:5].sum())
    q = load.mean_q_mvar(HOURS, 3600)[:, 0] * 1e3
    assert q[:, 3] == pytest.approx(0.75 * p[:, 3])
    feeder = build_feeder(scenario.inputs.feeder)
    assert q[:, 4] == pytest.approx(p[:, 4] * feeder.q_mvar[4] / feeder.p_mw[4])


def test_customers_with_meters_and_a_year_s_energy(tmp_path):
    times = pd.date_range("2023-01-01", periods=8760 * 2, freq="30min")
    kwh = np.random.default_rng(3).random((len(times), 2))
    frame = pd.DataFrame(kwh, columns=["m1 [kWh]", "m2 [kWh]"])
    frame.insert(0, "time", times)
    meters = tmp_path / "meters.parquet"
    frame.to_parquet(meters)
    customers = write(tmp_path, "c.csv", "bus,profile", "N2,m1", "N3,m2", "N3,m1")
    scenario = Scenario(
        clock={"start_date": "2023-01-01", "start": "0:00"},
        horizon={"days": 365},
        fleet={"evs_per_zone": 0},
        base_load={"profile": str(meters), "customers": customers},
    )
    energy = base(scenario).mean_p_mw(np.arange(8760) * 3600, 3600)[:, 0].sum(axis=0) * 1e3
    assert energy[1] == pytest.approx(kwh[:, 0].sum(), rel=1e-12)
    assert energy[2] == pytest.approx(kwh.sum(), rel=1e-12)


def test_customers_of_the_feeder_s_folder_and_all_that_is_wrong(tmp_path):
    place = tmp_path / "mine"
    shutil.copytree(CASE33, place)
    write(place, "customers.csv", "bus,p_kw", "N2,1.5")
    load = base(Scenario(grid={"feeder": str(place)}, base_load={"profile": "flat"}))
    assert load.mean_mw(HOURS, 3600) == pytest.approx(np.full((24, 1), 1.5e-3))
    wrong = write(
        tmp_path,
        "c.csv",
        "bus,customer_class,p_kw,energy_kwh,profile",
        "N99,residential,1,,",
        "N2,homes,1,,",
        "N2,,,,",
        "N2,,1,10,",
        "N2,,1,,meter 7",
    )
    said = refused(base_load={"customers": wrong})
    wanted = ("N99", "homes", "p_kw or energy_kwh", "not both", "meter 7")
    assert [line for line in wanted if not any(line in text for text in said)] == []
    assert all(f"c.csv:{line}" in text for line, text in zip(range(2, 7), said, strict=True))


# --- variety --------------------------------------------------------------------------------------


def pool_of(tmp_path, *, unit="kW"):
    profiles = np.arange(24)[:, None] * 0.1 + np.array([1.0, 2.0, 6.0])
    return profiles, write(tmp_path, "pool.csv", f"# unit: {unit}", *hours("a,b,c", *profiles.T))


@pytest.mark.parametrize("level", ["as_is", "class"])
def test_a_pool_by_hand(tmp_path, level):
    profiles, pool = pool_of(tmp_path)
    variety = {"kind": "pool", "pool": pool, "level": level, "classes": ["residential"]}
    variety["kw_per_customer"] = 30.0
    scenario = Scenario(base_load={"variety": variety})
    feeder, plain = build_feeder(scenario.inputs.feeder), base(Scenario())
    home = feeder.class_names.index("residential")
    homes = np.flatnonzero((feeder.bus_class == home) & (feeder.p_mw > 0))
    count = np.maximum(np.floor(feeder.p_mw[homes] * 1e3 / 30.0 + 0.5), 1).astype(int)
    seeds = (5, 6)
    found = base(scenario, seeds).mean_p_mw(HOURS, 3600)
    others = np.setdiff1d(np.arange(33), homes)
    own = plain.mean_p_mw(HOURS, 3600)
    order = scenario.calendar.clock_hours
    for k, seed in enumerate(seeds):
        assert (found[:, k, others] == own[:, 0, others]).all()
        drawn = np.floor(stream(seed, "customers").random(count.sum()) * 3).astype(int)
        at = 0
        for bus, n in zip(homes, count, strict=True):
            total = profiles[:, drawn[at : at + n]].sum(axis=1)[order]
            at += n
            if level == "class":
                total *= own[:, 0, bus].mean() * 1e3 / n / profiles.mean()
            assert found[:, k, bus] * 1e3 == pytest.approx(total, rel=1e-12)
    # What can be expected is the mean of the pool.
    expected = base(scenario).mean_mw(HOURS, 3600)
    average = base(scenario.override({"base_load.variety.kind": "average"}), seeds)
    assert (average.mean_mw(HOURS, 3600) == expected).all()
    many = base(scenario, range(400)).mean_mw(HOURS, 3600)
    assert many.mean(axis=1) == pytest.approx(expected[:, 0], rel=0.02)


def test_lognormal_factors_have_the_mean_spread_and_correlation_that_are_asked_for():
    variety = {"kind": "lognormal", "spread": 0.8, "correlation": 0.4, "kw_per_customer": 1e6}
    scenario = Scenario(base_load={"variety": variety})
    n = 6000
    factor = base(scenario, range(n)).groups[0].factor[0]
    two = factor[:, 1:3]  # a customer at each bus with load
    assert two.mean() == pytest.approx(1.0, abs=4 * 0.8 / np.sqrt(n))
    assert two.std(axis=0) == pytest.approx([0.8, 0.8], rel=0.08)
    assert np.corrcoef(two.T)[0, 1] == pytest.approx(0.4, abs=0.05)
    # Of a hundred customers with nothing in common a tenth of the spread is left.
    variety |= {"correlation": 0.0, "kw_per_customer": 1.0}
    of_100 = base(Scenario(base_load={"variety": variety}), range(2000)).groups[0].factor[0, :, 1]
    assert of_100.std() == pytest.approx(0.08, rel=0.08)


@pytest.mark.parametrize("every", ["horizon", "day", "hour"])
def test_day_five_is_the_same_however_many_days(every):
    variety = {"kind": "lognormal", "every": every}
    few, many = (
        base(Scenario(horizon={"days": days}, base_load={"variety": variety}), (7,))
        for days in (2, 4)
    )
    hours_s = np.arange(48) * 3600
    one, other = (load.mean_p_mw(hours_s, 3600) for load in (few, many))
    assert (one == other).all()
    days = one.reshape(2, 24, 33)
    ratio = days[1] / np.where(days[0] > 0, days[0], 1.0)
    same_day = np.allclose(ratio[:, 1:], ratio[:1, 1:])
    assert same_day == (every != "hour")
    assert np.allclose(ratio[:, 1:], 1.0) == (every == "horizon")
    # The total of the feeder is that of its buses.
    assert few.mean_mw(hours_s, 3600)[:, 0] == pytest.approx(one[:, 0].sum(axis=1))


VARIED = (
    {"kind": "pool", "classes": ["residential"]},
    {"kind": "lognormal", "spread": 0.5, "every": "hour"},
)


@pytest.mark.parametrize("variety", VARIED, ids=lambda v: v["kind"])
def test_a_replication_is_the_same_alone_in_a_batch_and_under_any_strategy(variety):
    scenario = small_paper(base_load={"variety": variety})
    batch = V2GModel(scenario, seed=[3, 4]).run().results
    alone = [V2GModel(scenario, seed=[seed]).run().results for seed in (3, 4)]
    joined = join_records([result.record for result in alone])
    other = V2GModel(scenario.override(strategy="coordinated"), seed=[3, 4])
    minutes = np.arange(0, 86400, 60)
    assert (joined.base.mean_p_mw(minutes, 60) == batch.record.base.mean_p_mw(minutes, 60)).all()
    assert (other.grid.base_mw == batch.record.base_mw).all()
    assert not np.allclose(batch.record.base_mw[:, 0], batch.record.base_mw[:, 1])
    for k, result in enumerate(alone):
        one = batch.of(k)
        assert one.kpis == result.kpis
        assert (one.record.base_mw == joined.only(k).base_mw).all()


def test_an_aggregator_forecasts_what_can_be_expected():
    scenario = Scenario(base_load={"variety": VARIED[1]})
    model = V2GModel(scenario, seed=[3, 4])
    expected = V2GModel(Scenario()).grid.base_mw
    assert (model.grid.outlook.day_ahead_mw == expected).all()
    assert (model.grid.outlook.metered_mw(5) == model.grid.base_mw[5]).all()
    assert not np.allclose(model.grid.base_mw, expected)


@pytest.mark.parametrize("strategy", ["coordinated", "mpc"])
def test_who_plans_goes_on_working(strategy):
    variety = {"kind": "pool", "classes": ["residential"]}
    fields = {"strategy": strategy, "requirement": {"kind": "energy_balanced"}}
    results = V2GModel(small_paper(base_load={"variety": variety}, **fields)).run().results
    assert results.kpis["evs_short"] == 0
    assert results.kpis["ev_charged_mwh"] > 0


def test_the_base_of_a_drawn_feeder_is_to_the_last_bit_the_same_in_a_batch():
    # A mean over the minutes of an hour, of profiles by the minute or the quarter.
    scenario = Scenario.load("hosting_lv").override({"clock.step_s": 300})
    batch = V2GModel(scenario, seed=[3, 4, 5]).grid.base_mw
    alone = [V2GModel(scenario, seed=seed).grid.base_mw for seed in (3, 4, 5)]
    assert (batch == np.concatenate(alone, axis=1)).all()


def test_what_cannot_be_drawn():
    said = refused(base_load={"variety": {"kind": "pool", "every": "hour", "classes": ["homes"]}})
    assert any("a profile of the pool is of a whole day" in text for text in said)
    assert any("a class of the feeder" in text for text in said)


# --- the calendar, and heat -----------------------------------------------------------------------


def test_bdew_is_what_demandlib_says():
    clock = {"start_date": "2024-12-30", "start": "12:00", "holidays": "DE"}
    scenario = Scenario(clock=clock, horizon={"days": 4}, base_load={"profile": "demandlib:bdew"})
    profile = scenario.inputs.profile
    with warnings.catch_warnings():
        # demandlib turns them into errors for the whole process.
        warnings.simplefilter("ignore")
        frames = []
        for year in (2024, 2025):
            free = list(holidays.country_holidays("DE", years=[year]))
            frame = bdew.ElecSlp(year, holidays=free).get_profiles()
            frames.append(frame / frame.max())
    both = pd.concat(frames).loc["2024-12-30 12:00":"2025-01-03 11:45"]
    found = profile.series.by_step
    for name, column in {"residential": "h0_dyn", "commercial": "g2", "l1": "l1"}.items():
        assert found[:, profile.classes.index(name)] == pytest.approx(both[column].to_numpy())
    assert any("clock.start_date" in t for t in refused(base_load={"profile": "demandlib:bdew"}))
    assert any("demandlib:bdew" in t for t in refused(base_load={"profile": "demandlib:vdew"}))


def test_simbench_is_what_it_says_with_reactive_power_of_its_own(tmp_path):
    import simbench

    own = simbench.get_all_simbench_profiles(0)
    place = feeder_with(tmp_path, "customer_class", lambda row: "H0-A")
    code = "simbench:1-LV-rural1--0-sw"
    clock = {"start_date": "2023-02-28", "start": "12:00"}
    fields = {"grid": {"feeder": place}, "base_load": {"profile": code}}
    scenario = Scenario(clock=clock, **fields)
    load, feeder = base(scenario), build_feeder(scenario.inputs.feeder)
    # From noon of 28 February on, and with 1 March after midnight.
    rows = [*range(58 * 96 + 48, 59 * 96), *range(60 * 96, 60 * 96 + 48)]
    times = own["load"]["time"].iloc[[rows[0], rows[48]]].tolist()
    assert times == ["28.02.2016 12:00", "01.03.2016 00:00"]
    quarters = np.arange(96) * 900
    for mean, nominal, end in (
        (load.mean_p_mw, feeder.p_mw, "pload"),
        (load.mean_q_mvar, feeder.q_mvar, "qload"),
    ):
        values = own["load"][f"H0-A_{end}"].to_numpy()[rows]
        assert mean(quarters, 900)[:, 0] == pytest.approx(values[:, None] * nominal)
    homes = [name for name in own["load"].columns if name.startswith("H0-") and "pload" in name]
    profile = scenario.inputs.profile
    mean_of_homes = own["load"][homes].to_numpy()[rows].mean(axis=1)
    found = profile.series.by_step[:, profile.classes.index("residential")]
    assert found == pytest.approx(mean_of_homes)
    assert any(
        "a SimBench code" in t for t in refused(clock=clock, base_load={"profile": "simbench:x"})
    )


def test_what_a_package_makes_says_which_one_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "demandlib.bdew", None)
    monkeypatch.setitem(sys.modules, "simbench", None)
    clock = {"start_date": "1999-03-01"}
    for name, profile in (("demandlib", "demandlib:bdew"), ("simbench", "simbench:1-LV--2-sw")):
        (said,) = refused(clock=clock, base_load={"profile": profile})
        assert f'pip install "evenfall[{name}]"' in said


def test_heat_pumps_by_demandlib_and_by_hand(tmp_path, capsys):
    index = pd.date_range("2024-01-01", periods=8784, freq="h")
    outside = (
        9.0 - 9.0 * np.cos(2 * np.pi * np.arange(8784) / 8784) + 3 * np.sin(np.arange(8784) / 3.8)
    )
    pd.DataFrame({"time": index, "temperature": outside}).to_parquet(tmp_path / "t.parquet")
    fields = {
        "clock": {"start_date": "2024-02-10", "start": "12:00"},
        "horizon": {"days": 2},
        "weather": {"temperature": str(tmp_path / "t.parquet")},
        "heat_pumps": {"share": 1.0, "classes": ["residential"], "annual_heat_kwh": 15000.0},
    }
    scenario = Scenario(**fields)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heat = bdew.HeatBuilding(
            index,
            temperature=pd.Series(outside, index=index),
            shlp_type="EFH",
            building_class=3,
            wind_class=0,
            annual_heat_demand=15000.0,
        ).get_bdew_profile()
    rows = slice(40 * 24 + 12, 42 * 24 + 12)
    lift = np.clip(40.0 - outside - outside, 15.0, 60.0)[rows]
    cop = 0.85 * (6.81 - 0.121 * lift + 0.00063 * lift**2)
    wanted = heat.to_numpy()[rows] / cop
    found = scenario.inputs.heat_pump.by_step[:, 0]
    assert found == pytest.approx(wanted, rel=1e-9)
    # A customer for each 2 kW of nominal load, and the buses of homes have 1,050 kW in all.
    load, feeder = base(scenario), build_feeder(scenario.inputs.feeder)
    home = feeder.bus_class == feeder.class_names.index("residential")
    pumps = np.floor(feeder.p_mw[home] * 1e3 / 2.0 + 0.5).sum()
    per_hour = load.group("heat_pumps").mean_mw(np.arange(48) * 3600, 3600)[:, 0]
    assert per_hour == pytest.approx(pumps * wanted / 1e3)
    half = scenario.override({"heat_pumps.share": 0.5, "fleet.evs_per_zone": 2})
    results = V2GModel(half, seed=[1, 2]).run().results
    drawn = results.record.base.group("heat_pumps").groups[0].p_mw.sum(axis=1) * 1e3
    assert (np.abs(drawn - pumps / 2) < 5 * np.sqrt(pumps / 4)).all()
    assert drawn[0] != drawn[1]
    assert results.kpis["heat_pump_mwh"] == pytest.approx(drawn.sum() * wanted.sum() / 1e3)
    print_kpis("half", results.kpis)
    print_kpis("none", results.kpis | {"heat_pump_mwh": 0.0})
    assert capsys.readouterr().out.count("Heat pumps") == 1
    said = refused(heat_pumps={"share": 0.5})
    assert len(said) == 3
    del fields["heat_pumps"]["annual_heat_kwh"]
    fields["heat_pumps"]["heat_kwh_per_day"] = 50.0
    by_day = Scenario(**fields).inputs.heat_pump.by_step[:, 0]
    assert by_day / found == pytest.approx(np.full(48, (by_day / found)[0]))


def test_evs_go_by_the_customers_of_the_table(tmp_path):
    rows = ["N2,1.0"] * 3 + [f"N{bus},1.0" for bus in range(3, 16)] + ["N1,1.0"]
    customers = write(tmp_path, "c.csv", "bus,p_kw", *rows)
    scenario = Scenario(
        base_load={"profile": "flat", "customers": customers}, fleet={"evs_per_customer": 2.0}
    )
    zones = V2GModel(scenario).fleet.zone
    assert np.bincount(zones).tolist() == [2, 6, *[2] * 13]
