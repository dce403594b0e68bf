"""Tables and figure of docs/rules.md: `python docs/figures/rules.py`, a few minutes.

Twenty seeds of `rules` under each rule, the bound on the first four; the same owners, cars and
stays under all of them. Then cars that insist on something.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ROOT, few, load, options, output
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from abm import Scenario, V2GModel
from abm.equations import FloatArray
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.report.figures import STYLE, WIDE_IN, save
from abm.report.look import look_of
from abm.results import Results
from abm.study import bound
from abm.study.statistics import describe

SEEDS = few(range(1, 21), 2)
BOUND_SEEDS = few(SEEDS[:4], 1)
BY_PRICE = {"rule": "by_price", "admission": "by_price"}
MODULE_3 = {"rule": "by_price", "admission": "dimming"}
EVERY_CASE: dict[str, dict[str, Any]] = {
    "`uncoordinated`": {"strategy": "uncoordinated"},
    "`dimming`": {"strategy": "dimming"},
    "`dimming`, owners by price": {"strategy": MODULE_3, "dimming.after": "by_price"},
    "`throttling`": {"strategy": "throttling"},
    "`off_peak`": {"strategy": "off_peak"},
    "`off_peak`, delay up to 30 min": {"strategy": "off_peak", "off_peak.delay_s": 1800.0},
    "`off_peak`, half of the owners": {"strategy": "off_peak", "owners.timed": 0.5},
    "`by_price`": {"strategy": BY_PRICE},
    "`by_price`, half of the owners": {"strategy": BY_PRICE, "owners.timed": 0.5},
    "`operating_envelopes`, equal": {"strategy": "operating_envelopes"},
    "`operating_envelopes`, least cut": {
        "strategy": "operating_envelopes",
        "operating_envelopes.sharing": "least_cut",
    },
    "`operating_envelopes`, equal, chargers go down to 0": {
        "strategy": "operating_envelopes",
        "ev.min_charge_kw": 0.0,
    },
    "`coordinated`": {"strategy": "coordinated"},
}
CASES = dict(few(EVERY_CASE.items()))
KPIS = {
    "peak_15min_mw": ("peak of 15 min, MW", 2),
    "overload_hours": ("hours above 4.5 MW", 2),
    "min_vm_pu": ("lowest voltage, p.u.", 3),
    "energy_short_kwh": ("energy missing, kWh", 1),
    "net_cost_usd": ("net cost, $", 0),
    "fairness_unmet_evs": ("fairness of what is missing", 2),
    "mode_switches_per_ev": ("switches per EV", 2),
}
# On the street of `rules_street`, with the KPIs of it.
EVERY_STREET: dict[str, dict[str, Any]] = {
    "`uncoordinated`": {"strategy": "uncoordinated"},
    "`dimming`": {"strategy": "dimming"},
    "`throttling`": {"strategy": "throttling"},
    "`off_peak`": {"strategy": "off_peak"},
    "`by_price`": {"strategy": BY_PRICE},
    "`operating_envelopes`, equal": {"strategy": "operating_envelopes"},
    "`operating_envelopes`, least cut": {
        "strategy": "operating_envelopes",
        "operating_envelopes.sharing": "least_cut",
    },
    "`operating_envelopes`, equal, margin 0.2": {
        "strategy": "operating_envelopes",
        "operating_envelopes.margin": 0.2,
    },
    "`coordinated`": {"strategy": "coordinated"},
}
STREET = dict(few(EVERY_STREET.items()))
STREET_KPIS = {
    "peak_15min_mw": ("peak of 15 min, kW", 0, 1e3),
    "min_vm_pu": ("lowest voltage, p.u.", 3, 1.0),
    "homes_below": ("homes below 0.94", 1, 1.0),
    "max_vuf_percent": ("unbalance, %", 2, 1.0),
    "energy_short_kwh": ("energy missing, kWh", 1, 1.0),
    "net_cost_usd": ("net cost, $", 0, 1.0),
    "mode_switches_per_ev": ("switches per EV", 2, 1.0),
}
EVERY_CAR: dict[str, dict[str, Any]] = {
    "as they are told": {},
    "3 in 10 cannot pause": {"ev.cars.cannot_pause": 0.3},
    "3 in 10 do not wake up": {"ev.cars.does_not_wake": 0.3},
    "half need 6 A": {"ev.cars.needs_six_amp": 0.5},
}
CARS = dict(few(EVERY_CAR.items()))
# Six amperes are a limit where chargers are set to powers; without ev.min_charge_kw of its own.
CONTROLS: dict[str, dict[str, Any]] = {
    "`coordinated`": {"strategy": "coordinated"},
    "`operating_envelopes`, equal": {"strategy": "operating_envelopes"},
    "`dimming` to 3 kW": {"strategy": "dimming", "dimming.limit_kw": 3.0},
}
TABLE = load("rules").inputs.feeder
assert TABLE.values is not None
R_OHM = TABLE.values.r_ohm[~TABLE.is_open]
DRAWN = (
    "`uncoordinated`",
    "`dimming`",
    "`throttling`",
    "`off_peak`",
    "`by_price`",
    "`operating_envelopes`, equal",
    "`coordinated`",
)
LINES = {name: look_of(name.partition(",")[0].strip("`")) for name in DRAWN if name in CASES}


def study(changes: dict[str, Any]) -> Scenario:
    """The scenario with some changes."""
    return load("rules", **changes)


def run(changes: dict[str, Any]) -> Results:
    """All seeds under a rule."""
    return V2GModel(study(changes), seed=SEEDS).run().results


def cell(values: FloatArray, digits: int) -> str:
    """Mean with the half-width of its 95 % interval."""
    found = describe(values.astype(np.float64)[None, :])
    half = (found["ci95_high"] - found["ci95_low"])[0] / 2.0
    return f"{found['mean'][0]:.{digits}f} ± {half:.{digits}f}"


def row(name: str, columns: dict[str, Any]) -> str:
    """A row of the first table."""
    cells = [cell(np.asarray(columns[kpi]), digits) for kpi, (_, digits) in KPIS.items()]
    return f"| {name} | " + " | ".join(cells) + " |"


def later_h(found: Results, at_once: Results) -> FloatArray:
    """How much later a kWh comes than if all charge at once, by third of the zones, (3, K) [h].

    Nearest zones first, by the resistance of the way from the substation.
    """
    feeder = found.record.feeder
    resistance = way_ohm(feeder.line_from, feeder.line_to, R_OHM, feeder.n_bus)
    thirds = np.array_split(np.argsort(resistance[feeder.zone_bus], kind="stable"), 3)
    hours = np.arange(found.record.n_hours)[:, None] + 0.5

    def mean_h(results: Results) -> list[FloatArray]:
        charge = results.record.zone_charge_mw
        by_third = [charge[:, :, zones].sum(axis=2) for zones in thirds]
        return [(hours * mw).sum(axis=0) / mw.sum(axis=0) for mw in by_third]

    return np.array(mean_h(found)) - np.array(mean_h(at_once))


def later_on_street_h(found: Results, at_once: Results) -> FloatArray:
    """The same by third of the homes, nearest to the transformer first, (3, K) [h]."""
    feeder = found.record.feeder
    assert isinstance(feeder, ThreePhaseFeeder)
    phases = feeder.phases
    there = np.maximum(phases.line_phases.sum(axis=1), 1)
    ohm = np.trace(phases.line_z_ohm.real, axis1=1, axis2=2) / there
    begin = np.concatenate([phases.line_from, phases.transformer_from])
    end = np.concatenate([phases.line_to, phases.transformer_to])
    ohm = np.concatenate([ohm, np.zeros(len(phases.transformer))])
    # The source comes first.
    order = np.argsort(np.arange(len(phases.bus)) != phases.source_bus, kind="stable")
    place = np.argsort(order, kind="stable")
    resistance = way_ohm(place[begin], place[end], ohm, len(order))[place[phases.home_bus]]
    thirds = np.array_split(np.argsort(resistance, kind="stable"), 3)
    home = feeder.points.home

    def mean_h(results: Results) -> list[FloatArray]:
        mw = results.record.flow_point_mw
        hours = (np.arange(len(mw))[:, None] + 0.5) * results.record.n_hours / len(mw)
        by_third = [mw[:, :, np.isin(home, third)].sum(axis=2) for third in thirds]
        return [(hours * part).sum(axis=0) / part.sum(axis=0) for part in by_third]

    return np.array(mean_h(found)) - np.array(mean_h(at_once))


def street() -> None:
    """Print the table of the street, and how much later a kWh comes there."""
    print("\n| rule | " + " | ".join(label for label, _, _ in STREET_KPIS.values()) + " |")
    print("| --- |" + " ---: |" * len(STREET_KPIS))
    found = {}
    for name, changes in STREET.items():
        scenario = Scenario.load("rules_street").override(changes)
        found[name] = V2GModel(scenario, seed=SEEDS).run().results
        columns = found[name].kpi_columns
        cells = [
            cell(columns[kpi].astype(np.float64) * factor, digits)
            for kpi, (_, digits, factor) in STREET_KPIS.items()
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    optima = [
        bound.optimum(Scenario.load("rules_street").override(seed=seed)).results.kpis
        for seed in BOUND_SEEDS
    ]
    cells = [
        cell(np.array([kpis[kpi] for kpis in optima]) * factor, digits)
        for kpi, (_, digits, factor) in STREET_KPIS.items()
    ]
    print(f"| the bound, {len(BOUND_SEEDS)} seeds | " + " | ".join(cells) + " |")
    print("\n| rule | on the street a kWh comes later, h: near | middle | far |")
    print("| --- | ---: | ---: | ---: |")
    for name, results in found.items():
        later = later_on_street_h(results, found["`uncoordinated`"])
        print(f"| {name} | " + " | ".join(cell(third, 2) for third in later) + " |", flush=True)


def way_ohm(begin: Any, end: Any, ohm: FloatArray, n_bus: int) -> FloatArray:
    """Resistance from the substation, bus 0, to each bus of a radial feeder."""
    found = np.full(n_bus, np.inf)
    found[0] = 0.0
    for _ in range(n_bus):
        found[end] = np.minimum(found[end], found[begin] + ohm)
        found[begin] = np.minimum(found[begin], found[end] + ohm)
    return found


def of_bound() -> dict[str, FloatArray]:
    """KPIs of the optimum of some seeds."""
    found = [bound.optimum(study({}).override(seed=seed)).results.kpis for seed in BOUND_SEEDS]
    return {name: np.array([kpis[name] for kpis in found]) for name in KPIS}


def figure(found: dict[str, Results]) -> None:
    """Draw the demand of the first seed, and peak against lowest voltage of all."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDE_IN, 3.1), layout="constrained")
        FigureCanvasAgg(fig)
        day, voltage = fig.subplots(1, 2, width_ratios=(1.6, 1))
        first = found["`uncoordinated`"]
        base = first.record.base_demand_mw(15)[:, 0]
        hours = np.arange(len(base)) / 4.0
        day.fill_between(hours, base, step="post", color="0.9", lw=0, label="without EVs")
        for name, look in LINES.items():
            demand = found[name].record.demand_mw(15)[:, 0]
            label = name.replace("`", "")
            day.step(hours, demand, where="post", lw=1.1, label=label, **look.line)
        limit = study({}).grid.demand_limit_mw
        day.axhline(limit, color="0.3", lw=0.8, ls="--")
        day.text(0.2, limit + 0.1, "limit of the operator", fontsize=6, color="0.3")
        ticks = np.arange(0, 25, 3)
        day.set_xticks(ticks, [f"{(first.clock_hours[0] + t) % 24}:00" for t in ticks])
        day.set_xlim(0, 24)
        day.set_ylim(0, None)
        day.set_ylabel("Mean power of 15 min (MW)")
        day.set_xlabel("Clock time")
        for name, look in LINES.items():
            columns = found[name].kpi_columns
            peak, lowest = columns["peak_15min_mw"], columns["min_vm_pu"]
            voltage.plot(peak, lowest, look.marker, ms=2.5, color=look.color)
        voltage.axhline(0.9, color="0.3", lw=0.8, ls="--")
        voltage.set_xlabel("Peak of 15 min (MW)")
        voltage.set_ylabel("Lowest voltage, 15 min (p.u.)")
        handles, labels = day.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=4)
        fig.suptitle(
            f"rules: 600 EVs on 11 kW; demand of seed 1, peak and voltage of {len(SEEDS)} seeds",
            fontsize=8,
        )
    save(fig, output(ROOT / "docs" / "img") / "rules.png")


