"""What came of a study of hosting capacity: by strategy and share, and what each strategy hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray
from abm.grid import build_feeder
from abm.results.flows import has_flow_tables
from abm.scenario import Scenario
from abm.study.ensemble import Failure
from abm.study.hosting_limits import UNSOLVED, Limits, head_mva
from abm.study.hosting_search import Ladder, Seen, falls, looks
from abm.study.replications import BLOCK, Case, Span, most_together

if TYPE_CHECKING:
    import pyarrow as pa

# The plan of least peak in the place of a strategy; a share without any EV in that of all.
BOUND, NO_EVS = "bound", "no EVs"
# KPIs of the bound's rows.
LEAST_DEMAND = "least_demand_mw"
SHOWN_KPIS = ("evs", "evs_short", "energy_short_kwh")


@dataclass(frozen=True, eq=False)
class Asked:
    """What hosting is asked. strategies: with `BOUND` at the end where it is among them.

    cases: strategy by strategy, all rungs of the ladder each. limits: that the feeder has.
    """

    scenario: Scenario
    strategies: tuple[str, ...]
    ladder: Ladder
    limits: Limits
    cases: tuple[Case, ...]

    def case_of(self, strategy: str, at: int) -> int:
        """The case of a strategy at a rung; without EVs all strategies are one."""
        row = 0 if self.ladder.evs[at] == 0 else self.strategies.index(strategy)
        return row * len(self.ladder.shares) + at

    @cached_property
    def spans(self) -> dict[tuple[int, int], list[Span]]:
        """What is run as one batch each, by case and the look that it is for."""
        found, feeder = {}, build_feeder(self.scenario.inputs.feeder)
        for number, case in enumerate(self.cases):
            most = _at_once(case.scenario, feeder.n_bus + feeder.n_line)
            first = 0
            for look in looks(self.ladder.replications):
                edges = [*range(first, look, most), look]
                found[number, look] = [Span(number, *pair) for pair in pairwise(edges)]
                first = look
        return found


def _at_once(scenario: Scenario, elements: int) -> int:
    """Replications in a batch, so few that its size does not decide which currents are kept.

    Of a three-phase feeder those of all lines are kept up to a size, beyond it the highest alone.
    elements: buses and lines.
    """
    most, kept = min(most_together(scenario), BLOCK), has_flow_tables(scenario, elements, 1)
    while has_flow_tables(scenario, elements, most) != kept:
        most = -(-most // 2)
    return most


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of n replications of a strategy at a share; some may have failed with an error.

    replications: those that did not. broken: by limit, of each of these the names of the elements
    that broke it. unsolved: which of them have a load flow that did not converge. kpis: of each.
    """

    n: int
    replications: tuple[int, ...]
    broken: Mapping[str, tuple[tuple[str, ...], ...]]
    unsolved: BoolArray
    kpis: Mapping[str, NDArray[np.float64]]

    @cached_property
    def by_limit(self) -> dict[str, BoolArray]:
        """Which replications broke each limit; `UNSOLVED` those that are not solved."""
        each = {
            kind: np.array([len(names) > 0 for names in rows], dtype=np.bool_)
            for kind, rows in self.broken.items()
        }
        return {**each, UNSOLVED: self.unsolved}

    @cached_property
    def bad(self) -> BoolArray:
        """Which broke any limit or were not solved, which is never taken for fine."""
        return np.asarray(np.any(list(self.by_limit.values()), axis=0))

    def elements(self, kind: str) -> dict[str, int]:
        """In how many replications each element broke a limit, the most often first."""
        counts: dict[str, int] = {}
        for names in self.broken.get(kind, ()):
            for name in names:
                counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    def binds(self) -> tuple[str, str]:
        """The limit that most replications broke and the element that broke it most often."""
        each = self.by_limit
        kind = max(each, key=lambda name: int(each[name].sum()))
        return kind, next(iter(self.elements(kind)), "")

    def mean(self, kpi: str) -> float:
        """Mean of a KPI over the replications that have it; NaN without any."""
        known = self.kpis[kpi][np.isfinite(self.kpis[kpi])]
        return float(known.mean()) if len(known) else float("nan")


