"""The answer of a run, a bound or a comparison, in three sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from abm.report.moments import moments
from abm.report.units import below_a_megawatt, dollars, number, tie
from abm.results import Results
from abm.results.indicators import grain_of
from abm.results.kpis import TIE_MW
from abm.study.bound import Bound
from abm.study.compare import GAP, METRIC, SERVED_KWH

ONE_DRAW = (
    "One draw of the fleet (seed {seed}): `evenfall montecarlo` says how much another one changes."
)
NOBODY = "No EV is ever plugged in: there is nothing to optimise."
FROM_FILE = "The stays are those of a file: another seed draws no others."


def power(mw: float | None, small: bool, digits: int = 3) -> str:
    """A power with its unit: kW where the demand of the feeder stays below a megawatt."""
    if mw is None or not np.isfinite(mw):
        return "an unknown power"
    return f"{number(1e3 * mw, max(digits - 2, 0))} kW" if small else f"{number(mw, digits)} MW"


def count(n: float, thing: str, things: str = "") -> str:
    """How many: "1 EV", "600 EVs"."""
    return f"{n:,.0f} {thing if n == 1 else things or thing + 's'}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names with commas and an "and"; of many the first."""
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


# --- a run -------------------------------------------------------------------------------------


def run_answer(results: Results, limit_mw: float | None = None) -> list[str]:
    """What the EVs do to demand, to the grid, and what it is to the owners."""
    return [demand_sentence(results, limit_mw), grid_sentence(results), owners_sentence(results)]


def run_note(results: Results) -> str:
    """How sure a run is."""
    if results.record.scenario.inputs.sessions is not None:
        return FROM_FILE
    return ONE_DRAW.format(seed=results.record.seeds[0])


def demand_sentence(results: Results, limit_mw: float | None = None) -> str:
    """The highest demand of 15 minutes with and without EVs, against the limit."""
    kpis, record = results.kpis, results.record
    small = below_a_megawatt([kpis["peak_15min_mw"]])
    without = record.base_demand_mw(15.0)
    if record.supply is not None:
        without = without + record.supply_mw(15.0)
    base, peak = float(without.sum(axis=1).max()), kpis["peak_15min_mw"]
    feeders, zones = results.n_feeders, record.zone_charge_mw.shape[2]
    where = f" on {count(feeders, 'feeder')}" if feeders > 1 else f" in {count(zones, 'zone')}"
    demand = record.demand_mw(15.0).sum(axis=1)
    (moment,) = moments(record, demand.argmax(keepdims=True), 15.0)
    when = f"at {moment}"
    if tied := kpis["peak_15min_tied_hours"]:
        hours = count(tied, "other hour")
        within = tie(small) if feeders == 1 else f"{TIE_MW * feeders:g} MW"
        when += f", a tie with {hours} within {within}"
    if not kpis["evs"]:
        text = f"Without any EV the highest demand of 15 minutes is {power(peak, small)} ({when})"
    else:
        who = f"{count(kpis['evs'], 'EV')}{where}"
        one = kpis["evs"] == 1
        if abs(peak - base) <= TIE_MW * feeders:
            does = "leaves" if one else "leave"
            text = f"{who} {does} the highest demand of 15 minutes at {power(peak, small)} ({when})"
        else:
            does = ("raise" if peak > base else "lower") + ("s" if one else "")
            text = (
                f"{who} {does} the highest demand of 15 minutes from {power(base, small)} "
                f"without EVs to {power(peak, small)} ({when})"
            )
    limit = kpis["demand_limit_mw"] if limit_mw is None else limit_mw
    return f"{text}, {_against(peak, limit, kpis['overload_hours'], small, feeders)}."


