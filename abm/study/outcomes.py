"""What each study comes to: one object that holds all that its verb shows and writes.

Tables and KPIs are made when they are asked for; `abm.report.folders` says what is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from abm.results import Results
from abm.results.kpis import plain
from abm.results.showing import Shown, Tables
from abm.results.staging import Content
from abm.scenario import Scenario
from abm.study.bound import Bound
from abm.study.breakeven import Worth, break_even_table
from abm.study.compare import comparison_kpis, comparison_table
from abm.study.ensemble import Ensemble, Failure, montecarlo_files, summary_dict
from abm.study.hosting_results import BOUND, Hosting
from abm.study.hosting_tables import (
    capacity_table,
    element_table,
    hosting_files,
    hosting_summary,
    share_table,
)
from abm.study.replications import Case
from abm.study.reproduce import (
    Reproduction,
    run_names,
    table2,
    table2_replications,
    table3,
    table3_replications,
)
from abm.study.runs import Run
from abm.study.statistics import Until
from abm.study.sweep import FactorRange, sweep_files, sweep_summary, sweep_tables

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown):
    """Several strategies on the same EVs.

    runs: by strategy. bound: the optimum beside them, None where there is none; left_out: why.
    foresight: what perfect foresight costs at each strategy's own peak [$].
    """

    scenario: Scenario
    runs: Mapping[str, Run]
    bound: Bound | None
    foresight: Mapping[str, float]
    left_out: str = ""

    @property
    def results(self) -> dict[str, Results]:
        """Results of each strategy, and of the bound where there is one."""
        found = {name: run.results for name, run in self.runs.items()}
        return found if self.bound is None else {**found, self.bound.label: self.bound.results}

    @property
    def missing(self) -> tuple[str, ...]:
        """What its results lack."""
        lines = (line for results in self.results.values() for line in results.missing)
        return tuple(dict.fromkeys(lines))

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """`comparison`: one row per strategy."""
        return Tables(comparison=comparison_table(self.runs, self.bound, self.foresight))

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """KPIs by strategy, the bound's among them."""
        return comparison_kpis(self.runs, self.bound, self.foresight)


@runtime_checkable
class KeptStudy(Protocol):
    """What all studies have that are kept chunk by chunk."""

    @property
    def question(self) -> Mapping[str, Any]:
        """All that its numbers depend on, as from `abm.study.fingerprint.question`."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """What each replication is run under."""

    @property
    def failures(self) -> list[Failure]:
        """Replication, seed, case and error of everything that failed."""

    @property
    def trace(self) -> str:
        """Traceback of one of them, "" where none failed."""

    @property
    def parts(self) -> Mapping[str, bytes]:
        """The finished chunks, by name."""

    @property
    def total(self) -> int:
        """Replications that were run, of all cases."""

    @property
    def ending(self) -> dict[str, Any]:
        """How it went, for the manifest."""

    def table_files(self) -> Iterator[tuple[str, Content]]:
        """What is written besides chunks, figures and manifest."""


class ManyReplications(Shown, ABC):
    """A study of many replications: what has come in of them."""

    @property
    @abstractmethod
    def collected(self) -> Ensemble | Hosting:
        """All replications."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """What replications are run under; of `hosting`, may be run under."""
        return self.collected.cases

    @property
    def failures(self) -> list[Failure]:
        """Replication, seed, case and error of everything that failed."""
        return self.collected.failures

    @property
    def trace(self) -> str:
        """Traceback of one of them, "" where none failed."""
        return self.collected.trace

    @property
    def parts(self) -> Mapping[str, bytes]:
        """The finished chunks, by name."""
        return self.collected.parts


@dataclass(frozen=True, eq=False, repr=False)
class Replicated(ManyReplications):
    """A study of many replications.

    question: all that its numbers depend on, as from `abm.study.fingerprint.question`. wall_s:
    seconds it took.
    """

    scenario: Scenario
    ensemble: Ensemble
    question: Mapping[str, Any]
    wall_s: float

    @property
    def collected(self) -> Ensemble:
        """All replications."""
        return self.ensemble

    @property
    def total(self) -> int:
        """Replications of all cases."""
        return self.ensemble.total

    @property
    def ending(self) -> dict[str, Any]:
        """How it went, for the manifest."""
        return {**self.ensemble.outcome(), "wall_s": self.wall_s}


@dataclass(frozen=True, eq=False, repr=False)
class MonteCarlo(Replicated):
    """Replications of a scenario under some strategies.

    until: when it was to stop early. shown: KPIs that are shown, () for the usual ones.
    """

    until: Until | None = None
    shown: Sequence[str] = ()

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """`replications`, `bands` (hours), `summary` (means, intervals), `differences` (paired)."""
        found = self.ensemble
        return Tables(
            replications=found.replications.to_pandas(),
            bands=found.bands,
            summary=found.summary,
            differences=found.differences,
        )

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """By strategy and KPI: n, mean, sd, interval of the mean, quantiles."""
        found: dict[str, Any] = summary_dict(self.ensemble)["strategies"]
        return found

    def table_files(self) -> Iterator[tuple[str, Content]]:
        """What is written besides chunks, figures and manifest."""
        yield from montecarlo_files(self.ensemble, self.scenario)


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Replicated):
    """Replications at every point of a grid, or of a Sobol' design over `ranges`.

    shown: KPIs that are shown, () for the usual ones.
    """

    ranges: Sequence[FactorRange] = ()
    shown: Sequence[str] = ()

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """`summary`: means and intervals by point; of a Sobol' design `sobol`: the indices."""
        return Tables(sweep_tables(self.ensemble, self.ranges, self.scenario.seed))

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """The tables as plain data."""
        return sweep_summary(self.ensemble, self.tables)

    def table_files(self) -> Iterator[tuple[str, Content]]:
        """What is written besides chunks, figures and manifest."""
        yield from sweep_files(self.ensemble, self.scenario, self.tables)