@dataclass(frozen=True)
class Hosted:
    """What a strategy hosts. None where there is none among the shares that were looked at.

    last: rung up to which all keep the risk. first: the first rung that does not. sure: up to it
    even the upper ends of the intervals keep the risk. too_much: the first rung where even the
    lower end does not.
    """

    last: int | None
    first: int | None
    sure: int | None
    too_much: int | None


@dataclass(frozen=True)
class Fall:
    """A limit is broken less often at a higher share: how many replications only at either.

    chance: of so many or more if both shares broke it as often.
    """

    strategy: str
    lower: float
    higher: float
    only_lower: int
    only_higher: int
    chance: float


@dataclass(frozen=True, eq=False)
class Hosting:
    """A finished study. outcomes: by strategy and rung, of those that were looked at.

    table: one row per replication. lost: chunks that were given up. trace: of the first replication
    that raised, "" where none did. parts: the finished chunks that the table was made of, by name.
    """

    asked: Asked
    outcomes: Mapping[tuple[str, int], Outcome]
    table: pa.Table
    lost: int
    trace: str
    parts: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases that might have been run."""
        return self.asked.cases

    @cached_property
    def failures(self) -> list[Failure]:
        """Replication, seed, case and error of everything that failed."""
        columns = ("strategy", "share", "replication", "seed", "error")
        rows = zip(*(self.table[name].to_pylist() for name in columns), strict=True)
        by_label = {tuple(case.labels.values()): case for case in self.cases}
        return [
            (k, seed, by_label[strategy, share], error)
            for strategy, share, k, seed, error in rows
            if error is not None
        ]

    def of(self, strategy: str) -> dict[int, Outcome]:
        """Outcomes of a strategy by rung, ascending."""
        return {at: one for (name, at), one in self.outcomes.items() if name == strategy}

    @cached_property
    def capacities(self) -> dict[str, Hosted]:
        """What each strategy hosts."""
        return {name: self._capacity(name) for name in self.asked.strategies}

    def _capacity(self, strategy: str) -> Hosted:
        rungs, found = self.asked.ladder, self.of(strategy)
        seen = {at: Seen(one.n, one.bad) for at, one in found.items()}
        last, first = rungs.crossing(seen)
        ends = {at: rungs.interval(one.bad) for at, one in found.items()}
        sure = None
        for at, (_, high) in ends.items():
            if high > rungs.risk:
                break
            sure = at
        too_much = next((at for at, (low, _) in ends.items() if low > rungs.risk), None)
        return Hosted(last, first, sure, too_much)

    @cached_property
    def falls(self) -> list[Fall]:
        """Pairs of neighbouring shares at which it is clear that the higher one is better.

        Over the replications that both have; those pairs are left out that chance explains in 5 %
        of studies, all pairs of a strategy together.
        """
        shares, found = self.asked.ladder.shares, []
        for name in self.asked.strategies:
            outcomes = list(self.of(name).items())
            for (at, one), (other_at, other) in pairwise(outcomes):
                both = sorted({*one.replications} & {*other.replications})
                lower, higher = (
                    of.bad[np.searchsorted(of.replications, both)] for of in (one, other)
                )
                only_lower, only_higher, chance = falls(lower, higher)
                if chance <= 0.05 / (len(outcomes) - 1):
                    pair = shares[at], shares[other_at]
                    found.append(Fall(name, *pair, only_lower, only_higher, chance))
        return found

    @cached_property
    def head_mva(self) -> float | None:
        """What the branches at the sources carry, MVA, None where that is not known."""
        return head_mva(build_feeder(self.asked.scenario.inputs.feeder), self.asked.limits)

    def hopeless(self, outcome: Outcome) -> BoolArray | None:
        """In which replications no plan at all keeps the head of the feeder within its rating.

        None where the outcome is not the bound's, or the rating is not known.
        """
        least = outcome.kpis[LEAST_DEMAND]
        if self.head_mva is None or not np.isfinite(least).any():
            return None
        # An optimum is one to the solver's tolerance.
        return np.asarray(least > self.head_mva * (1.0 + 1e-6))
