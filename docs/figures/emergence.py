"""The figures and numbers of docs/emergence.md: `python docs/figures/emergence.py`, some minutes.

Writes docs/img/emergence_*.png and docs/figures/emergence.csv. Every point is a mean over `SEEDS`
copies of the feeder, each with a fleet of its own; the fleets are the same at every point.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ROOT, SMOKE, few, load, options, output
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from abm import Scenario, V2GModel
from abm.control import AllAtOnce, BelowLimit, Eq13, FirstCome
from abm.fleet import Fleet, Mode
from abm.report.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLE,
    WIDTH_IN,
    save,
)
from abm.report.look import looks_of
from abm.results.emergence import SLOWEST_MIN, moving_average
from abm.results.kpis import hours_after_evening_peak
from abm.signals import Broadcast

Array = NDArray[np.float64]

SEEDS = few(range(1, 21))
INTERVALS = few((60, 15, 5, 1))
SHARE_INTERVALS = few((60, 15, 5), 1)
DELAYS = few((0, 5, 10, 15, 30, 45, 60), 1)
SHARES = few((0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0))
LOSSES = few((0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9))
STRATEGIES = {
    "evms": "evms: first come first served",
    "evms_herd": "evms_herd: each home alone",
}
ADMISSIONS = {"evms": FirstCome, "evms_herd": BelowLimit, "evms_immediate": AllAtOnce}
# Named strategies and one more: eq. (13) read literally, by EVs that may discharge again.
AGAIN = "evms_immediate, discharging again"
# A cycle is there above this, and above twice what the base broadcast has at the same periods.
CYCLE_MW = 0.1
LOOKS = {
    60: (BLUE, "-", "o"),
    15: (ORANGE, "--", "s"),
    5: (GREEN, "-.", "^"),
    1: (PURPLE, ":", "D"),
}


# --- who follows the broadcast -----------------------------------------------------------------


def followers(fleet: Fleet, share: float) -> NDArray[np.bool_]:
    """Which EVs follow the strategy; of a larger share all that follow at a smaller one.

    Multiples of the golden ratio spread them evenly over the numbers of the sample, and so over the
    zones, without regard to what is in a battery.
    """
    number = fleet.stay_index - fleet.first_row[fleet.feeder]
    return np.asarray((0.5 + number * 0.6180339887498949) % 1.0 < share)


class Follow:
    """Eq. (13) for a share of the EVs; the others ask to charge all the time."""

    def __init__(self, share: float, **eq13: Any) -> None:
        self.share, self.rule = share, Eq13(**eq13)

    def decide(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> NDArray[Any]:
        """Mode asked for by each EV."""
        asked = self.rule.decide(fleet, broadcast, minute)
        return np.where(followers(fleet, self.share), asked, Mode.G2V)


class AdmitFollowers:
    """The strategy's admission for the EVs that follow it; the others are served at once."""

    def __init__(self, share: float, strategy: str) -> None:
        self.share, self.admission = share, ADMISSIONS[strategy]()

    def admit(
        self, fleet: Fleet, request: NDArray[np.int8], broadcast: Broadcast, minute: float
    ) -> NDArray[Any]:
        """Mode granted to each EV."""
        follow = followers(fleet, self.share)
        theirs = np.where(follow, request, np.int8(0))
        return np.where(follow, self.admission.admit(fleet, theirs, broadcast, minute), request)