if __name__ == "__main__":
    options(__doc__).parse_args()
    everything = {name: run(changes) for name, changes in CASES.items()}
    print("| rule | " + " | ".join(label for label, _ in KPIS.values()) + " |")
    print("| --- |" + " ---: |" * len(KPIS))
    for name, results in everything.items():
        print(row(name, results.kpi_columns))
    print(row(f"the bound, {len(BOUND_SEEDS)} seeds", of_bound()), flush=True)
    figure(everything)
    print("\n| rule | a kWh comes later than at once, h: near | middle | far |")
    print("| --- | ---: | ---: | ---: |")
    for name, results in everything.items():
        later = later_h(results, everything["`uncoordinated`"])
        print(f"| {name} | " + " | ".join(cell(third, 2) for third in later) + " |")
    print("\n| cars | control | peak of 15 min, MW | EVs short | energy missing, kWh |")
    print("| --- | --- | ---: | ---: | ---: |")
    for cars, insists in CARS.items():
        for control, how in CONTROLS.items():
            columns = run({"ev.min_charge_kw": 0.0, **insists, **how}).kpi_columns
            cells = [
                cell(columns[kpi], digits)
                for kpi, digits in (("peak_15min_mw", 2), ("evs_short", 1), ("energy_short_kwh", 0))
            ]
            print(f"| {cars} | {control} | " + " | ".join(cells) + " |", flush=True)
    street()