def _against(peak: float, limit: float, hours: float, small: bool, feeders: int) -> str:
    of_all = " of all feeders together" if feeders > 1 else ""
    if peak <= limit + TIE_MW * feeders:
        within = f"within the limit of {power(limit, small)}{of_all}"
        if hours and feeders > 1:
            within += f"; single feeders are above theirs for {hours:.4g} hours in all"
        return within
    above = 100.0 * (peak / limit - 1.0) if limit > 0.0 else float("inf")
    part = f"{above:.1f} % above" if np.isfinite(above) else "above"
    said = f"{part} the limit of {power(limit, small)}{of_all}"
    said_hours = "1 hour" if hours == 1 else f"{hours:.4g} hours"
    return f"{said}, which is exceeded for {said_hours}" if hours else said


def grid_sentence(results: Results) -> str:
    """Lowest voltage, losses and highest loadings."""
    kpis, record = results.kpis, results.record
    failed, grain = kpis["nonconverged_hours"], grain_of(record.flow_min)
    if failed:
        hours = count(failed, "hour") if float(failed).is_integer() else f"{failed:.2f} hours"
        return (
            f"The load flow did not converge in {hours}, so that the lowest voltage, the loadings "
            "and the losses of the run are not known."
        )
    grid = record.scenario.grid
    low = kpis["min_vm_pu"]
    if kpis["min_vm_home"] is not None:
        where = f"at home {kpis['min_vm_home']}"
    else:
        bus = kpis["min_vm_bus"]
        where = f"at {bus if isinstance(bus, str) else f'N{bus}'}"
    lowest = record.lowest_vm_pu.min(axis=1).argmin(keepdims=True)
    where += f", {moments(record, lowest, record.flow_min)[0]}"
    if results.n_feeders > 1:
        where += f", feeder {kpis['min_vm_feeder']}"
    limits = f"{grid.vm_min_pu:g} to {grid.vm_max_pu:g} p.u."
    below, above = kpis["vm_below_bus_hours"], kpis["vm_above_bus_hours"]
    if below or above:
        what = "home" if results.has_homes else "bus"
        judged = f"and {below + above:,.4g} {what}-hours are outside {limits}"
    else:
        judged = f"within {limits}"
    text = f"The lowest voltage is {low:.4f} p.u. ({where}; {grain}), {judged}"
    loaded = []
    if kpis["max_line_loading_percent"] is not None:
        line = kpis["max_line_loading_line"]
        loaded.append(f"a line carries up to {kpis['max_line_loading_percent']:.1f} % of its rating"
                      f" ({line})")  # fmt: skip
    else:
        loaded.append("no line has a rating")
    if kpis["max_transformer_loading_percent"] is not None:
        name = kpis["max_transformer_loading_transformer"]
        percent = kpis["max_transformer_loading_percent"]
        loaded.append(f"a transformer carries up to {percent:.1f} % of its own ({name})")
    energy = kpis["feeder_energy_mwh"]
    if energy and energy > 0.0:
        loaded.append(f"losses are {100.0 * kpis['loss_energy_mwh'] / energy:.2f} % of the energy")
    return f"{text}; {listed(loaded)}."


def owners_sentence(results: Results) -> str:
    """Who leaves short, and what the owners pay."""
    kpis = results.kpis
    evs, short = kpis["evs"], kpis["evs_short"]
    if not evs:
        return "There is no EV to charge, and nobody pays anything."
    stays = results.record.n_days > 1
    n, thing = (kpis["stays"], "stay") if stays else (evs, "EV")
    missing = f"{kpis['energy_short_kwh']:,.1f} kWh in all"
    if not short:
        who = f"Every {thing} ends" if stays else "Every EV leaves"
        served = f"{who} within 1 % of what it asked for"
        if n == 1:
            served = f"The {thing} gets what it asked for"
    elif n == 1:
        served = f"The {thing} ends {missing.removesuffix(' in all')} short of what it asked for"
    else:
        served = f"{short:,.0f} of {count(n, thing)} end more than 1 % short, by {missing}"
    if kpis["ev_discharged_mwh"]:
        served += f" (V2G took {1e3 * kpis['ev_discharged_mwh']:,.0f} kWh)"
    net, saved = kpis["net_cost_usd"], kpis["benefit_usd"]
    owners = "the owner pays" if evs == 1 else "the owners pay"
    text = f"{served}; {owners} {dollars(net)} net"
    if saved is None:
        return f"{text}."
    if abs(saved) < 0.005:
        return f"{text}, as much as if all had charged at once on arrival."
    less = "less" if saved > 0.0 else "more"
    return f"{text}, ${abs(saved):,.2f} {less} than if all had charged at once on arrival."


