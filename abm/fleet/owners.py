"""The owners: their groups, what they plan for a day, behaviours of the user's own, and learning.

Who learns sees its own benefit and those of its neighbours on a graph, every day, and keeps two
beliefs: what a day brings that takes part in V2G, and one that does not. It takes part the next day
when the difference of the two is above its own hassle. Nobody sees more than that, so adoption
spreads or collapses through the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import numpy as np
from scipy import sparse

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.economics import Columns, financial_benefit, stay_reference_cost
from abm.fleet.distributions import draws
from abm.fleet.stays import stream
from abm.scenario import Scenario, TimeOfDay
from abm.scenario.fields import Range, Spread
from abm.scenario.owners import EarlyDeparture, Group, LateReturn, Learning

if TYPE_CHECKING:
    from abm.fleet.fleet import Fleet
    from abm.fleet.population import Population

SATURDAY = 5


@dataclass
class DayPlan:
    """What some owners of one feeder mean to do on one day; a behaviour writes to the arrays.

    day: from 0. weekday: from 0, Monday. evs: numbers on the feeder, from 0. soc: on coming home.
    The others are columns of abm/fleet/columns.csv; here minutes count from the start of the day.
    Those that a behaviour may write are `abm.fleet.columns.PLANNED`.
    """

    day: int
    weekday: int
    evs: IntArray
    zone: IntArray
    capacity_kwh: FloatArray
    soc: FloatArray
    arrival_min: FloatArray
    departure_min: FloatArray
    announced_min: FloatArray
    soc_target: FloatArray
    soc_min: FloatArray
    plugs_in: BoolArray
    v2g: BoolArray
    boost: BoolArray

    @property
    def weekend(self) -> bool:
        """Whether it is a Saturday or a Sunday."""
        return self.weekday >= SATURDAY


class Behaviour(Protocol):
    """A way of the user's own in which the owners of a group behave."""

    def plan(self, plan: DayPlan, rng: np.random.Generator) -> None:
        """Change what these owners mean to do; called once a day for each feeder."""


@dataclass(frozen=True)
class OwnerGroup:
    """A group of owners with everything that it leaves out taken from `fleet`, `ev`, `owners`."""

    name: str
    share: float
    spec: Group
    behaviour: Behaviour | None

    def arrival(self, weekend: bool) -> TimeOfDay:
        """Distribution of arrivals on weekdays or weekends."""
        other = self.spec.weekend.arrival if weekend and self.spec.weekend else None
        return other or cast(TimeOfDay, self.spec.arrival)

    def departure(self, weekend: bool) -> TimeOfDay:
        """Distribution of departures on weekdays or weekends."""
        other = self.spec.weekend.departure if weekend and self.spec.weekend else None
        return other or cast(TimeOfDay, self.spec.departure)

    @property
    def delay_h(self) -> Spread:
        """How much later than usual an owner comes home who is late."""
        return cast(LateReturn, self.spec.late_return).delay_h

    @property
    def early_h(self) -> Spread:
        """How much earlier than announced an owner leaves who does."""
        return cast(EarlyDeparture, self.spec.early_departure).early_h

    def on(self, name: str, weekend: bool) -> Any:
        """`trip` or `plug_in` of a weekday or weekend."""
        other = getattr(self.spec.weekend, name) if weekend and self.spec.weekend else None
        return other or getattr(self.spec, name)


def owner_groups(scenario: Scenario) -> tuple[OwnerGroup, ...]:
    """The groups of owners, one of all when there are none. Raises InputError for a behaviour."""
    owners = scenario.owners
    groups = owners.groups or {"all": Group(share=1.0)}
    made_groups = []
    for name, group in groups.items():
        filled: dict[str, Any] = {"share": group.share}
        for field in Group.model_fields:
            own = getattr(group, field)
            if field == "share" or field == "behaviour_options":
                continue
            for section in (scenario.fleet, scenario.ev, owners):
                if own is None and field in type(section).model_fields:
                    own = getattr(section, field)
            filled[field] = own
        del filled["behaviour"]
        made: Behaviour | None = scenario.objects.behaviour_of(name)
        mine = ("owners", "groups", name) if group.behaviour is not None else ("owners",)
        if made is None and (code := scenario.code_at((*mine, "behaviour"))) is not None:
            made = cast(Behaviour, code.make())
        made_groups.append(OwnerGroup(name, group.share, Group.model_construct(**filled), made))
    return tuple(made_groups)


def draw_fraction(u: FloatArray, spread: Range) -> FloatArray:
    """Draws of a fraction of the capacity, by inversion of uniforms u."""
    return _draw(u, spread, 5)


def draw_quantity(u: FloatArray, spread: Spread) -> FloatArray:
    """Draws of a spread in its own unit, by inversion of uniforms u."""
    return _draw(u, spread, 4)


def _draw(u: FloatArray, spread: Range | Spread, sds: int) -> FloatArray:
    """sds: how many standard deviations the range is wide where none is given."""
    mean = (spread.low + spread.high) / 2 if spread.mean is None else spread.mean
    sd = (spread.high - spread.low) / sds if spread.sd is None else spread.sd
    return draws(u, spread, spread.low, spread.high, mean, sd)


def draw_minutes(u: FloatArray, spread: Spread) -> FloatArray:
    """Whole minutes of a spread in hours."""
    return np.round(60.0 * draw_quantity(u, spread))