@dataclass(frozen=True, eq=False, repr=False)
class HostingStudy(ManyReplications):
    """How many homes may have an EV before a limit of the grid is broken.

    found: what came of it. question, wall_s: as of `Replicated`.
    """

    found: Hosting
    question: Mapping[str, Any]
    wall_s: float

    @property
    def scenario(self) -> Scenario:
        """What was studied."""
        return self.found.asked.scenario

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """`hosting` (by strategy), `shares` (by share), `elements`, `replications`."""
        return Tables(
            hosting=capacity_table(self.found),
            shares=share_table(self.found),
            elements=element_table(self.found),
            replications=self.found.table.to_pandas(),
        )

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """What each strategy hosts, as plain data."""
        return hosting_summary(self.found)

    @property
    def collected(self) -> Hosting:
        """All replications."""
        return self.found

    @property
    def total(self) -> int:
        """Replications that were run, of all cases."""
        return int(self.found.table.num_rows)

    @property
    def ending(self) -> dict[str, Any]:
        """How it went, for the manifest."""
        return {
            "replications_run": self.total,
            "failed": len(self.failures),
            "lost": self.found.lost,
            "bound": BOUND in self.found.asked.strategies,
            "wall_s": self.wall_s,
        }

    def table_files(self) -> Iterator[tuple[str, Content]]:
        """What is written besides chunks, figures and manifest."""
        yield from hosting_files(self.found)


@dataclass(frozen=True, eq=False, repr=False)
class PaperStudy(Shown):
    """The paper's study beside its own tables.

    study: the runs. ensemble: their replications, None for none. changed: fields in which it is
    not the paper's any more, each in words. replicated: tables of replications, of a folder that
    was loaded.
    """

    study: Reproduction
    ensemble: Ensemble | None = None
    changed: tuple[str, ...] = ()
    replicated: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def scenario(self) -> Scenario:
        """Of the base case, as printed."""
        return self.study.results("base", "as_printed").record.scenario

    @property
    def results(self) -> dict[str, Results]:
        """Results of each run, by the name of its folder."""
        return {name: self.study.runs[key].results for key, name in run_names().items()}

    @property
    def missing(self) -> tuple[str, ...]:
        """What its results lack."""
        lines = (line for results in self.results.values() for line in results.missing)
        return tuple(dict.fromkeys(lines))

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """`table2`, `table3`, and with replications `table2_replications`, `table3_...`."""
        found = Tables(table2=table2(self.study), table3=table3(self.study), **self.replicated)
        if self.ensemble is not None:
            found["table2_replications"] = table2_replications(self.ensemble)
            found["table3_replications"] = table3_replications(self.ensemble)
        return found

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """KPIs by run."""
        return {name: results.kpis for name, results in self.results.items()}


@dataclass(frozen=True, eq=False, repr=False)
class BreakEven(Shown):
    """Where V2G stops paying. found: of the strategies that use it; strategies: all asked for."""

    scenario: Scenario
    strategies: Sequence[str]
    found: Mapping[str, Worth]

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """`breakeven`: one row per strategy that uses V2G."""
        return Tables(breakeven=break_even_table(self.found))

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """The table as plain data, by strategy."""
        table = self.tables["breakeven"]
        rows = table.set_index("strategy").to_dict("index") if self.found else {}
        return {
            str(name): {str(key): plain(value) for key, value in row.items()}
            for name, row in rows.items()
        }