# --- the bound ---------------------------------------------------------------------------------


def bound_answer(bound: Bound) -> list[str]:
    """What perfect foresight could do, what it is to the grid, and to the owners."""
    solved = [feeder for feeder in bound.feeders if feeder.phases]
    if not solved:
        return [NOBODY, grid_sentence(bound.results), owners_sentence(bound.results)]
    before = float(np.mean([feeder.peak_before_mw for feeder in solved]))
    after = [f.lowest_peak_mw for f in solved if f.lowest_peak_mw is not None]
    small = below_a_megawatt([before])
    of_whom = "" if len(bound.feeders) == 1 else " (mean of the feeders)"
    grain = f"{bound.metric_min} minutes"
    if after and bound.objective == "peak":
        first = (
            f"With perfect foresight the highest demand of {grain} while EVs are plugged in could "
            f"be as low as {power(float(np.mean(after)), small)}{of_whom}; without their power it "
            f"is {power(before, small)}."
        )
    else:
        cap = f" with a demand of at most {bound.limit_mw:g} MW" if bound.limit_mw else ""
        first = (
            f"With perfect foresight the owners could pay as little as "
            f"{dollars(bound.results.kpis['net_cost_usd'])}{cap}; the highest demand is then "
            f"{power(bound.results.kpis['peak_15min_mw'], small)} over 15 minutes"
        )
        if after:
            first += f", and could be as low as {power(float(np.mean(after)), small)}{of_whom}"
        first += "."
    return [first, grid_sentence(bound.results), owners_sentence(bound.results)]


# --- a comparison ------------------------------------------------------------------------------


def comparison_answer(rows: Sequence[Mapping[str, Any]], bound: str = "") -> list[str]:
    """Who keeps the peak low and nobody short, who only one of these, and what is cheapest.

    rows: of the table of `compare`. bound: name of the row of the optimum.
    """
    ours = [row for row in rows if row["strategy"] != bound]
    least = next((row for row in rows if row["strategy"] == bound), None)
    evs = max(row["evs"] for row in ours) if "evs" in ours[0] else None
    metric = METRIC if any(_known(row[METRIC]) for row in ours) else "peak_15min_mw"
    ranked = sorted(
        (row for row in ours if _known(row[metric])), key=lambda row: float(row[metric])
    )
    small = below_a_megawatt([row[metric] for row in ranked])
    while_in = " while EVs are plugged in" if metric == METRIC else ""
    lacking = (least["energy_short_kwh"] if least is not None else 0.0) + SERVED_KWH
    served = [row for row in ranked if row["energy_short_kwh"] <= lacking]
    fleet = "the same EVs" if evs is None else f"the same {count(evs, 'EV')}"
    return [
        _lowest_peak(ranked, served, least, metric, small, f"{while_in} on {fleet}"),
        _others(ranked, served, metric, small),
        _cheapest(ranked, served),
    ]


