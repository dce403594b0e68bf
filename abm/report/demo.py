"""The story of the verb `demo`: five ways through the same evening, each a picture of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from rich.text import Text

from abm.equations import FloatArray, IntArray
from abm.results import Results

# What is run, in the order of the story.
ACTS = ("none", "uncoordinated", "evms", "evms_herd", "coordinated")
GRAIN_MIN = 30.0
ROWS = 5
EIGHTHS = " ▁▂▃▄▅▆▇█"
OVER, WITHIN, NOTE = "red", "cyan", "dim"
NEXT = (
    ("reproduce", "the whole paper, beside its own numbers"),
    ("compare paper_balanced", "all strategies, and the bound of perfect foresight"),
    ("watch paper_balanced", "the same evening in a browser, minute by minute"),
    ("list", "scenarios, strategies and feeders that are here"),
    ("feeder import --help", "your own feeder"),
)


def demo_lines(
    runs: Mapping[str, Results], program: str = "evenfall", unicode: bool = True
) -> Iterator[Text]:
    """The lines of the story. runs: results by name of all `ACTS`, of one feeder each.

    program: how the verbs are called. unicode: whether the terminal can show blocks; else the
    pictures are made of ASCII.
    """
    results = [runs[name] for name in ACTS]
    demand = [of.record.demand_mw(GRAIN_MIN)[:, 0] for of in results]
    # Half megawatts, so that the scale has round numbers.
    step = np.ceil(2.0 * max(map(np.max, demand)) / ROWS) / 2.0
    limit = float(results[0].record.limit_mw().min())
    hours = results[0].clock_hours
    evs, zones = results[1].kpis["evs"], results[1].record.zone_charge_mw.shape[2]
    yield Text(
        f"{evs} EVs in {zones} residential parking zones (RPZs) of the IEEE 33-bus feeder, for a "
        f"day. The feeder's demand, in MW, is to stay below {limit:g} MW; red is above."
    )
    for number, (told, curve) in enumerate(zip(_story(runs), demand, strict=True), start=1):
        yield Text()
        yield Text.assemble((f"{number}  {told[0]}", "bold"))
        yield from _chart(curve, hours, limit, step, unicode)
        yield Text(told[1])
    yield Text()
    yield Text("Demand is drawn by half-hours; peaks are means of 15 minutes. Where to go on:")
    width = len(program) + 1 + max(len(verb) for verb, _ in NEXT)
    for verb, why in NEXT:
        yield Text.assemble("  ", (f"{program} {verb}".ljust(width), "bold"), "  ", why)


def _story(runs: Mapping[str, Results]) -> Iterator[tuple[str, str]]:
    base, home, rule, herd, level = (runs[name].kpis for name in ACTS)
    yield (
        "Before the cars: homes and shops",
        f"The evening peak is {_peak(base)}; the lowest voltage {_volt(base)}",
    )
    more = home["peak_15min_mw"] - base["peak_15min_mw"]
    yield (
        "Everyone comes home and charges at once (uncoordinated)",
        f"The peak is {_peak(home)}, {more:.2f} MW more; the lowest voltage {_volt(home)} "
        f"Charging costs {home['net_cost_usd']:.0f} dollars.",
    )
    yield (
        "The paper's rule, eq. (13): discharge at the limit, charge within what is left (evms)",
        f"The peak is {_peak(rule)}, but {_who(rule)} without all that {_they(rule)} asked for: "
        f"{rule['energy_short_kwh'] / 1e3:.2f} MWh are missing in the morning.",
    )
    beside = "above" if herd["peak_15min_mw"] > home["peak_15min_mw"] else "below"
    yield (
        "The same rule in each home alone (evms_herd): the rebound",
        f"All hear the same message and switch together: the peak is {_peak(herd)}, "
        f"{beside} that of charging at once. The peak was moved, not shaved.",
    )
    yield (
        "One level for the valley and the peak (coordinated)",
        f"The peak is {_peak(level)}, {_who(level)} without what {_they(level)} asked for, and "
        f"charging costs {level['net_cost_usd']:.0f} dollars. It knows the day-ahead forecast "
        "and who is plugged in, not who will come.",
    )


def _peak(kpis: Mapping[str, object]) -> str:
    return f"{kpis['peak_15min_mw']:.2f} MW at {kpis['peak_15min_time']}"


def _volt(kpis: Mapping[str, object]) -> str:
    vm_pu = kpis["min_vm_pu"]
    return "is not known." if vm_pu is None else f"is {vm_pu:.3f} p.u."


def _who(kpis: Mapping[str, object]) -> str:
    short = kpis["evs_short"]
    return "nobody leaves" if not short else f"{short} of {kpis['evs']} EVs leave"


def _they(kpis: Mapping[str, object]) -> str:
    return "they" if kpis["evs_short"] else "it"


def _chart(
    demand: FloatArray, hours: IntArray, limit: float, step: float, unicode: bool
) -> Iterator[Text]:
    """Demand (T,) [MW] as columns of text, a row for each `step` MW, with the clock below."""
    for row in reversed(range(ROWS)):
        line = Text(f"{(row + 1) * step:5.1f} ", style=NOTE)
        for value in demand:
            eighths = int(np.clip(round(8.0 * (value / step - row)), 0, 8))
            mark = EIGHTHS[eighths] if unicode else ("#" if eighths >= 4 else " ")
            line.append(mark, style=OVER if value > limit + 5e-4 else WITHIN)
        yield line
    per_hour = len(demand) // len(hours)
    clock = Text("      ", style=NOTE)
    for at, hour in enumerate(hours):
        if at % 4 == 0:
            clock.append(f"{int(hour)}:00".ljust(4 * per_hour))
    clock.rstrip()
    yield clock