# --- one point ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Means over the seeds of one setting.

    period_min, amplitude_mw: the KPIs `oscillation_*`, the strongest swing of the EV demand with a
    period of two steps to six hours; of the period it is the median. cycle_mw: the strongest one at
    0.75 to 1.33 times 2 (interval + delay). rebound: the KPI, largest hourly demand after the
    evening peak over the limit; rebound_minute: the same by minute.
    """

    period_min: float
    amplitude_mw: float
    cycle_mw: float
    cycle_sd_mw: float
    rebound: float
    rebound_minute: float
    peak_mw: float
    synchronisation: float
    switches_per_ev: float
    evs_short: float
    v2g_mwh: float


@dataclass(frozen=True, kw_only=True)
class Point(Found):
    """One setting and what was found; share: of the EVs that follow, loss: of messages."""

    strategy: str
    what: str
    interval_min: int
    delay_min: int
    share: float
    loss: float


def cycle_mw(ev_kw: Array, expected_min: float) -> float:
    """Largest amplitude at 0.75 to 1.33 times a period, in the spectrum of the KPI [MW].

    ev_kw: by minute, (n_steps,).
    """
    used = np.flatnonzero(ev_kw)
    signal = ev_kw[used[0] : used[-1] + 1]
    n = len(signal)
    amplitude = 2.0 * np.abs(np.fft.rfft(signal - moving_average(signal, SLOWEST_MIN))) / n
    if n % 2 == 0:
        amplitude[-1] /= 2.0
    period = n / np.maximum(np.arange(len(amplitude)), 1e-9)
    band = (period >= 0.75 * expected_min - 1e-9) & (period <= 1.33 * expected_min + 1e-9)
    return float(amplitude[band].max() / 1e3)


def studied(
    strategy: str, what: str, interval: int, delay: int, share: float = 1.0, loss: float = 0.0
) -> Scenario:
    """paper_balanced with another broadcast and, below a share of 1, only some that follow it."""
    base = load("paper_balanced")
    if strategy == AGAIN:
        strategy = "evms_immediate"
        base = base.override({"eq13.one_discharge_per_stay": False})
    if share < 1.0:
        options = {"share": share, **base.eq13.model_dump()}
        base = base.override(
            strategy={
                "rule": "emergence:Follow",
                "rule_options": options,
                "admission": "emergence:AdmitFollowers",
                "admission_options": {"share": share, "strategy": strategy},
            },
            trust=True,
        )
    else:
        base = base.override(strategy=strategy)
    return base.override(
        {
            "broadcast.what": what,
            "broadcast.interval_min": interval,
            "broadcast.delay_min": float(delay),
            "broadcast.loss_probability": loss,
            "clock.engine": "compiled",
        }
    )


def point(
    strategy: str, what: str, interval: int, delay: int, share: float = 1.0, loss: float = 0.0
) -> Point:
    """Run one setting."""
    scenario = studied(strategy, what, interval, delay, share, loss)
    found = measured(scenario, 2.0 * (interval + delay))
    return Point(
        strategy=strategy,
        what=what,
        interval_min=interval,
        delay_min=delay,
        share=share,
        loss=loss,
        **asdict(found),
    )


def measured(scenario: Scenario, expected_min: float) -> Found:
    """Run one scenario; expected_min: where a cycle is looked for."""
    model = V2GModel(scenario, seed=SEEDS).run()
    ev_kw, kpis, base_mw = model.meter.ev_kw, model.results.kpi_columns, model.results.base_mw
    cycle = np.array([cycle_mw(column, expected_min) for column in ev_kw.T])
    limit = scenario.grid.demand_limit_mw
    total = ev_kw / 1e3 + np.repeat(base_mw, 60)[:, None]
    after = np.isin(np.arange(24), hours_after_evening_peak(base_mw, np.full(24, limit)))
    model.close()
    return Found(
        float(np.median(kpis["oscillation_period_min"])),
        float(kpis["oscillation_amplitude_mw"].mean()),
        float(cycle.mean()),
        float(cycle.std(ddof=1)),
        float(np.mean(kpis["rebound_ratio"])),
        float((total[np.repeat(after, 60)].max(axis=0) / limit).mean()),
        float(total.max(axis=0).mean()),
        float(kpis["synchronisation"].mean()),
        float(kpis["mode_switches_per_ev"].mean()),
        float(np.mean(kpis["evs_short"])),
        float(np.mean(kpis["ev_discharged_mwh"])),
    )


# --- the figures -------------------------------------------------------------------------------


def panels(rows: int, columns: int, height_in: float, alike: bool = True) -> tuple[Figure, Any]:
    """A figure of rows x columns axes that share their scales by row, if `alike`."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(1.55 * WIDTH_IN, height_in), layout="constrained")
        FigureCanvasAgg(fig)
        sharey = "row" if alike else False
        return fig, fig.subplots(rows, columns, sharex=True, sharey=sharey, squeeze=False)