def _known(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _alike(rows: Sequence[Mapping[str, Any]], name: str, within: float) -> list[str]:
    """The strategies whose value is that of the first."""
    first = float(rows[0][name])
    return [str(row["strategy"]) for row in rows if abs(float(row[name]) - first) <= within]


def _lowest_peak(
    ranked: Sequence[Mapping[str, Any]],
    served: Sequence[Mapping[str, Any]],
    least: Mapping[str, Any] | None,
    metric: str,
    small: bool,
    where: str,
) -> str:
    if not ranked:
        return "No EV is ever plugged in: the strategies do not differ."
    among = served or ranked
    best = _alike(among, metric, TIE_MW)
    verb = "have" if len(best) > 1 else "has"
    text = f"{listed(best)} {verb} the lowest demand of 15 minutes{where}"
    if served and len(served) < len(ranked):
        text += " among the strategies that give every EV what it asked for"
    elif not served:
        row = among[0]
        lacks = f"{count(row['evs_short'], 'EV is', 'EVs are')} left short"
        if not row["evs_short"]:
            lacks = f"{_missing(row)} in all"
        text += f", but {lacks} (no strategy serves all)"
    text += f": {power(among[0][metric], small)}"
    if least is not None and _known(least[metric]):
        gap = among[0].get(GAP)
        far = f"{gap:.1f} % from" if _known(gap) else "beside"
        text += f", {far} the {power(least[metric], small)} of perfect foresight"
    worst = ranked[-1]
    if len(ranked) > 1 and worst["strategy"] not in best:
        text += f"; {worst['strategy']} has the highest, {power(worst[metric], small)}"
    return f"{text}."


def _missing(row: Mapping[str, Any]) -> str:
    """Who is short; where nobody misses as much as counts, how much energy."""
    if row["evs_short"]:
        return f"{count(row['evs_short'], 'EV')} short"
    return f"{row['energy_short_kwh']:,.1f} kWh missing"


def _lacking(rows: Sequence[Mapping[str, Any]]) -> str:
    return listed([f"{row['strategy']} ({_missing(row)})" for row in rows])


def _others(
    ranked: Sequence[Mapping[str, Any]],
    served: Sequence[Mapping[str, Any]],
    metric: str,
    small: bool,
) -> str:
    names = {row["strategy"] for row in served}
    least = float(served[0][metric]) if served else float("inf")
    cheats = [
        row for row in ranked if row["strategy"] not in names and row[metric] < least - TIE_MW
    ]
    charging = [row for row in cheats if row.get("ev_charged_mwh")]
    if served and charging:
        text = f"Demand is lower at the expense of the owners under {_lacking(charging)}"
    elif served and len(served) < len(ranked):
        short = [row for row in ranked if row["strategy"] not in names]
        text = f"Energy is missing under {_lacking(short)}"
    elif served:
        text = "Every strategy gives every EV what it asked for"
    else:
        text = f"Energy is missing under every strategy: {_lacking(ranked)}"
    known = [row for row in ranked if _known(row["min_vm_pu"])]
    if known:
        low = min(known, key=lambda row: float(row["min_vm_pu"]))
        high = max(known, key=lambda row: float(row["min_vm_pu"]))
        text += (
            f"; the lowest voltage is between {low['min_vm_pu']:.4f} p.u. ({low['strategy']}) and "
            f"{high['min_vm_pu']:.4f} p.u. ({high['strategy']})"
        )
    return f"{text}."


def _cheapest(ranked: Sequence[Mapping[str, Any]], served: Sequence[Mapping[str, Any]]) -> str:
    if not ranked:
        return "Nobody pays anything."
    by_cost = sorted(served or ranked, key=lambda row: float(row["net_cost_usd"]))
    first = by_cost[0]
    who = "Of those that serve every EV" if served and len(served) < len(ranked) else "Of all"
    cheapest = _alike(by_cost, "net_cost_usd", 0.005)
    verb = "are" if len(cheapest) > 1 else "is"
    text = f"{who}, {listed(cheapest)} {verb} the cheapest to the owners"
    text += f": {dollars(first['net_cost_usd'])} net"
    last = by_cost[-1]
    if len(by_cost) > 1 and last["net_cost_usd"] > first["net_cost_usd"] + 0.005:
        text += f"; the dearest is {last['strategy']} at {dollars(last['net_cost_usd'])}"
    return f"{text}."