class LearningOwners:
    """Beliefs of the n owners of a population; arrays in the order of its table of stays.

    belief_with, belief_without: $ a day with and without V2G, NaN until seen. hassle_usd: what the
    difference has to exceed. neighbours: who sees whom, (n, n), no edge between feeders.
    """

    FIXED: ClassVar = ("spec", "neighbours", "hassle_usd")

    def __init__(self, population: Population) -> None:
        self.population = population
        self.spec: Learning = population.scenario.owners.learning
        self.neighbours = neighbours_of(population)
        self.hassle_usd = draw_quantity(population.uniform("hassle"), self.spec.hassle_usd)
        self.belief_with: FloatArray = np.full(population.n, np.nan)
        self.belief_without: FloatArray = np.full(population.n, np.nan)
        # What the owners have settled on; a trial of the opposite lasts one day.
        self.settled: BoolArray = population.participates.copy()

    def after(self, day: int, seen: BoolArray, v2g: BoolArray, benefit: FloatArray) -> BoolArray:
        """Who takes part on the day after `day`, (n,).

        seen: who plugged in, and so has a benefit to show. v2g: who took part. benefit: of the day,
        $.
        """
        self._update(self.belief_with, seen & v2g, benefit)
        self._update(self.belief_without, seen & ~v2g, benefit)
        gain = self.belief_with - self.belief_without
        # Who knows only one of the two keeps to what it does.
        self.settled = np.where(np.isnan(gain), self.settled, gain > self.hassle_usd)
        if self.spec.trial_probability == 0.0:
            return self.settled.copy()
        trial = self.population.uniform("trial", day + 1) < self.spec.trial_probability
        return np.asarray(self.settled ^ trial)

    def _update(self, belief: FloatArray, shown: BoolArray, benefit: FloatArray) -> None:
        """Move a belief towards the mean of what an owner and its neighbours have seen today."""
        weight = shown.astype(np.float64)
        value = np.where(shown, benefit, 0.0)
        own = self.spec.own_weight
        total = own * value + self.neighbours @ value
        number = own * weight + self.neighbours @ weight
        known = number > 0.0
        today = total[known] / number[known]
        before = belief[known]
        memory = np.where(np.isnan(before), 0.0, self.spec.memory)
        belief[known] = memory * np.where(np.isnan(before), 0.0, before) + (1.0 - memory) * today


def neighbours_of(population: Population) -> sparse.csr_array:
    """Adjacency of all owners, (n, n), feeder by feeder along the diagonal."""
    blocks = [_feeder_block(population, seed) for seed in population.seeds]
    if not blocks or population.n == 0:
        return sparse.csr_array((population.n, population.n))
    return sparse.csr_array(sparse.block_diag(blocks, format="csr"))


def _feeder_block(population: Population, seed: int) -> sparse.csr_array:
    spec, n = population.scenario.owners.learning, population.per_feeder
    if spec.graph == "zone":
        table = population.scenario.inputs.sessions
        if table is not None:
            raise AssertionError("learning needs several days, which sessions do not have")
        evs = enumerate(map(int, population.zone_evs))
        parts = [_adjacency(_graph(spec, n_evs, _number(seed, zone))) for zone, n_evs in evs]
        return sparse.csr_array(sparse.block_diag(parts, format="csr"))
    if spec.graph == "edges":
        edges = population.scenario.inputs.edges
        if edges is None:
            raise AssertionError("edges were not read")
        a, b = edges[:, 0], edges[:, 1]
        ones = np.ones(2 * len(a))
        ends = np.concatenate([a, b]), np.concatenate([b, a])
        return sparse.csr_array((ones, ends), shape=(n, n))
    return _adjacency(_graph(spec, n, _number(seed, 0)))


def _number(seed: int, zone: int) -> int:
    """A seed for networkx, which takes whole numbers."""
    return int(stream(seed, "graph", 0, zone).integers(2**31))


def _graph(spec: Learning, n: int, seed: int) -> Any:
    import networkx as nx

    degree = min(spec.degree - spec.degree % 2, max(n - 1, 0))
    if spec.graph == "alone" or degree < 1:
        return nx.empty_graph(n)
    if degree == n - 1:
        return nx.complete_graph(n)
    if spec.graph == "barabasi_albert":
        # Each newcomer brings half of the edges that an owner has in the mean.
        return nx.barabasi_albert_graph(n, max(degree // 2, 1), seed=seed)
    return nx.watts_strogatz_graph(n, degree, spec.rewiring, seed=seed)


def _adjacency(graph: Any) -> sparse.csr_array:
    n = graph.number_of_nodes()
    edges = np.array(sorted(tuple(sorted(edge)) for edge in graph.edges), dtype=np.int64)
    a, b = edges.reshape(-1, 2).T
    ones = np.ones(2 * len(a))
    ends = np.concatenate([a, b]), np.concatenate([b, a])
    return sparse.csr_array((ones, ends), shape=(n, n))


def stay_benefit(fleet: Fleet, stays: Columns, price: FloatArray, scenario: Scenario) -> FloatArray:
    """What a day has brought each owner against charging at once, as the owner counts it, (n,) [$].

    Eq. (22) for one EV, less what is counted for energy missing on departure and for wear. stays:
    columns of the day in the fleet's order of rows. price: what a kWh bought
    costs by step of the prices, (T, n_feeders or 1).
    """
    spec = scenario.owners.learning
    needed = ("feeder", "capacity_kwh", "efficiency", "p_max_kw")
    evs = {name: getattr(fleet, name) for name in needed}
    step_h = scenario.inputs.prices.step_h
    reference = stay_reference_cost(price, stays, evs, scenario.requirement, step_h)
    benefit = financial_benefit(reference, stays["purchase_usd"], stays["sale_usd"])
    missing = np.maximum(stays["soc_target"] - stays["soc_departure"], 0.0) * fleet.capacity_kwh
    missing = np.where(stays["arrived"], missing, 0.0)
    wear = spec.wear_usd_per_kwh * stays["discharged_kwh"]
    return np.asarray(benefit - spec.unmet_usd_per_kwh * missing - wear)