def day_figure() -> Figure:
    """One fleet's day by minute under base and net broadcasts."""
    rows = [("base", 60), *(("net", interval) for interval in INTERVALS)]
    titles = {"evms": "evms", "evms_herd": "evms_herd", AGAIN: "evms_immediate,\ndischarging again"}
    fig, axes = panels(len(rows), len(titles), 6.4)
    with mpl.rc_context(STYLE):
        for column, (strategy, title) in enumerate(titles.items()):
            axes[0, column].set_title(title)
            for row, (what, interval) in enumerate(rows):
                ax = axes[row, column]
                model = V2GModel(studied(strategy, what, interval, 0), seed=1).run()
                hours = np.arange(1440) / 60.0
                room = model.scenario.grid.demand_limit_mw - np.repeat(model.results.base_mw, 60)
                ax.plot(hours, model.meter.ev_kw[:, 0] / 1e3, color=BLUE, lw=0.7, label="EVs")
                ax.plot(hours, room, color=ORANGE, ls="--", lw=1.0, label="limit less base demand")
                ax.axhline(0.0, color=GREY, lw=0.5)
                ax.set_xlim(4.0, 21.0)
                ax.set_xticks(range(6, 22, 6), [f"{(12 + h) % 24}:00" for h in range(6, 22, 6)])
                words = f"{what}, every {interval} min"
                ax.text(0.02, 0.95, words, transform=ax.transAxes, va="top", fontsize=6.5)
                ax.set_ylim(-4.8, 5.4)
                ax.set_yticks([-4, -2, 0, 2, 4])
                model.close()
        for ax in axes[-1]:
            ax.set_xlabel("Time of day (h:min)")
        axes[len(rows) // 2, 0].set_ylabel("EV demand (MW), seed 1")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig


def curves(points: Sequence[Point], x: str, xlabel: str, scale: float = 1.0) -> Figure:
    """Cycle amplitude and rebound against x, one line per interval, columns by strategy."""
    rows = [("cycle_mw", "Cycle of EV demand (MW)"), ("rebound", "Rebound, hourly mean")]
    rows += [("rebound_minute", "Rebound, by minute")]
    fig, axes = panels(len(rows), 2, 5.6)
    with mpl.rc_context(STYLE):
        for column, strategy in enumerate(STRATEGIES):
            axes[0, column].set_title(STRATEGIES[strategy])
            for row, (name, label) in enumerate(rows):
                ax = axes[row, column]
                for interval, (color, style, marker) in LOOKS.items():
                    net = _line(points, strategy, "net", interval, x)
                    if net:
                        at = [scale * getattr(p, x) for p in net]
                        look = {"color": color, "ls": style, "marker": marker, "ms": 2.8}
                        values = [getattr(p, name) for p in net]
                        ax.plot(at, values, label=f"net, every {interval} min", **look)
                base = _line(points, strategy, "base", 60, x)  # other bands have less of it
                at = [scale * getattr(p, x) for p in base]
                values = [getattr(p, name) for p in base]
                ax.plot(at, values, color=BLACK, lw=1.0, ls=(0, (3, 1)), label="base, every 60 min")
                if name == "cycle_mw":
                    ax.axhline(CYCLE_MW, color=GREY, ls=":", lw=1.0)
                    ax.set_ylim(bottom=0.0)
                else:
                    ax.axhline(1.0, color=GREY, ls=":", lw=1.0)
                if column == 0:
                    ax.set_ylabel(label)
        for ax in axes[-1]:
            ax.set_xlabel(xlabel)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig


def period_figure(points: Iterable[Point]) -> Figure:
    """Strongest period against 2 (interval + delay)."""
    fig, axes = panels(1, 2, 2.9)
    with mpl.rc_context(STYLE):
        for column, strategy in enumerate(STRATEGIES):
            ax = axes[0, column]
            ax.set_title(STRATEGIES[strategy])
            ax.plot([1.5, 400], [1.5, 400], color=GREY, lw=0.8, label="2 (interval + delay)")
            for interval, (color, _, marker) in LOOKS.items():
                mine = _line(points, strategy, "net", interval, "delay_min")
                at = [2 * (p.interval_min + p.delay_min) for p in mine]
                found = [p.period_min for p in mine]
                look = {"color": color, "marker": marker, "ms": 3.5, "ls": "", "mfc": "none"}
                ax.plot(at, found, label=f"every {interval} min", **look)
            ax.set_xscale("log")
            ax.set_yscale("log")
            ticks = [2, 5, 10, 30, 60, 120, 360]
            ax.set_xticks(ticks, [str(tick) for tick in ticks])
            ax.set_yticks(ticks, [str(tick) for tick in ticks])
            ax.minorticks_off()
            ax.set_xlabel("2 (interval + delay) (min)")
        axes[0, 0].set_ylabel("Strongest period (min)")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig


def loss_figure(points: Iterable[Point]) -> Figure:
    """Cycle and hourly rebound against the probability that a zone misses a message."""
    fig, axes = panels(1, 2, 2.6, alike=False)
    with mpl.rc_context(STYLE):
        for ax, name, label in (
            (axes[0, 0], "cycle_mw", "Cycle of EV demand (MW)"),
            (axes[0, 1], "rebound_minute", "Rebound, by minute"),
        ):
            for strategy, seen in looks_of(STRATEGIES).items():
                mine = [p for p in points if p.strategy == strategy]
                at, values = [p.loss for p in mine], [getattr(p, name) for p in mine]
                look = {**seen.line, "marker": seen.marker, "ms": 2.8}
                ax.plot(at, values, label=strategy, **look)
            ax.axhline(CYCLE_MW if name == "cycle_mw" else 1.0, color=GREY, ls=":", lw=1.0)
            ax.set_ylim(bottom=0.0 if name == "cycle_mw" else 0.95)
            ax.set_ylabel(label)
            ax.set_xlabel("Probability that a zone misses a message")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig


def _line(points: Iterable[Point], strategy: str, what: str, interval: int, x: str) -> list[Point]:
    mine = [p for p in points if (p.strategy, p.what, p.interval_min) == (strategy, what, interval)]
    return sorted(mine, key=lambda p: float(getattr(p, x)))


# --- all of it ---------------------------------------------------------------------------------


def main() -> None:
    """Run everything, write figures and numbers, print where cycles begin."""
    options(__doc__).parse_args()
    images = output(ROOT / "docs" / "img")
    save(day_figure(), images / "emergence_day.png")

    by_delay = [
        point(strategy, what, interval, delay)
        for strategy in (*STRATEGIES, "evms_immediate", AGAIN)
        for what in ("net", "base")
        for interval in INTERVALS
        for delay in DELAYS
    ]
    by_delay += [
        point(name, "net_with_losses", each, 0) for name in STRATEGIES for each in (60, 15)
    ]
    save(curves(by_delay, "delay_min", "Delay (min)"), images / "emergence_delay.png")
    save(period_figure(by_delay), images / "emergence_period.png")

    by_share = [
        point(strategy, what, interval, 0, share)
        for strategy in STRATEGIES
        for what in ("net", "base")
        for interval in SHARE_INTERVALS
        for share in SHARES
    ]
    xlabel = "EVs that follow the broadcast (%)"
    save(curves(by_share, "share", xlabel, 100.0), images / "emergence_share.png")

    by_loss = [point(strategy, "net", 15, 0, loss=p) for strategy in STRATEGIES for p in LOSSES]
    save(loss_figure(by_loss), images / "emergence_loss.png")

    sets = {"delay": by_delay, "share": by_share, "loss": by_loss}
    numbers = (images if SMOKE else ROOT / "docs" / "figures") / "emergence.csv"
    with open(numbers, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        names = sorted(
            Point.__dataclass_fields__, key=lambda name: name in Found.__dataclass_fields__
        )
        table.writerow(["against", *names])
        for against, points in sets.items():
            for p in points:
                values = [getattr(p, name) for name in names]
                table.writerow(
                    [against, *(f"{v:.4g}" if isinstance(v, float) else v for v in values)]
                )

    for name in ("paper_balanced", "stale_broadcast"):
        print(name, asdict(measured(load(name), 60.0)))
    for p in by_delay:
        if p.what == "net" and p.interval_min + p.delay_min in (15, 60) and not p.delay_min:
            print(f"{p.strategy}, net, every {p.interval_min} min: {verdict(p, by_delay)}")
    cycles = [p for p in by_delay if p.what == "net" and p.strategy in STRATEGIES]
    print(f"cycles in {sum(is_cycle(p, by_delay) for p in cycles)} of {len(cycles)} settings")
    ratio = [p.period_min / (2 * (p.interval_min + p.delay_min)) for p in cycles]
    near = sum(abs(r - 1.0) <= 0.15 for r in ratio)
    print(
        f"period within 15 % of 2 (interval + delay) in {near} of {len(cycles)}: {min(ratio):.2f}"
    )
    for strategy in STRATEGIES:
        for interval in SHARE_INTERVALS:
            line = _line(by_share, strategy, "net", interval, "share")
            begins = next((p for p in line if is_cycle(p, by_share)), None)
            where = "nowhere" if begins is None else f"at a share of {begins.share:.0%}"
            print(f"{strategy}, net, every {interval} min: cycles begin {where}")


def is_cycle(p: Point, points: Iterable[Point]) -> bool:
    """Whether a swing counts: above `CYCLE_MW` and twice that of the base broadcast."""
    same = (p.strategy, "base", p.interval_min, p.delay_min, p.share)
    floor = next(
        q.cycle_mw
        for q in points
        if (q.strategy, q.what, q.interval_min, q.delay_min, q.share) == same
    )
    return p.cycle_mw > max(CYCLE_MW, 2.0 * floor)


def verdict(p: Point, points: Iterable[Point]) -> str:
    """One setting in words."""
    word = "cycle" if is_cycle(p, points) else "no cycle"
    return (
        f"{word}, {p.cycle_mw:.2f} MW at periods of about {2 * (p.interval_min + p.delay_min)} min"
    )


if __name__ == "__main__":
    main()
